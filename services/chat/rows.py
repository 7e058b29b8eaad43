"""Turns as JSON values, as the command line and the API tell them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from services.chat.checking.answers import checks_of, support
from services.chat.citations import Citation, cite
from services.chat.notes import NOT_RERANKED, error_of
from services.chat.turns import ATTACHED, MOVED, passages_of
from services.core.errors import from_row
from services.store.conversations import TurnRecord


def answer_row(turn: TurnRecord) -> dict[str, Any]:
    """A finished turn with its citations and passages."""
    return {
        "question": turn.question,
        "answer": turn.answer,
        "citations": [
            {
                "marker": citation.marker,
                "document": citation.document,
                "page": citation.page,
                "start": citation.start,
                "end": citation.end,
                "supported": citation.supported,
                "reason": citation.reason,
                "attached": bool(turn.settings.get(ATTACHED)) or citation.marker in turn.settings.get(MOVED, ()),
            }
            for citation in checked_citations(turn)
        ],
        "checks": [check.row() for check in checks_of(turn.settings)],
        "notes": turn.notes,
        "searched": [_searched(base) for base in turn.bases],
        "not_reranked": _not_reranked(turn),
        "passages": [passage.row() for passage in passages_of(turn)],
        "timings_ms": turn.timings_ms,
        "prompt_tokens": turn.prompt_tokens,
        "completion_tokens": turn.completion_tokens,
        "server": turn.server_name,
        "model": turn.model,
    }


def shared_link(token: str | None) -> str | None:
    """Where a conversation can be read that its owner has shared; None where she has not."""
    return f"/Chat?shared={token}" if token else None


def _searched(base: Mapping[str, Any]) -> dict[str, Any]:
    """A base that was searched; `words_only` says why vectors could not be."""
    away = base.get("words_only")
    rendered = from_row(away["code"], away["params"]).render() if away else None
    return {
        **{key: base.get(key) for key in ("id", "name", "documents", "pending")},
        "left_out": bool(base.get("left_out")),
        "words_only": asdict(rendered) if rendered else None,
    }


def _not_reranked(turn: TurnRecord) -> dict[str, Any] | None:
    """Why the passages are not in the order of the reranker that is chosen; None where they are, or none is."""
    errors = (error_of(note) for note in turn.notes if note["code"] == NOT_RERANKED)
    return next((asdict(error.render()) for error in errors if error), None)


def checked_citations(turn: TurnRecord) -> list[Citation]:
    """The passages that a finished answer refers to, each with whether it bears out what is said with it."""
    found = support(checks_of(turn.settings))
    cited = cite(turn.answer, passages_of(turn))
    return [
        replace(citation, supported=found[citation.marker][0], reason=found[citation.marker][1])
        if citation.marker in found
        else citation
        for citation in cited
    ]
