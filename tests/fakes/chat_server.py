"""A small real HTTP server that speaks OpenAI's chat API and misbehaves on request.

    with running_chat_server(answer="Forty-two [1].") as server:
        model = OpenAIChatModel(Endpoint("fake", server.url))
        ...
        assert server.chats[0].body["messages"][-1]["content"] == "What is it?"
        server.set(mode="dies_midway")

`answer` is the scripted text, or a function from the request's messages to the text. It is sent piece by piece (a word,
or one character of Chinese) with `delay_s` before each. `engine` decides what the server has beyond OpenAI's API:
"llama.cpp" (/props, /tokenize, prompt progress where it is asked for), "vllm" (/tokenize, max_model_len), "remote"
(nothing).
`api_key`: where given, every other key is refused. `first`: the logarithms of how likely an answer begins with which
token, told to whoever asks for `logprobs`; None: not told.

Modes (for /v1/chat/completions, some for every path; see `MODES`):
    normal            the answer
    slow              the answer, with at least 0.2 s before each piece
    dies_midway       half of the answer, then the connection breaks
    truncated         half of the answer, then the stream ends without a finish_reason
    error_midway      half of the answer, then an error event within the stream
    nonsense          a web page instead of JSON (every path)
    broken_json       a stream whose second event is no JSON
    empty             no text at all, properly ended
    loading           503 "Loading model" (every path)
    unauthorized      401 (every path)
    context_exceeded  400 in the words of the engine, as for every prompt of more than `context_length` pieces
    server_error      500
    busy              429
    ignores_usage     the answer without counts, though they were asked for
    hangs             accepts the request and never answers
    prompt_progress   reads the prompt in four steps with `delay_s` between, telling where it is as llama.cpp does

Every request is recorded in `requests` (those to /v1/chat/completions in `chats`) with path, headers and body;
`pieces_sent` counts the pieces that went out, `finished` tells that the answer was sent to its end, and `closed_early`
that the client went away before. `wait_for(condition)` polls until something about them is true.

As a child process: `python -m tests.fakes.chat_server --port 0 --mode normal --answer "Yes [1]."` prints its URL.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

MODES = (
    "normal",
    "slow",
    "dies_midway",
    "truncated",
    "error_midway",
    "nonsense",
    "broken_json",
    "empty",
    "loading",
    "unauthorized",
    "context_exceeded",
    "server_error",
    "busy",
    "ignores_usage",
    "hangs",
    "prompt_progress",
)
MODEL = "fake-model"
SLOW_S = 0.2
_PIECE = re.compile(r"\s*[A-Za-z0-9']+|\s*\S|\s+")

Answer = str | Callable[[list[dict[str, str]]], str]


class _Died(Exception):
    """Raised in the middle of a response, it makes uvicorn drop the connection."""


@dataclass
class Recorded:
    """One request as it came in, and what became of its answer."""

    path: str
    headers: dict[str, str]
    body: Any
    pieces_sent: int = 0
    finished: bool = False
    closed_early: bool = False


@dataclass
class ChatServer:
    """The server's switches and its record; change the switches with `set` at any time."""

    mode: str = "normal"
    answer: Answer = "Hello from the fake server."
    delay_s: float = 0.0
    engine: str = "remote"
    context_length: int = 4096
    model: str = MODEL
    api_key: str = ""
    first: dict[str, float] | None = None
    url: str = ""
    requests: list[Recorded] = field(default_factory=list)

    def set(self, **switches: Any) -> None:
        """Change mode, answer, delay_s, engine, context_length, model, api_key or first for the requests to come."""
        for name, value in switches.items():
            if name not in ("mode", "answer", "delay_s", "engine", "context_length", "model", "api_key", "first"):
                raise TypeError(f"the fake chat server has no switch {name}")
            if name == "mode" and value not in MODES:
                raise ValueError(f"no such mode: {value}")
            setattr(self, name, value)

    @property
    def chats(self) -> list[Recorded]:
        """The requests for an answer."""
        asked = (request for request in self.requests if request.path.endswith("/chat/completions"))
        return [request for request in asked if not (request.body or {}).get("logprobs")]

    @property
    def doubts(self) -> list[Recorded]:
        """The requests for what an answer could begin with."""
        return [request for request in self.requests if (request.body or {}).get("logprobs")]

    def wait_for(self, condition: Callable[[ChatServer], object], timeout_s: float = 10) -> None:
        """Return as soon as the condition holds; AssertionError when the time is over."""
        deadline = time.monotonic() + timeout_s
        while not condition(self):
            assert time.monotonic() < deadline, f"the fake chat server never came to it: {self.requests}"
            time.sleep(0.01)


def pieces(text: str) -> list[str]:
    """The pieces in which an answer is sent; joined they are the text."""
    return _PIECE.findall(text)


