"""Marks in answers, and answers that cannot load anything."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from services.chat.citations import Citation, Mark, cite, defuse, markdown, marks
from services.chat.prompts import PromptPassage

TARGETS = {number: f"#cite-{number}" for number in (1, 2, 3)}
PASSAGES = [PromptPassage(f"d{n}.txt", n, n * 10, n * 10 + 5, "text") for n in range(1, 4)]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("It is so [1].", [1]),
        ("It is so [1, 2].", [1, 2]),
        ("It is so [1][3].", [1, 3]),
        ("就是这样【1】。", [1]),
        ("就是这样［2］，[1，2]，[1、3]。", [2, 1, 2, 1, 3]),
        ("It is so [^2].", [2]),
        ("It is so [ 2 ].", [2]),
        ("[4], [0] and [1, 9]", [1]),
        ("[a] [] [1a] (1) {1} 1]", []),
        ("`list[1]` and\n```\nrow[2]\n```\nbut [3]", [3]),
        ("`open [1] and\n\nnew paragraph` [2]", [1, 2]),
        ("~~~\n[1]", []),
    ],
)
def test_finds_the_marks_that_have_a_passage(text: str, numbers: list[int]) -> None:
    assert [mark.number for mark in marks(text, 3)] == numbers


def test_a_mark_tells_where_it_stands() -> None:
    text = "First [2]. 然后【1】。"
    assert marks(text, 3) == [Mark(2, 6, 9), Mark(1, 13, 16)]
    assert text[13:16] == "【1】"


def test_cites_each_passage_once_in_order_of_appearance() -> None:
    assert cite("B [2]. A [1]. B again [2]. None [7].", PASSAGES) == [
        Citation(2, "d2.txt", 2, 20, 25),
        Citation(1, "d1.txt", 1, 10, 15),
    ]


def test_marks_become_links_outside_of_code() -> None:
    assert markdown("So [1].", TARGETS) == "So [\\[1\\]](#cite-1)."
    assert markdown("So [1, 3]【2】.", TARGETS) == "So [\\[1\\]](#cite-1)[\\[3\\]](#cite-3)[\\[2\\]](#cite-2)."
    assert markdown("`a[1]` [2]", TARGETS) == "`a[1]` [\\[2\\]](#cite-2)"
    assert markdown("So [2].", {2: '#b "title"'}) == 'So [\\[2\\]](#b "title").'


def test_marks_without_a_passage_are_text_and_no_link() -> None:
    html = MarkdownIt("commonmark").render(markdown("So [9] and [1, 9].\n\n[9]: http://evil.example", TARGETS))
    assert html.count("<a ") == 1
    assert "evil.example" in html


@pytest.mark.parametrize(
    "text",
    [
        "![x](http://evil.example/a.png)",
        "![x][y]\n\n[y]: http://evil.example/a.png",
        "![y]\n\n> [y]: http://evil.example/a.png",
        "![x [nested] y](<http://evil.example/a b.png> 'title')",
        "[![x](http://evil.example/a.png)](http://evil.example)",
        "<img src=http://evil.example/a.png>",
        "<div>\n<script>alert(1)</script>\n</div>",
        "<!--\n```\n-->\n```\n![x](http://evil.example/a.png)\n```\n",
        "\\`no code: ![x](http://evil.example/a.png) `",
        "`open\n\n![x](http://evil.example/a.png) `",
        "$$\n```\n$$\n\n![x](http://evil.example/a.png)",
        "[text](javascript:alert(1))",
        "<http://evil.example>",
        "- item\n\n      ![x](http://evil.example/a.png)",
    ],
)
def test_defused_text_renders_neither_image_nor_link_nor_html(text: str) -> None:
    html = MarkdownIt("commonmark", {"html": True}).render(defuse(text))
    for tag in ("<img", "<a ", "<script", "<div", "<!--"):
        assert tag not in html


def test_links_keep_their_words_and_show_where_they_led() -> None:
    assert defuse("See [the manual](https://example.org/m).") == "See the manual (`https://example.org/m`)."
    assert defuse("![a chart](https://example.org/c.png)") == "a chart (`https://example.org/c.png`)"
    assert defuse("Visit https://example.org/a, or 见www.example.org。") == (
        "Visit `https://example.org/a`, or 见`www.example.org`。"
    )


def test_fenced_code_stays_as_it_is() -> None:
    code = "```python\nrow = table[1](x)  # <b> $1 ![x](y) https://example.org\n```\n"
    assert defuse("Use\n" + code + "or `a < b`.") == "Use\n" + code + "or `a < b`."


def test_prices_are_no_formula_and_comparisons_no_html() -> None:
    assert defuse("~5 ~~gone~~ ~6") == "\\~5 ~~gone~~ \\~6"
    assert defuse("from $5 to $10 if a < b and x<3") == "from \\$5 to \\$10 if a < b and x<3"


def test_plain_answers_and_their_marks_are_untouched() -> None:
    answer = "**Forty** metres [1][2].\n\n- 一 [3]\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
    assert defuse(answer) == answer
    assert marks(defuse(answer), 3) == marks(answer, 3)


NASTY = (
    *("![", "]", "(", ")", "](", "http://e.example/x", "<img src=", ">", "[1]", "[x]:", "<!--", "-->", "- ", "> ", "a"),
    *("`", "``", "```", "~~~", "\n", "\n\n", "\r", "    ", " ", "$", "$$", "\\", "'", '"'),
    *("\\(", "\\)", "\\[", "\\]", "$x"),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(NASTY), max_size=25).map("".join))
def test_no_mixture_of_markup_renders_an_image(text: str) -> None:
    tokens = MarkdownIt("commonmark", {"html": False}).parse(markdown(text, {1: "#cite-1"}))
    kinds = [child for token in tokens for child in token.children or []]
    assert "image" not in {child.type for child in kinds}
    links = [str(child.attrs["href"]) for child in kinds if child.type == "link_open"]
    assert set(links) <= {"#cite-1"}
