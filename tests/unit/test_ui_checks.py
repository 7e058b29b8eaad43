"""What the check of an answer found, as it stands beneath the answer: to be read without hovering over anything."""

from __future__ import annotations

from services.chat.checking.answers import SentenceCheck
from services.chat.checking.verdicts import (
    CONTRADICTS,
    JUDGE,
    NO_SOURCE,
    NOT_FOUND,
    PLACE,
    SUPPORTED,
    SWAPPED,
    UNSURE,
)
from ui.checks import SENTENCE_LIMIT, summary_html, words_of

ANSWER = "It starts at <seven> [1]. It runs [1]. " + "They like it " * 20 + "."


def check(start: int, end: int, verdict: str, **more: object) -> SentenceCheck:
    return SentenceCheck(start, end, (1,), verdict, **more)  # type: ignore[arg-type]


def test_each_sentence_to_look_at_is_told_with_what_was_found_and_harmless() -> None:
    details = {"source": "six", "said": "<seven>"}
    html = summary_html(
        [
            check(0, 20, CONTRADICTS, reason=SWAPPED, details=details, better=2),
            check(26, 33, SUPPORTED),
            check(39, len(ANSWER), NO_SOURCE),
        ],
        ANSWER,
    )
    assert html.startswith("<details") and "<seven>" not in html
    line, _summary, items = html.partition("</summary>")
    assert "1 sentence supported" in line and "1 contradicts its source" in line and "1 without a source" in line
    first, second = items.split("<li>")[1:]
    assert "The source says “six” where this says “&lt;seven&gt;”. Passage 2 says it." in first
    assert "<q>It starts at &lt;seven&gt;</q>" in first
    assert "No source is named" in second and f"<q>{ANSWER[39 : 39 + SENTENCE_LIMIT]}…</q>" in second


def test_where_all_is_well_there_is_nothing_to_unfold_and_without_checks_nothing() -> None:
    html = summary_html([check(0, 20, SUPPORTED), check(26, 33, UNSURE)], ANSWER)
    assert "<details" not in html and "1 sentence supported" in html and "1 could not be told" in html
    assert summary_html([], ANSWER) == ""


def test_a_figure_of_something_else_is_told_with_what_the_source_says() -> None:
    details = {"said": "70 euros", "source": "A room costs 50 euros"}
    said = words_of(check(0, 20, CONTRADICTS, reason=PLACE, details=details))
    assert said == "The source says something else of this than 70 euros: “A room costs 50 euros”."


def test_what_a_judge_found_is_said_to_be_its_word() -> None:
    details = {"server": "big <model>"}
    html = summary_html([check(0, 20, CONTRADICTS, reason=JUDGE, details=details)], ANSWER)
    assert "big &lt;model&gt; reads otherwise in the source." in html
    assert words_of(check(0, 20, NOT_FOUND, reason=JUDGE, details=details)) == (
        "big <model> does not find it in the source."
    )
