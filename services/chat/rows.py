"""Turns as JSON values, as the command line and the API tell them."""

from __future__ import annotations

from typing import Any

from services.chat.citations import cite
from services.chat.turns import ATTACHED, passages_of
from services.store.conversations import TurnRecord


def answer_row(turn: TurnRecord) -> dict[str, Any]:
    """A finished turn with its citations and passages."""
    passages = passages_of(turn)
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
                "attached": bool(turn.settings.get(ATTACHED)),
            }
            for citation in cite(turn.answer, passages)
        ],
        "passages": [passage.row() for passage in passages],
        "timings_ms": turn.timings_ms,
        "prompt_tokens": turn.prompt_tokens,
        "completion_tokens": turn.completion_tokens,
        "server": turn.server_name,
        "model": turn.model,
    }
