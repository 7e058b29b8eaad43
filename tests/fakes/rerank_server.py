"""A small real HTTP server that reranks in the form of Cohere and Jina, and misbehaves on request.

    with running_rerank_server() as server:
        ...
        server.set(mode="busy")
        server.stop()   # nobody listens any more
        server.start()  # at the same address

Its rule: the fewer words a text shares with the question, the better; each shared word costs 1. What searches by words
put first, it puts last.

Modes (see `MODES`):
    normal           the scores, best first
    hangs            accepts the request and never answers
    missing          one score too few
    twice            one index twice, another not at all
    beyond           an index that no text has
    not_a_number     NaN as a score
    infinite         a score beyond all bounds
    words            a score in words
    nonsense         a web page instead of JSON (every path)
    busy             429
    server_error     500
    loading          503 (every path)
    unauthorized     401 (every path)
    not_offered      404, as a chat server answers
    switched_off     501, as llama.cpp answers that was not told to rerank

Every request for scores is recorded in `asked`, as its body.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from tests.fakes.serving import serving

REFUSALS = {
    "busy": (429, "Rate limit reached"),
    "server_error": (500, "CUDA out of memory"),
    "not_offered": (404, "Not Found"),
    "switched_off": (501, "This server does not support reranking. Start it with `--reranking`"),
}
EVERYWHERE = {"loading": (503, "The model is being loaded"), "unauthorized": (401, "Invalid API key")}
ODD_SCORES = {"not_a_number": float("nan"), "infinite": float("inf"), "words": "very good"}
MODES = ("normal", "hangs", "missing", "twice", "beyond", "nonsense", *ODD_SCORES, *REFUSALS, *EVERYWHERE)


@dataclass
class RerankServer:
    """The server's switches and its record; change the switches with `set` at any time."""

    mode: str = "normal"
    model: str = "bge-reranker-v2-m3"
    port: int = 0
    asked: list[dict[str, Any]] = field(default_factory=list)
    _stop: Callable[[], None] | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}/v1"

    def set(self, mode: str) -> None:
        """Change how the requests to come are answered."""
        if mode not in MODES:
            raise TypeError(f"the fake rerank server has no mode {mode}")
        self.mode = mode

    def start(self) -> None:
        """Listen, at the port of the last time."""
        self.port, self._stop = serving(application(self), self.port)

    def stop(self) -> None:
        """Be gone; what was asked and not answered breaks."""
        if self._stop:
            self._stop()
        self._stop = None


def application(server: RerankServer) -> Starlette:
    """The server's routes as an ASGI application."""

    async def rerank(request: Request) -> Response:
        body = await request.json()
        server.asked.append(body)
        if refused := _refused(server, {**REFUSALS, **EVERYWHERE}):
            return refused
        while server.mode == "hangs" and not await request.is_disconnected():
            await asyncio.sleep(0.02)
        rows = _rows(body["query"], body["documents"], server.mode)
        # json.dumps writes NaN and Infinity, as careless servers do.
        return Response(json.dumps({"model": server.model, "results": rows}), media_type="application/json")

    async def models(request: Request) -> Response:
        listed = {"object": "list", "data": [{"id": server.model, "object": "model"}]}
        return _refused(server, EVERYWHERE) or JSONResponse(listed)

    return Starlette(routes=[Route("/v1/rerank", rerank, methods=["POST"]), Route("/v1/models", models)])


def score(question: str, text: str) -> float:
    """Minus the number of words that both have."""
    return float(-len(_words(question) & _words(text)))


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def _rows(question: str, texts: Sequence[str], mode: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {"index": place, "relevance_score": score(question, text)} for place, text in enumerate(texts)
    ]
    rows.sort(key=lambda row: -row["relevance_score"])
    if mode == "missing":
        rows.pop()
    elif mode == "twice":
        rows[-1]["index"] = rows[0]["index"]
    elif mode == "beyond":
        rows[-1]["index"] = len(texts)
    elif mode in ODD_SCORES:
        rows[-1]["relevance_score"] = ODD_SCORES[mode]
    return rows


def _refused(server: RerankServer, refusals: dict[str, tuple[int, str]]) -> Response | None:
    if server.mode == "nonsense":
        return HTMLResponse("<!doctype html><title>Welcome to nginx</title>")
    if server.mode not in refusals:
        return None
    status, message = refusals[server.mode]
    return JSONResponse({"error": {"message": message, "type": "error", "code": status}}, status)


@contextlib.contextmanager
def running_rerank_server(mode: str = "normal") -> Iterator[RerankServer]:
    """A server on a free loopback port, in threads of this process."""
    server = RerankServer()
    server.set(mode)
    server.start()
    try:
        yield server
    finally:
        server.stop()