def application(server: ChatServer) -> Starlette:
    """The server's routes as an ASGI application."""
    routes = _Routes(server)
    return Starlette(
        routes=[
            Route("/v1/chat/completions", routes.chat, methods=["POST"]),
            Route("/v1/models", routes.models),
            Route("/tokenize", routes.tokenize, methods=["POST"]),
            Route("/props", routes.props),
            Route("/health", routes.health),
        ]
    )


class _Routes:
    def __init__(self, server: ChatServer) -> None:
        self.server = server

    async def chat(self, request: HttpRequest) -> Response:
        entry, server, mode = await self.recorded(request), self.server, self.server.mode
        if refusal := _refusal(server, request):
            return refusal
        if mode == "hangs":
            await _hang(request, entry)
        if mode == "context_exceeded":
            return JSONResponse(_too_long(server, server.context_length + 983), 400)
        if (needed := _prompt_tokens(entry)) > server.context_length:
            return JSONResponse(_too_long(server, needed), 400)
        if mode == "server_error":
            return JSONResponse({"error": {"message": "CUDA error: out of luck", "code": 500}}, 500)
        if mode == "busy":
            return JSONResponse({"error": {"message": "Rate limit reached", "type": "rate_limit_error"}}, 429)
        text = server.answer if isinstance(server.answer, str) else server.answer(entry.body["messages"])
        words = [] if mode == "empty" else pieces(text)
        limit = entry.body.get("max_tokens") or len(words)
        finish = "length" if len(words) > limit else "stop"
        if not entry.body.get("stream"):
            return JSONResponse(_whole(server, entry, "".join(words[:limit]), finish))
        return StreamingResponse(_stream(server, mode, entry, words[:limit], finish), media_type="text/event-stream")

    async def models(self, request: HttpRequest) -> Response:
        await self.recorded(request)
        server = self.server
        row: dict[str, Any] = {"id": server.model, "object": "model", "created": 1, "owned_by": "fake"}
        if server.engine == "vllm":
            row["max_model_len"] = server.context_length
        if server.engine == "llama.cpp":
            row |= {"owned_by": "llamacpp", "meta": {"n_ctx": server.context_length, "n_ctx_train": 32768}}
        return _refusal(server, request) or JSONResponse({"object": "list", "data": [row]})

    async def tokenize(self, request: HttpRequest) -> Response:
        entry, server = await self.recorded(request), self.server
        if refusal := _refusal(server, request):
            return refusal
        if server.engine == "llama.cpp":
            return JSONResponse({"tokens": list(range(len(pieces(entry.body.get("content", "")))))})
        if server.engine == "vllm":
            if "prompt" not in entry.body:
                return JSONResponse({"error": {"message": "Field required: prompt", "code": 400}}, 400)
            tokens = list(range(len(pieces(entry.body["prompt"]))))
            return JSONResponse({"count": len(tokens), "max_model_len": server.context_length, "tokens": tokens})
        return JSONResponse({"detail": "Not Found"}, 404)

    async def props(self, request: HttpRequest) -> Response:
        await self.recorded(request)
        if self.server.engine != "llama.cpp":
            return JSONResponse({"detail": "Not Found"}, 404)
        settings = {"n_ctx": self.server.context_length}
        return _refusal(self.server, request) or JSONResponse({"default_generation_settings": settings})

    async def health(self, request: HttpRequest) -> Response:
        await self.recorded(request)
        return _refusal(self.server, request) or JSONResponse({"status": "ok"})

    async def recorded(self, request: HttpRequest) -> Recorded:
        raw = await request.body()
        body: Any = None
        with contextlib.suppress(ValueError):
            body = json.loads(raw)
        entry = Recorded(request.url.path, dict(request.headers), body)
        self.server.requests.append(entry)
        return entry


