"""Reasoning is told apart from the answer, however the stream is cut."""

from __future__ import annotations

import pytest

from services.chat.reasoning import Thoughts

CASES = [
    ("Plain answer.", "", "Plain answer."),
    ("<think>Two and two.</think>\n\nFour.", "Two and two.", "Four."),
    ("\n<think>\n\n</think>\n\nFour.", "", "Four."),
    ("<thinking>Well.</thinking>Four.", "Well.", "Four."),
    ("Two and two.</think>Four.", "Two and two.", "Four."),
    ("<think>It never ends", "It never ends", ""),
    ("If a < b, write `<think>`.", "", "If a < b, write `<think>`."),
    ("```\n</think>\n```", "", "```\n</think>\n```"),
    ("<table>1</table>", "", "<table>1</table>"),
]


@pytest.mark.parametrize(("said", "reasoning", "answer"), CASES)
def test_reasoning_and_answer_are_the_same_in_every_split(said: str, reasoning: str, answer: str) -> None:
    for size in range(1, len(said) + 1):
        thoughts = Thoughts()
        for start in range(0, len(said), size):
            thoughts.take(said[start : start + size])
        assert (thoughts.reasoning, thoughts.answer) == (reasoning, answer), size


def test_nothing_of_a_tag_is_ever_shown_as_the_answer() -> None:
    thoughts = Thoughts()
    shown = []
    for character in "<think>One.</think>Two.":
        thoughts.take(character)
        shown.append(thoughts.answer)
    assert {text for text in shown if text} == {"T", "Tw", "Two", "Two."}


def test_what_a_server_tells_apart_itself_is_reasoning() -> None:
    thoughts = Thoughts()
    thoughts.think("Let me ")
    thoughts.think("see.")
    thoughts.take("Four.")
    assert (thoughts.reasoning, thoughts.answer) == ("Let me see.", "Four.")
