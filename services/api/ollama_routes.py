"""Ollama's API over every server and every knowledge base, so that its clients work with any engine.

`keep_alive` is taken and ignored: how long a model stays in memory is decided for its server (`--idle-minutes`), not by
whoever asks. Durations are nanoseconds.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from services import __version__
from services.api import refusals, served
from services.api.access import Anyone, Chatting
from services.api.asking import asker_of
from services.api.ollama_shapes import OllamaAnswer, OllamaChat, OllamaEmbed, OllamaGenerate, OllamaShow
from services.api.shapes import Embeddings
from services.api.streams import Streamed, begun, while_there
from services.core.api_errors import ModelNotServed
from services.core.clock import ticks_ms
from services.llm.relay import Json

LINES = "application/x-ndjson"

router = APIRouter(prefix="/api", tags=["Ollama"])


@router.get("/version")
def version() -> JSONResponse:
    """The version of Lectern; no version of Ollama stands behind this API."""
    return JSONResponse({"version": __version__})


@router.get("/tags")
def tags(caller: Anyone) -> JSONResponse:
    """Everything that can be asked. Sizes and digests are unknown: the engines keep their files."""
    return JSONResponse({"models": [_tag(row) for row in served.rows(caller.services)]})


@router.post("/show")
def show(asked: OllamaShow, caller: Anyone) -> JSONResponse:
    """What is known of one of them."""
    row = next((row for row in served.rows(caller.services) if row["id"] == asked.name_of), None)
    if row is None:
        raise ModelNotServed(name=asked.name_of)
    kind = row["lectern"]["kind"]
    capabilities = ["embedding"] if kind == "embedding" else ["completion"]
    facts = {"general.architecture": kind, **{f"lectern.{key}": value for key, value in row["lectern"].items()}}
    shown = {"modelfile": "", "parameters": "", "template": "", "modified_at": _time(row["created"])}
    return JSONResponse({**shown, "details": _details(row), "model_info": facts, "capabilities": capabilities})


@router.post("/chat")
async def chat(request: Request, asked: OllamaChat, caller: Chatting) -> Response:
    """An answer to a conversation."""
    if not asked.messages:
        await caller.used(0, 0)
        return JSONResponse(OllamaAnswer(asked.model, "message").loaded(asked.unloads))
    answer = OllamaAnswer(asked.model, "message")
    return await _answered(
        request, answer, asker_of(request).chat_chunks(asked.in_openai_form(), caller), stream=asked.streams
    )


@router.post("/generate")
async def generate(request: Request, asked: OllamaGenerate, caller: Chatting) -> Response:
    """An answer to one text; with `raw`, how the model goes on with it."""
    answer = OllamaAnswer(asked.model, "response")
    if not asked.prompt:
        await caller.used(0, 0)
        return JSONResponse(answer.loaded(asked.unloads))
    source = (
        asker_of(request).completion_chunks(asked.as_text(), caller)
        if asked.raw or asked.suffix
        else asker_of(request).chat_chunks(asked.in_openai_form(), caller)
    )
    return await _answered(request, answer, source, stream=asked.streams)


@router.post("/embed")
async def embed(request: Request, asked: OllamaEmbed, caller: Chatting) -> JSONResponse:
    """The vectors of texts."""
    begin = ticks_ms()
    wanted = Embeddings(model=asked.model, input=asked.input, dimensions=asked.dimensions)
    made = await while_there(request, asker_of(request).embeddings(wanted, caller))
    row = {"model": asked.model, "embeddings": [each["embedding"] for each in made["data"]]}
    counts = {"prompt_eval_count": (made.get("usage") or {}).get("prompt_tokens")}
    return JSONResponse({**row, "total_duration": int((ticks_ms() - begin) * 1e6), "load_duration": 0, **counts})


async def _answered(request: Request, answer: OllamaAnswer, source: AsyncGenerator[Json], *, stream: bool) -> Response:
    if stream:
        return Streamed(_lines(request, answer, await begun(request, source)), LINES)
    return JSONResponse(await while_there(request, answer.whole(source)))


async def _lines(request: Request, answer: OllamaAnswer, source: AsyncGenerator[Json]) -> AsyncGenerator[str]:
    try:
        async for chunk in source:
            for row in answer.grown(chunk):
                yield json.dumps(row, ensure_ascii=False) + "\n"
        yield json.dumps(answer.ended(), ensure_ascii=False) + "\n"
    except Exception as error:  # noqa: BLE001 - the status has gone out: the error follows as a line
        row = refusals.told(refusals.known(error), refusals.language(request))
        yield json.dumps({"error": row["message"]}, ensure_ascii=False) + "\n"
    finally:
        await source.aclose()


def _tag(row: dict[str, Any]) -> dict[str, Any]:
    name = row["id"]
    return {
        "name": name,
        "model": name,
        "modified_at": _time(row["created"]),
        "size": None,
        "digest": None,
        "details": _details(row),
    }


def _details(row: dict[str, Any]) -> dict[str, Any]:
    kind = row["lectern"]["kind"]
    unknown = {"parent_model": "", "format": "", "parameter_size": "", "quantization_level": ""}
    return {**unknown, "family": kind, "families": [kind]}


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