def _refusal(server: ChatServer, request: HttpRequest) -> Response | None:
    if server.mode == "loading":
        return JSONResponse({"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}}, 503)
    if server.mode == "nonsense":
        return HTMLResponse("<!doctype html><title>Welcome to nginx</title>")
    wrong_key = server.api_key and request.headers.get("authorization") != f"Bearer {server.api_key}"
    if server.mode == "unauthorized" or wrong_key:
        return JSONResponse({"error": {"message": "Invalid API key", "type": "authentication_error", "code": 401}}, 401)
    return None


def _too_long(server: ChatServer, needed: int) -> dict[str, Any]:
    available = server.context_length
    if server.engine == "llama.cpp":
        return {
            "error": {
                "code": 400,
                "message": f"request ({needed} tokens) exceeds the available context size ({available} tokens)",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": needed,
                "n_ctx": available,
            }
        }
    message = (
        f"This model's maximum context length is {available} tokens. However, you requested {needed} tokens "
        "(100 in the messages, the rest in the completion). Please reduce the length."
    )
    return {"error": {"message": message, "type": "BadRequestError", "param": None, "code": 400}}


async def _hang(request: HttpRequest, entry: Recorded) -> None:
    while not await request.is_disconnected():
        await asyncio.sleep(0.02)
    entry.closed_early = True


async def _stream(server: ChatServer, mode: str, entry: Recorded, words: list[str], finish: str) -> AsyncIterator[str]:
    delay_s = max(server.delay_s, SLOW_S) if mode == "slow" else server.delay_s
    breaks_at = len(words) // 2 if mode in ("dies_midway", "truncated", "error_midway") else None
    try:
        yield _event(server, delta={"role": "assistant", "content": None})
        if mode == "prompt_progress" or (server.engine == "llama.cpp" and entry.body.get("return_progress")):
            for step in range(5):
                await asyncio.sleep(server.delay_s if mode == "prompt_progress" else 0)
                progress = {"total": 40, "cache": 0, "processed": 10 * step, "time_ms": step}
                yield _event(server, delta={"role": "assistant", "content": None}, prompt_progress=progress)
        for number, word in enumerate(words):
            await asyncio.sleep(delay_s)
            if number == breaks_at:
                if mode == "error_midway":
                    yield 'data: {"error": {"message": "the engine stopped", "code": 500}}\n\n'
                if mode == "dies_midway":
                    raise _Died
                return
            if mode == "broken_json" and number == 1:
                yield 'data: {"choices": [{"delta":\n\n'
            yield _event(server, delta={"content": word})
            entry.pieces_sent += 1
        yield _event(server, delta={}, finish_reason=finish)
        if mode != "ignores_usage" and (entry.body.get("stream_options") or {}).get("include_usage"):
            yield _data({**_head(server, "chat.completion.chunk"), "choices": [], "usage": _usage(entry)})
        yield "data: [DONE]\n\n"
        entry.finished = True
    except (asyncio.CancelledError, GeneratorExit):
        entry.closed_early = True
        raise


def _whole(server: ChatServer, entry: Recorded, text: str, finish: str) -> dict[str, Any]:
    entry.pieces_sent, entry.finished = len(pieces(text)), True
    choice: dict[str, Any] = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
    if entry.body.get("logprobs") and server.first is not None:
        likeliest = [{"token": token, "logprob": logprob} for token, logprob in server.first.items()]
        choice["logprobs"] = {"content": [{**likeliest[0], "top_logprobs": likeliest}]}
    return {**_head(server, "chat.completion"), "choices": [choice], "usage": _usage(entry)}


def _usage(entry: Recorded) -> dict[str, int]:
    prompt, sent = _prompt_tokens(entry), entry.pieces_sent
    return {"prompt_tokens": prompt, "completion_tokens": sent, "total_tokens": prompt + sent}


def _prompt_tokens(entry: Recorded) -> int:
    return sum(len(pieces(message["content"])) for message in entry.body["messages"])


def _head(server: ChatServer, kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-fake", "object": kind, "created": 1, "model": server.model}


def _event(server: ChatServer, *, delta: dict[str, Any], finish_reason: str | None = None, **beyond: Any) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return _data({**_head(server, "chat.completion.chunk"), "choices": [choice], **beyond})


def _data(event: dict[str, Any]) -> str:
    return f"data: {json.dumps(event, ensure_ascii=False)}\n\n"


def _uvicorn(server: ChatServer) -> uvicorn.Server:
    return uvicorn.Server(uvicorn.Config(application(server), log_config=None, lifespan="off", ws="none"))


def _listen(port: int) -> socket.socket:
    listening = socket.create_server(("127.0.0.1", port))
    listening.set_inheritable(False)
    return listening


@contextlib.contextmanager
def running_chat_server(
    mode: str = "normal", answer: Answer = "Hello from the fake server.", delay_s: float = 0.0, **switches: Any
) -> Iterator[ChatServer]:
    """A server on a free loopback port, in a thread of this process; `switches` as for `ChatServer.set`."""
    server = ChatServer()
    server.set(mode=mode, answer=answer, delay_s=delay_s, **switches)
    listening = _listen(0)
    server.url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
    runner = _uvicorn(server)
    thread = threading.Thread(target=runner.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        # The socket listens already: whoever connects before the server runs is merely served later.
        yield server
    finally:
        runner.should_exit = runner.force_exit = True
        thread.join(timeout=10)
        listening.close()


def main() -> None:
    """Serve until the process is ended; print the URL as the first line."""
    parser = argparse.ArgumentParser(description="A fake chat server.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--mode", choices=MODES, default="normal")
    parser.add_argument("--answer", default=ChatServer.answer)
    parser.add_argument("--delay-s", type=float, default=0.0)
    parser.add_argument("--engine", choices=("remote", "llama.cpp", "vllm"), default="remote")
    options = parser.parse_args()
    server = ChatServer(options.mode, options.answer, options.delay_s, options.engine)
    listening = _listen(options.port)
    server.url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
    print(server.url, flush=True)
    _uvicorn(server).run(sockets=[listening])


if __name__ == "__main__":
    main()
