"""How an answer is finished once the model has ended it, or where there was nothing to ask it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from services.chat.attach import attached, moved
from services.chat.checking.answers import CHECKS, check_answer
from services.chat.checking.verdicts import Similarity
from services.chat.ports import Found
from services.chat.prompts import REFUSALS, Language
from services.chat.turns import ATTACHED, MOVED, OUTSIDE, passages_of
from services.store.conversations import TurnRecord


def finished(turn: TurnRecord, similarity: Similarity | None = None) -> TurnRecord:
    """The turn with its sources checked; where the model has named none, or a wrong one, they are found by likeness."""
    passages = passages_of(turn)
    if not passages:
        return turn
    marked = attached(turn.answer, passages)
    answer = marked or turn.answer
    checks, found = check_answer(answer, passages, similarity), dict[str, Any]()
    if marked:
        found[ATTACHED] = True
    elif placed := moved(answer, checks, len(passages)):
        answer, found[MOVED] = placed
        checks = check_answer(answer, passages, similarity)
    found[CHECKS] = [check.row() for check in checks]
    return replace(turn, answer=answer, settings={**turn.settings, **found})


def nothing_found(turn: TurnRecord, found: Found, language: Language) -> TurnRecord:
    """The turn where no passage was found: that is said, with what lies outside the filters; no model is asked."""
    outside = [{name: getattr(near, name) for name in ("document", "page", "text")} for near in found.outside]
    settings = {**turn.settings, OUTSIDE: outside} if outside else turn.settings
    return replace(turn, answer=REFUSALS[language], settings=settings)
