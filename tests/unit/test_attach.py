"""Sources are attached where the words and numbers of a sentence stand in a passage, and nowhere else."""

from __future__ import annotations

import pytest

from services.chat.attach import attached, moved
from services.chat.checking.answers import check_answer
from services.chat.ports import Passage
from services.chat.prompts import PromptPassage

PASSAGES = [
    PromptPassage("it.md", None, 0, 1, "A password has at least 14 characters. Passwords do not expire."),
    PromptPassage("假期.docx", None, 0, 1, "婚假13天，须在登记之日起一年内一次休完。产假158天。"),
]


@pytest.mark.parametrize(
    ("answer", "marked"),
    [
        ("At least 14 characters.", "At least 14 characters [1]."),
        ("婚假13天。", "婚假13天[2]。"),
        ("A password has at least 14 characters", "A password has at least 14 characters [1]"),
        ("It has 14 characters. Tigers eat meat.", "It has 14 characters [1]. Tigers eat meat."),
    ],
)
def test_a_sentence_gets_the_passage_whose_words_it_uses(answer: str, marked: str) -> None:
    assert attached(answer, PASSAGES) == marked


@pytest.mark.parametrize(
    "answer",
    [
        "A password has at least 16 characters.",
        "婚假15天。",
        "Something quite different is said here.",
        "A password has at least 14 characters [1].",
        "The documents do not say.",
        "文档中没有说明。",
        "```\nA password has at least 14 characters\n```",
        "",
    ],
)
def test_other_numbers_other_words_marked_answers_refusals_and_code_get_none(answer: str) -> None:
    assert attached(answer, PASSAGES) is None


def test_a_decimal_point_ends_no_sentence() -> None:
    passages = [PromptPassage("p.csv", None, 0, 1, "Part: seal; Price: 16.50 euros")]
    assert attached("The seal costs 16.50 euros.", passages) == "The seal costs 16.50 euros [1]."


NUMBERED = [
    Passage(
        document=one.document,
        page=None,
        start=0,
        end=1,
        text=one.text,
        number=number,
        chunk_id=number,
        document_id="d",
        revision=1,
        heading="",
        score=0.9,
    )
    for number, one in enumerate(PASSAGES, 1)
]


@pytest.mark.parametrize(
    ("answer", "corrected"),
    [
        ("婚假13天，须一年内休完[1]。", ("婚假13天，须一年内休完[2]。", [2])),
        ("Passwords do not expire [2]. 产假158天【1】。", ("Passwords do not expire [1]. 产假158天[2]。", [1, 2])),
        ("Passwords do not expire [1]. 产假158天[1]。", ("Passwords do not expire [1]. 产假158天[2]。", [2])),
    ],
)
def test_a_wrong_mark_moves_to_the_passage_that_says_the_sentence(
    answer: str, corrected: tuple[str, list[int]]
) -> None:
    assert moved(answer, check_answer(answer, NUMBERED), len(NUMBERED)) == corrected


@pytest.mark.parametrize(
    "answer",
    [
        "Passwords do not expire [1].",
        "Passwords expire after 90 days [2].",
        "婚假15天[1]。",
        "According to passage 2 passwords do not expire.",
        "Passwords do not expire.",
        "The documents do not say.",
    ],
)
def test_right_marks_wrong_sentences_and_spoken_marks_stay(answer: str) -> None:
    assert moved(answer, check_answer(answer, NUMBERED), len(NUMBERED)) is None
