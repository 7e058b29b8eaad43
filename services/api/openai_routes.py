"""OpenAI's API over every server, every knowledge base and the embedder."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from services.api import refusals, served
from services.api.access import Anyone, Chatting
from services.api.asking import asker_of
from services.api.shapes import Chat, Completion, Embeddings
from services.api.streams import Streamed, begun, while_there
from services.core.api_errors import ModelNotServed
from services.llm.relay import Json

EVENTS = "text/event-stream"

router = APIRouter(prefix="/v1", tags=["OpenAI"])


@router.get("/models")
def models(caller: Anyone) -> JSONResponse:
    """Everything that can be asked: `server:<name>`, `kb:<name>` and `embedder:<key>`."""
    return JSONResponse({"object": "list", "data": list(served.rows(caller.services))})


@router.get("/models/{name:path}")
def model(name: str, caller: Anyone) -> JSONResponse:
    """One of them."""
    found = next((row for row in served.rows(caller.services) if row["id"] == name), None)
    if found is None:
        raise ModelNotServed(name=name)
    return JSONResponse(found)


@router.post("/chat/completions")
async def chat(request: Request, asked: Chat, caller: Chatting) -> Response:
    """An answer to a conversation, whole or streamed.

    A `kb:` model answers the last message from its documents; earlier messages are its memory. Citations, passages
    and times stand under `lectern` in the whole answer, or in the last piece of the stream.
    """
    if asked.stream:
        source = await begun(request, asker_of(request).chat_chunks(asked, caller))
        return Streamed(events(request, source, counted=asked.counted), EVENTS)
    return JSONResponse(await while_there(request, asker_of(request).chat(asked, caller)))


@router.post("/completions")
async def completions(request: Request, asked: Completion, caller: Chatting) -> Response:
    """How a model goes on with a text; what only chats is asked the text as a question."""
    if asked.stream:
        source = await begun(request, asker_of(request).completion_chunks(asked, caller))
        return Streamed(events(request, source, counted=asked.counted), EVENTS)
    return JSONResponse(await while_there(request, asker_of(request).completion(asked, caller)))


@router.post("/embeddings")
async def embeddings(request: Request, asked: Embeddings, caller: Chatting) -> JSONResponse:
    """The vectors of texts, by the embedder of the knowledge bases or by an embeddings server."""
    return JSONResponse(await while_there(request, asker_of(request).embeddings(asked, caller)))


async def events(request: Request, source: AsyncGenerator[Json], *, counted: bool) -> AsyncGenerator[str]:
    """Server-sent events; an error in the middle is one as well, as OpenAI's clients expect it."""
    try:
        async for chunk in source:
            if chunk.get("choices") or counted or "lectern" in chunk:
                yield f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n"
        yield "data: [DONE]\n\n"
    except Exception as error:  # noqa: BLE001 - the status has gone out: the error follows as an event
        row = refusals.told(refusals.known(error), refusals.language(request))
        yield f"data: {json.dumps({'error': row}, ensure_ascii=False)}\n\n"
    finally:
        await source.aclose()
