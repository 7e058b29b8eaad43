"""What fits into a server's context."""

from __future__ import annotations

import pytest

from services.chat.budget import TEMPLATE_TOKENS, fit, passage_budget
from services.chat.prompts import PromptPassage, shown
from services.core.errors import ContextLengthExceeded

ENGLISH = "The pump moves forty cubic metres. It must be primed before it starts. Grease it every 2.5 weeks."
CHINESE = "水泵每小时输送四十立方米。启动前必须灌满水。每两周加注一次润滑脂。"


def count(text: str) -> int:
    """One token for each character: numbers that a reader can check."""
    return len(text)


def passage(text: str, start: int = 100) -> PromptPassage:
    return PromptPassage("pump.txt", 3, start, start + len(text), text)


def framed(text: str, number: int = 1) -> int:
    return count(shown(passage(text), number, "en"))


def test_the_budget_is_what_the_rest_leaves() -> None:
    assert passage_budget(1000, 300, 50, 200, 9999) == 1000 - 300 - 50 - 200 - TEMPLATE_TOKENS


def test_the_budget_never_exceeds_the_cap() -> None:
    assert passage_budget(32768, 300, 50, 512, 700) == 700
    assert passage_budget(None, 300, 50, 512, 700) == 700


def test_a_context_that_leaves_nothing_is_exceeded() -> None:
    with pytest.raises(ContextLengthExceeded) as raised:
        passage_budget(512, 300, 50, 162, 700)
    assert raised.value.params == {"needed": 512 + TEMPLATE_TOKENS, "available": 512}


def test_keeps_all_passages_in_order_where_there_is_room() -> None:
    passages = [passage(ENGLISH), passage(CHINESE), passage("Short.")]
    assert fit(passages, 10_000, count) == passages
    assert fit([], 0, count) == []


@pytest.mark.parametrize("text", [ENGLISH, CHINESE])
def test_cuts_the_last_passage_after_a_sentence_and_moves_its_end(text: str) -> None:
    first = passage("Short.")
    budget = framed("Short.") + framed(text, 2) - 1
    kept, cut = fit([first, passage(text), passage("Never reached.")], budget, count)
    assert kept == first
    assert cut.text in text
    assert cut.text.rstrip()[-1] in ".。"
    assert len(text) > len(cut.text) >= len(text) / 3
    assert (cut.start, cut.end) == (100, 100 + len(cut.text))


def test_a_decimal_point_ends_no_sentence() -> None:
    (cut,) = fit([passage(ENGLISH)], framed(ENGLISH) - 1, count)
    assert cut.text == "The pump moves forty cubic metres. It must be primed before it starts."


@pytest.mark.parametrize(
    ("text", "question", "kept"),
    [
        (ENGLISH, "How often is it greased?", "It must be primed before it starts. Grease it every 2.5 weeks."),
        (ENGLISH, "How much does it move?", "The pump moves forty cubic metres. It must be primed before it starts."),
        (CHINESE, "多久加注一次润滑脂？", "启动前必须灌满水。每两周加注一次润滑脂。"),
    ],
)
def test_of_what_has_no_room_the_sentences_stay_that_the_question_asks_for(text: str, question: str, kept: str) -> None:
    (cut,) = fit([passage(text)], framed(text) - 1, count, question)
    assert cut.text.strip() == kept
    assert text[cut.start - 100 : cut.end - 100] == cut.text
    assert framed(cut.text) < framed(text)


def test_leaves_out_a_passage_of_which_less_than_a_third_fits() -> None:
    text = "Tiny. " + "A very long sentence that does not end for quite a while " * 4
    assert fit([passage("Short."), passage(text)], framed("Short.") + framed("Tiny.", 2) + 5, count) == [
        passage("Short.")
    ]


def test_shows_the_beginning_of_the_only_passage_even_in_mid_sentence() -> None:
    text = "word " * 100
    (cut,) = fit([passage(text)], framed("word word"), count)
    assert text.startswith(cut.text)
    assert framed(cut.text) <= framed("word word")
    assert cut.text.startswith("word wor")


def test_never_exceeds_the_budget() -> None:
    passages = [passage(ENGLISH), passage(CHINESE), passage(ENGLISH)]
    for budget in range(framed("T"), 400):
        for question in ("", "Grease it?"):
            fitting = fit(passages, budget, count, question)
            assert fitting
            assert sum(count(shown(one, number, "en")) for number, one in enumerate(fitting, 1)) <= budget


def test_no_room_for_a_single_character_is_an_exceeded_context() -> None:
    with pytest.raises(ContextLengthExceeded):
        fit([passage(ENGLISH)], framed("") - 5, count)
