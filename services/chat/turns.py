"""What a turn is made of beyond its row: its modes, its passages, the title that its question gives."""

from __future__ import annotations

from services.chat.ports import Passage
from services.store.conversations import TurnRecord

CHAT, KNOWLEDGE = "chat", "knowledge"
ATTACHED = "attached"
"""In a turn's settings: its marks were attached here, not written by the model."""
MOVED = "moved"
"""In a turn's settings: the passages to which marks were moved from one that did not say the sentence."""
FOUND = "found"
"""In a turn's settings: all hits of its search without their texts, also those for which there was no room."""
OUTSIDE = "outside"
"""In a turn's settings: the nearest passages that its filters left out, where they left none."""
TITLE_CHARACTERS = 60


def passages_of(turn: TurnRecord) -> list[Passage]:
    """The passages that the model was shown."""
    return [Passage(**row) for row in turn.passages]


def title_of(question: str) -> str:
    """A conversation's title: the beginning of its first question."""
    line = " ".join(question.split())
    return line if len(line) <= TITLE_CHARACTERS else line[: TITLE_CHARACTERS - 1].rstrip() + "…"
