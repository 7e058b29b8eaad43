"""What a chat turn remembers of the turns before it. Reasoning is never remembered; an answer from documents is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.chat.choices import Settled
from services.chat.counting import Count
from services.chat.prompts import CITATION_MARK
from services.chat.turns import passages_of
from services.store.conversations import TurnRecord

KEPT_SHARE = 0.75
"""Where the oldest turns do not fit, so many go that this share stays: else the prompt would change each time."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question and its answer as they are remembered."""

    turn_id: str
    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Remembered:
    """What is remembered; `left_out` counts the turns for which there was no room."""

    summary: str
    exchanges: tuple[Exchange, ...]
    left_out: int = 0


def rememberable(path: Sequence[TurnRecord], after: int | None) -> list[TurnRecord]:
    """The turns that may be remembered: answered, and not before the memory was cleared.

    Args:
        after: the position up to which it was.
    """
    return [turn for turn in path if turn.answer.strip() and not turn.live and turn.position > (after or 0)]


def remembered(
    turns: Sequence[TurnRecord], summary: Mapping[str, Any] | None, settled: Settled, room: int, count: Count
) -> Remembered:
    """What a strategy keeps of the turns, in `room` tokens.

    Args:
        turns: those that may be remembered, the oldest first.
        summary: the conversation's running summary, `text` up to the turn `through`.
    """
    told, rest = "", list(turns)
    if settled.memory in ("summary", "summary_recent") and summary:
        covered = [turn.id for turn in turns]
        if summary["through"] in covered:
            told, rest = str(summary["text"]), rest[covered.index(summary["through"]) + 1 :]
            room -= count(told)
    elif settled.memory == "last_turns":
        rest = rest[-settled.memory_turns :]
    elif settled.memory == "token_budget":
        room = min(room, settled.memory_tokens)
    exchanges = [exchange_of(turn) for turn in rest]
    kept = _fitting([count(each.question) + count(each.answer) for each in exchanges], room)
    return Remembered(told, tuple(exchanges[kept:]), left_out=kept)


def exchange_of(turn: TurnRecord) -> Exchange:
    """A turn as it is remembered: marks become the names of the documents, so that later turns can speak of them."""
    return Exchange(turn.id, turn.question.strip(), _named(turn).strip())


def _named(turn: TurnRecord) -> str:
    names = {passage.number: passage.document for passage in passages_of(turn)}
    if not names:
        return turn.answer

    def name(mark: re.Match[str]) -> str:
        called = dict.fromkeys(names[int(number)] for number in re.findall(r"\d+", mark[1]) if int(number) in names)
        return f"({', '.join(called)})" if called else ""

    return CITATION_MARK.sub(name, turn.answer)


def _fitting(sizes: Sequence[int], room: int) -> int:
    """How many of the oldest are left out. Each time that they no longer fit, a good part goes at once."""
    begin = held = 0
    for end, size in enumerate(sizes):
        held += size
        if held > room:
            while begin <= end and held > room * KEPT_SHARE:
                held -= sizes[begin]
                begin += 1
    return begin
