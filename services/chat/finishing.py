"""How an answer is finished once the model has ended it, or where there was nothing to ask it."""

from __future__ import annotations

from dataclasses import replace

from services.chat.attach import attached
from services.chat.ports import Found
from services.chat.prompts import REFUSALS, Language
from services.chat.turns import ATTACHED, passages_of
from services.store.conversations import TurnRecord


def finished(turn: TurnRecord) -> TurnRecord:
    """The turn with its sources: where the model has named none, they are attached by likeness."""
    marked = attached(turn.answer, passages_of(turn))
    return replace(turn, answer=marked, settings={**turn.settings, ATTACHED: True}) if marked else turn


def nothing_found(turn: TurnRecord, found: Found, language: Language) -> TurnRecord:
    """The turn where no passage was found: that is said, and no model is asked."""
    return replace(turn, answer=REFUSALS[language])
