"""What is done with an answer once the model has ended it, before it counts as done."""

from __future__ import annotations

from dataclasses import replace

from services.chat.attach import attached
from services.chat.turns import ATTACHED, passages_of
from services.store.conversations import TurnRecord


def finished(turn: TurnRecord) -> TurnRecord:
    """The turn with its sources: where the model has named none, they are attached by likeness."""
    marked = attached(turn.answer, passages_of(turn))
    return replace(turn, answer=marked, settings={**turn.settings, ATTACHED: True}) if marked else turn
