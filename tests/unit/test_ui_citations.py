"""A model's answer as Markdown: marks become links, nothing loads, code stays code."""

from __future__ import annotations

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from ui.citations import answer_markdown

TITLES = dict.fromkeys(range(1, 13), "")


def parts(text: str, titles: dict[int, str] | None = None) -> list[Token]:
    """What a Markdown reader makes of the answer, flat."""
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(
        answer_markdown(text, "turn-1", TITLES if titles is None else titles)
    )
    return [part for token in tokens for part in (token.children or [token])]


def links(text: str, titles: dict[int, str] | None = None) -> list[tuple[str, str]]:
    return [
        (str(part.attrs["href"]), str(part.attrs.get("title", "")))
        for part in parts(text, titles)
        if part.type == "link_open"
    ]


def shown(text: str) -> str:
    return "".join(
        part.content for part in parts(text) if part.type in ("text", "text_special", "code_inline", "fence")
    )


@pytest.mark.parametrize(
    "text", ["Refunds take 14 days [1].", "退款需要十四天。[1]", "**Bold [1]**", "- item [1]", "[1]: note"]
)
def test_a_mark_becomes_a_link_that_still_reads_as_a_mark(text: str) -> None:
    assert [href for href, _ in links(text)] == ["#cite-turn-1-1"]
    assert "[1]" in shown(text)


def test_neighbouring_marks_become_links_of_their_own() -> None:
    assert [href for href, _ in links("Both say so [1][12].")] == ["#cite-turn-1-1", "#cite-turn-1-12"]


def test_a_mark_without_a_passage_stays_text() -> None:
    assert links("So it is [9].", {1: "a.pdf"}) == []
    assert shown("So it is [9].") == "So it is [9]."


def test_marks_in_code_stay_code() -> None:
    text = "Use `rows[1]` or\n\n```python\nrows[2]\n```\n\nas said [3]."
    assert [href for href, _ in links(text)] == ["#cite-turn-1-3"]
    assert "rows[1]" in shown(text)
    assert "rows[2]" in shown(text)


@pytest.mark.parametrize("name", ['A "quoted" [name](x).pdf', "back\\slash *star* <img src=x>", "手册.docx"])
def test_any_document_name_is_the_hover_text_of_its_mark(name: str) -> None:
    assert links("So [1].", {1: name}) == [("#cite-turn-1-1", name)]


@pytest.mark.parametrize(
    "text",
    [
        "![x](http://blocked.example/a.png)",
        "![x][ref]\n\n[ref]: http://blocked.example/a.png",
        "[![x](http://blocked.example/a.png)](http://blocked.example)",
        "\\![x](http://blocked.example/a.png)",
        "``` ![x](http://blocked.example/a.png)",
        "a ` b ![x](http://blocked.example/a.png)",
        "`a\n\n![x](http://blocked.example/a.png)\n\nb`",
        "`a\n- ![x](http://blocked.example/a.png)`",
        "```\n```\n![x](http://blocked.example/a.png)",
    ],
)
def test_no_image_is_left(text: str) -> None:
    assert not [part for part in parts(text) if part.type == "image"]


def test_money_and_about_signs_are_no_formulas_and_no_deletions() -> None:
    assert answer_markdown("~$5 or ~$6", "t", {}) == "\\~\\$5 or \\~\\$6"


def test_a_key_that_could_leave_its_link_is_refused() -> None:
    with pytest.raises(ValueError):
        answer_markdown("[1]", 'x" onclick="', {})
