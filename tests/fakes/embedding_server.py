"""A small real HTTP server that speaks OpenAI's embeddings API and misbehaves on request.

    with running_embedding_server(model="bge-m3") as server:
        ...
        server.set(mode="busy")
        server.stop()   # nobody listens any more
        server.start()  # at the same address

Its vectors are those of `HashEmbedder`, cut or repeated to `dimensions`; `mirrored` makes others under the same name.
`engine` decides how it counts tokens: "embeddings" as Lectern's own engine does, "vllm", "llama.cpp", or "remote": not.

Modes (see `MODES`):
    normal           the vectors
    slow             the vectors, after `delay_s`
    hangs            accepts the request and never answers
    wrong_count      one vector too few
    ragged           one vector shorter than the others
    zero             a vector without a length
    disordered       the vectors backwards, with their numbers
    nonsense         a web page instead of JSON (every path)
    busy             429 (every request for vectors)
    server_error     500
    loading          503 (every path)
    unauthorized     401 (every path)
    not_offered      404, as a chat server answers
    no_such_model    404, as Ollama answers for a model that it lacks

Every request for vectors is recorded in `asked`, as a list of its texts. As a program it serves until SIGTERM:
`python -m tests.fakes.embedding_server --port 1234 --model bge-m3`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from tests.fakes.embedder import DIMENSIONS, SPECIAL_TOKENS, TOKEN, hashed
from tests.fakes.serving import serving

MODES = (
    *("normal", "slow", "hangs", "wrong_count", "ragged", "zero", "disordered", "nonsense", "busy", "server_error"),
    *("loading", "unauthorized", "not_offered", "no_such_model"),
)
REFUSALS = {
    "busy": (429, "Rate limit reached"),
    "server_error": (500, "CUDA out of memory"),
    "not_offered": (404, "Not Found"),
    "no_such_model": (404, 'model "bge-m3" not found, try pulling it first'),
}
EVERYWHERE = {"loading": (503, "The model is being loaded"), "unauthorized": (401, "Invalid API key")}
SWITCHES = (
    *("mode", "delay_s", "engine", "model", "names", "answers_as", "dimensions", "mirrored", "alike", "window_tokens"),
    *("most_texts", "reads_tokens", "revision"),
)


@dataclass
class EmbeddingServer:
    """The server's switches and its record; change the switches with `set` at any time."""

    mode: str = "normal"
    delay_s: float = 0.5
    engine: str = "embeddings"
    model: str = "bge-m3"
    names: tuple[str, ...] = ()
    """Further models that it lists before its own."""
    answers_as: str = ""
    """The name that stands in its answers; empty: that which was asked for."""
    dimensions: int = DIMENSIONS
    mirrored: bool = False
    alike: float = 0.0
    """What all its vectors have in common, from 0 to 1: the cosine of texts that have nothing in common."""
    window_tokens: int | None = 128
    """What it tells; None: nothing."""
    most_texts: int = 10_000
    """Of one request; more are refused."""
    reads_tokens: int = 10_000
    """Of one text; longer ones are refused."""
    revision: str | None = None
    port: int = 0
    asked: list[list[str]] = field(default_factory=list)
    _stop: Callable[[], None] | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def texts(self) -> list[str]:
        """All texts whose vectors were asked for."""
        return [text for texts in self.asked for text in texts]

    def set(self, **switches: Any) -> None:
        """Change switches for the requests to come."""
        for name, value in switches.items():
            if name not in SWITCHES or (name == "mode" and value not in MODES):
                raise TypeError(f"the fake embedding server has no {name}={value}")
            setattr(self, name, value)

    def start(self) -> None:
        """Listen, at the port of the last time."""
        self.port, self._stop = serving(application(self), self.port)

    def stop(self) -> None:
        """Be gone; what was asked and not answered breaks."""
        if self._stop:
            self._stop()
        self._stop = None

    def vectors(self, texts: list[str]) -> list[list[float]]:
        """What it answers with."""
        rows = np.stack([np.resize(hashed(text), self.dimensions) for text in texts])
        if self.alike:
            units = rows / np.linalg.norm(rows, axis=1, keepdims=True) * np.sqrt(1 - self.alike)
            rows = np.hstack([units, np.full((len(texts), 1), np.sqrt(self.alike))])
        return [[float(value) for value in (row[::-1] if self.mirrored else row)] for row in rows]

    def wait_for(self, condition: Callable[[EmbeddingServer], object], timeout_s: float = 30) -> None:
        """Return as soon as the condition holds; AssertionError when the time is over."""
        deadline = time.monotonic() + timeout_s
        while not condition(self):
            assert time.monotonic() < deadline, f"the fake embedding server never came to it: {self.asked}"
            time.sleep(0.02)


