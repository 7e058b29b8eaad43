"""A conversation as a file: JSON with everything that was stored, Markdown to be read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from services.chat.citations import cite
from services.chat.turns import passages_of
from services.core.errors import from_row
from services.core.i18n import DEFAULT_LANGUAGE, N_, translate
from services.store.conversations import ConversationRecord, TurnRecord

FORMATS = ("md", "json")
_ASKED_AS = N_("Asked as")
_PAGE = N_(", page {page}")
_FIELDS = (
    *("id", "position", "mode", "state", "question", "standalone", "answer", "reasoning", "bases", "passages", "notes"),
    *("settings", "server_name", "model", "timings_ms", "prompt_tokens", "completion_tokens"),
)


def conversation_row(talk: ConversationRecord, turns: Sequence[TurnRecord]) -> dict[str, Any]:
    """A conversation with the turns that are shown, as JSON values."""
    return {**head_row(talk), "settings": talk.settings, "turns": [turn_row(turn) for turn in turns]}


def head_row(talk: ConversationRecord) -> dict[str, Any]:
    """A conversation without its turns, as JSON values."""
    return {
        "id": talk.id,
        "title": talk.title,
        "shared": talk.share_token is not None,
        "created_at": _moment(talk.created_at_ms),
        "updated_at": _moment(talk.updated_at_ms),
    }


def turn_row(turn: TurnRecord) -> dict[str, Any]:
    """A turn as JSON values."""
    row = {name: getattr(turn, name) for name in _FIELDS}
    error = {"code": turn.error_code, "params": turn.error_params} if turn.error_code else None
    return {**row, "error": error, "created_at": _moment(turn.created_at_ms)}


def as_json(talk: ConversationRecord, turns: Sequence[TurnRecord]) -> str:
    """The whole of it as a JSON document."""
    return json.dumps(conversation_row(talk, turns), ensure_ascii=False, indent=2) + "\n"


def as_markdown(talk: ConversationRecord, turns: Sequence[TurnRecord], language: str = DEFAULT_LANGUAGE) -> str:
    """To be read: questions as headings, answers as the model wrote them, with the passages that they cite."""
    parts = [f"# {_line(talk.title)}", f"*{_moment(talk.created_at_ms)}*"]
    for turn in turns:
        parts += _turn(turn, language)
    return "\n\n".join(parts) + "\n"


def file_name(talk: ConversationRecord, ending: str) -> str:
    """A name for the file, made of the title."""
    kept = "".join(letter if letter.isalnum() else "-" for letter in talk.title).strip("-")
    return f"{'-'.join(part for part in kept.split('-') if part)[:60] or 'conversation'}.{ending}"


def _turn(turn: TurnRecord, language: str) -> list[str]:
    parts = [f"## {_line(turn.question)}"]
    if turn.standalone and turn.standalone != turn.question:
        parts.append(f"> {translate(_ASKED_AS, language)}: {_line(turn.standalone)}")
    if turn.answer.strip():
        parts.append(turn.answer.strip())
    if turn.error_code:
        parts.append(f"> {_line(from_row(turn.error_code, turn.error_params).render(language).message)}")
    passages = passages_of(turn)
    for citation in cite(turn.answer, passages):
        page = "" if citation.page is None else translate(_PAGE, language, page=citation.page)
        quoted = "\n".join(f"> {line}" for line in passages[citation.marker - 1].text.strip().splitlines())
        parts.append(f"**[{citation.marker}] {_line(citation.document)}{page}**\n\n{quoted}")
    asked_of = " · ".join(part for part in (turn.base_name, turn.server_name, turn.model) if part)
    return [*parts, f"*{_line(asked_of)}*"]


def _line(text: str) -> str:
    return " ".join(text.split())


def _moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")
