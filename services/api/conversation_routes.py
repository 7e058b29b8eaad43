"""Conversations as the page has them: read, begun and gone on with by programs.

A key reaches the conversations of whoever made it on the page and said so; any other key those that were begun with it.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from services.api.access import Caller, Chatting, Reading
from services.api.asking import asker_of, whole
from services.api.base_answers import told_of
from services.api.openai_routes import EVENTS, events
from services.api.refusals import language
from services.api.streams import Streamed, begun, while_there
from services.chat.choices import Choices
from services.chat.exporting import head_row
from services.chat.turns import CHAT, KNOWLEDGE
from services.core.errors import from_row
from services.store.conversations import ConversationRecord, TurnRecord

router = APIRouter(prefix="/v1/conversations", tags=["Conversations"])


class Question(BaseModel):
    """The next question of a conversation."""

    model_config = ConfigDict(extra="forbid")

    content: str
    knowledge_bases: list[str] | None = Field(
        None, description="names or ids of those to answer from, [] for none; left out: as it was last asked"
    )
    server: str | None = Field(None, description="name or id of the chat server; left out: the one that was last asked")
    stream: bool = False


@router.get("")
def conversations(caller: Reading) -> JSONResponse:
    """All that the key reaches, the last used first."""
    found = caller.services.chat.conversations(caller.talks_as)
    return JSONResponse({"object": "list", "data": [_head(talk) for talk in found]})


@router.post("")
async def begin(request: Request, asked: Question, caller: Chatting) -> Response:
    """Begin one with its first question; the answer names it under `lectern`."""
    return await _answered(request, asked, caller, None)


@router.get("/{id}")
def show(id: str, request: Request, caller: Reading) -> JSONResponse:
    """One with its messages in OpenAI's form, citations and passages beside."""
    chat = caller.services.chat
    talk, turns = chat.conversation(caller.talks_as, id), chat.turns(caller.talks_as, id)
    said = [message for turn in turns for message in _messages(turn, language(request))]
    return JSONResponse({**_head(talk), "messages": said})


@router.post("/{id}/messages")
async def go_on(id: str, request: Request, asked: Question, caller: Chatting) -> Response:
    """Ask the next question: it is answered as on the page, and kept. Whole, or as a stream of OpenAI's pieces."""
    return await _answered(request, asked, caller, id)


async def _answered(request: Request, asked: Question, caller: Caller, id: str | None) -> Response:
    source = asker_of(request).turn_chunks(partial(_asked, caller, asked, id), caller)
    if asked.stream:
        return Streamed(events(request, await begun(request, source), counted=True), EVENTS)
    return JSONResponse(await while_there(request, whole(source)))


def _asked(caller: Caller, asked: Question, id: str | None) -> TurnRecord:
    services = caller.services
    talk = services.chat.conversation(caller.talks_as, id) if id else None
    kept = Choices.stored(talk.settings if talk else {})
    mode: str | None = kept.mode
    if asked.knowledge_bases is None:
        known = {base.id for base in services.store.bases.all()}
        base_ids = [base_id for base_id in kept.base_ids or () if base_id in known]
    else:
        base_ids = [services.knowledge.base(name).id for name in asked.knowledge_bases]
        mode = KNOWLEDGE if base_ids else CHAT
    return services.chat.ask(
        caller.talks_as,
        asked.content,
        conversation_id=id,
        base_ids=base_ids,
        server=asked.server,
        choices=Choices.of({"mode": mode}),
    )


def _head(talk: ConversationRecord) -> dict[str, Any]:
    return {"object": "conversation", **head_row(talk)}


def _messages(turn: TurnRecord, language: str) -> list[dict[str, Any]]:
    """A question and its answer; why there is none, or only a part of one, stands under `lectern`."""
    error = from_row(turn.error_code, turn.error_params).render(language) if turn.error_code else None
    told = {"code": error.code, "message": error.message, "remedy": error.remedy} if error else None
    ours = {"turn_id": turn.id, "mode": turn.mode, "state": turn.state, "error": told, **told_of(turn)}
    return [
        {"role": "user", "content": turn.question},
        {"role": "assistant", "content": turn.answer, "lectern": ours},
    ]