def application(server: EmbeddingServer) -> Starlette:
    """The server's routes as an ASGI application."""
    routes = _Routes(server)
    return Starlette(
        routes=[
            Route("/v1/embeddings", routes.embeddings, methods=["POST"]),
            Route("/v1/models", routes.models),
            Route("/tokenize", routes.tokenize, methods=["POST"]),
            Route("/health", routes.health),
        ]
    )


class _Routes:
    def __init__(self, server: EmbeddingServer) -> None:
        self.server = server

    async def embeddings(self, request: Request) -> Response:
        server, body = self.server, await request.json()
        texts = [body["input"]] if isinstance(body["input"], str) else list(body["input"])
        server.asked.append(texts)
        if refused := _everywhere(server) or _refused(server, texts):
            return refused
        if server.mode == "hangs":
            while server.mode == "hangs" and not await request.is_disconnected():
                await asyncio.sleep(0.02)
        if server.mode == "slow":
            await asyncio.sleep(server.delay_s)
        return JSONResponse(_answer(server, texts, body.get("model") or server.model))

    async def models(self, request: Request) -> Response:
        server = self.server
        told = {"max_model_len": server.window_tokens, "revision": server.revision}
        own = {"id": server.model, "object": "model", **{key: value for key, value in told.items() if value}}
        rows = [*({"id": name, "object": "model"} for name in server.names), own]
        return _everywhere(server) or JSONResponse({"object": "list", "data": rows})

    async def tokenize(self, request: Request) -> Response:
        server, body = self.server, await request.json()
        if refused := _everywhere(server):
            return refused
        form = {"embeddings": "input", "vllm": "prompt", "llama.cpp": "content"}.get(server.engine)
        if form is None:
            return JSONResponse({"detail": "Not Found"}, 404)
        if form not in body:
            return JSONResponse({"error": {"message": f"Field required: {form}", "code": 400}}, 400)
        if form == "input":
            return JSONResponse({"counts": [tokens(text) for text in body[form]]})
        return JSONResponse({"tokens": list(range(tokens(body[form])))})

    async def health(self, request: Request) -> Response:
        return _everywhere(self.server) or JSONResponse({"status": "ok"})


def tokens(text: str) -> int:
    """Words, Chinese characters and signs, with two special tokens."""
    return len(TOKEN.findall(text)) + SPECIAL_TOKENS


def _everywhere(server: EmbeddingServer) -> Response | None:
    if server.mode == "nonsense":
        return HTMLResponse("<!doctype html><title>Welcome to nginx</title>")
    return _error(*EVERYWHERE[server.mode]) if server.mode in EVERYWHERE else None


def _refused(server: EmbeddingServer, texts: list[str]) -> Response | None:
    if server.mode in REFUSALS:
        return _error(*REFUSALS[server.mode])
    if len(texts) > server.most_texts:
        return _error(422, f"batch size {len(texts)} > maximum allowed batch size {server.most_texts}")
    longest = max(map(tokens, texts))
    if longest > server.reads_tokens:
        return _error(400, f"maximum context length is {server.reads_tokens} tokens, however you requested {longest}")
    return None


def _answer(server: EmbeddingServer, texts: list[str], asked: str) -> dict[str, Any]:
    rows = server.vectors(texts)
    if server.mode == "wrong_count":
        rows = rows[:-1]
    elif server.mode == "ragged":
        rows[-1] = [*rows[-1], 0.5]
    elif server.mode == "zero":
        rows[-1] = [0.0] * len(rows[-1])
    data = [{"object": "embedding", "index": place, "embedding": row} for place, row in enumerate(rows)]
    if server.mode == "disordered":
        data.reverse()
    return {"object": "list", "data": data, "model": server.answers_as or asked, "usage": {"prompt_tokens": 1}}


def _error(status: int, message: str) -> Response:
    headers = {"retry-after": "0"} if status == 429 else {}
    return JSONResponse({"error": {"message": message, "type": "error", "code": status}}, status, headers)


@contextlib.contextmanager
def running_embedding_server(**switches: Any) -> Iterator[EmbeddingServer]:
    """A server on a free loopback port, in threads of this process; `switches` as for `EmbeddingServer.set`."""
    server = EmbeddingServer()
    server.set(**switches)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description="A fake embedding server.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model", default=EmbeddingServer.model)
    parser.add_argument("--dimensions", type=int, default=DIMENSIONS)
    options, _ = parser.parse_known_args()
    server = EmbeddingServer(model=options.model, dimensions=options.dimensions)
    uvicorn.run(application(server), host="127.0.0.1", port=options.port, log_config=None, lifespan="off", ws="none")


if __name__ == "__main__":
    main()
