"""What is to be said about a turn beyond its answer: stored as codes and parameters, said in the reader's language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.core.errors import AppError, from_row
from services.core.i18n import DEFAULT_LANGUAGE, N_
from services.core.phrases import fill, phrase

UNDERSTOOD_KNOWLEDGE, UNDERSTOOD_CHAT = "understood_knowledge", "understood_chat"
ELSEWHERE, TRIMMED, CUT, LEFT_OUT, NO_BASE = "elsewhere", "trimmed", "cut", "left_out", "no_base"
UNJUDGED, LOOPED, DOUBTED, NOT_RERANKED = "unjudged", "looped", "doubted", "not_reranked"
NOTES = {
    UNDERSTOOD_KNOWLEDGE: N_("Answered from the documents, because you wrote “{words}”."),
    UNDERSTOOD_CHAT: N_("Answered without the documents, because you wrote “{words}”."),
    NO_BASE: N_("You wrote “{words}”, but there is no knowledge base yet."),
    ELSEWHERE: N_("“{first}” could not answer; “{second}” answered instead."),
    TRIMMED: N_("At most {given} tokens of answer instead of {wanted}: the server's context has {context}."),
    CUT: N_("The answer was cut off at its limit of {tokens} tokens."),
    UNJUDGED: N_("The sources were checked by rules only: the judge could not be asked. {reason}"),
    LOOPED: N_("The model began to repeat itself; its answer was ended there."),
    DOUBTED: N_("The model itself doubts that the passages answer this question. Read them before you rely on it."),
    LEFT_OUT: N_("The oldest turns were not sent: there was no room for them ({turns})."),
    NOT_RERANKED: N_("Not reranked: passages keep the order that meaning and words give them. {reason}"),
}


def note(code: str, **params: Any) -> dict[str, Any]:
    """A note as a row keeps it."""
    return {"code": code, "params": params}


def error_note(code: str, error: AppError) -> dict[str, Any]:
    """A note that gives an error as its reason."""
    return note(code, error={"code": error.code, "params": error.params})


def error_of(note: Mapping[str, Any]) -> AppError | None:
    """The error that a note gives as its reason; None where it gives none."""
    error = note["params"].get("error")
    return from_row(error["code"], error["params"]) if error else None


def told(note: Mapping[str, Any], language: str = DEFAULT_LANGUAGE) -> str:
    """A note in the reader's language; an unknown one goes by its code."""
    error = error_of(note)
    params = {**note["params"], "reason": phrase(error.message, **error.params)} if error else note["params"]
    return fill(NOTES.get(note["code"], note["code"]), params, language)


def words_only_text(base: Mapping[str, Any], language: str = DEFAULT_LANGUAGE) -> str:
    """Why a base that a turn has searched was searched by words only."""
    away = from_row(base["words_only"]["code"], base["words_only"]["params"])
    reason = phrase(away.message, **away.params)
    return fill(
        N_("“{base}” was searched by words only. {reason}"), {"base": base.get("name"), "reason": reason}, language
    )
