"""A real little model server with bad manners to order, and the engine that launches it.

Run as a program it serves /health, /metrics in the words of vLLM, /v1/models and /v1/chat/completions until SIGTERM.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from services.serving.engines.protocol import LaunchCommand, Place
from services.serving.spec import ManagedSpec

MODEL = "fake"
FOREVER = 10_000
TOO_LONG = (
    "ValueError: The model's max seq len (32768) is larger than the maximum number of tokens that can be stored in KV "
    "cache ({fits}). Try increasing `gpu_memory_utilization` or decreasing `max_model_len` when initializing the "
    "engine. {key}"
)
"""What vLLM says, and a secret that it should not have said."""

METRICS = """\
vllm:num_requests_running{{engine="0"}} 0.0
vllm:num_requests_waiting{{engine="0"}} 0.0
vllm:kv_cache_usage_perc{{engine="0"}} 0.5
vllm:prompt_tokens_total{{engine="0"}} {prompt}
vllm:generation_tokens_total{{engine="0"}} {generated}
vllm:time_to_first_token_seconds_bucket{{engine="0",le="0.04"}} {chats}
vllm:time_to_first_token_seconds_bucket{{engine="0",le="+Inf"}} {chats}
vllm:time_to_first_token_seconds_count{{engine="0"}} {chats}
vllm:time_to_first_token_seconds_sum{{engine="0"}} {seconds}
"""
"""Each chat has had 5 and 2 tokens, and its first after 20 ms."""


class FakeSpec(ManagedSpec):
    """The flags of this module that it is to be started with."""

    flags: tuple[str, ...] = ()
    max_model_len: int = 0
    api_key: str = ""


class FakeEngine:
    """Launches this module with the flags that stand in the spec."""

    key = "fake"
    name = "Fake"
    spec = FakeSpec
    environment = None

    def launch(self, spec: Mapping[str, Any], place: Place) -> LaunchCommand:
        program = [sys.executable, "-m", "tests.fakes.engine", "--port", str(place.port)]
        length = ["--max-model-len", str(spec["max_model_len"])] if spec.get("max_model_len") else []
        argv = [*program, *spec.get("flags", []), *length, *spec.get("extra_args", [])]
        return LaunchCommand(argv, dict(spec.get("env", {})))


class Handler(BaseHTTPRequestHandler):
    """Answers like an OpenAI-compatible server that has just enough of the API."""

    ready_at = 0.0
    chats = embeds = True
    silent = False
    tells = True
    answered = 0

    def do_GET(self) -> None:
        if time.monotonic() < self.ready_at:
            self._send({"error": {"message": "Loading model", "type": "unavailable_error"}}, 503)
        elif self.path == "/health":
            self._send({"status": "ok"})
        elif self.path == "/metrics" and self.tells:
            self._send_metrics()
        elif self.path == "/v1/models":
            self._send({"object": "list", "data": [{"id": MODEL, "object": "model", "created": 0, "owned_by": "me"}]})
        else:
            if self.path == "/metrics":
                print("asked for metrics", flush=True)
            self._send({"error": {"message": "not found"}}, 404)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v1/embeddings" and self.embeds:
            self._send({"object": "list", "data": [{"index": 0, "embedding": [0.0]}]})
        elif self.path == "/v1/chat/completions" and self.chats:
            self._chat()
        else:
            self._send({"error": {"message": "The model does not support this"}}, 400)

    def _chat(self) -> None:
        while self.silent:
            time.sleep(0.1)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for word, reason in (("Hello ", None), ("there.", "stop")):
            choice = {"index": 0, "delta": {"content": word}, "finish_reason": reason}
            self._event({"choices": [choice]})
        self._event({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}})
        Handler.answered += 1
        self.wfile.write(b"data: [DONE]\n\n")

    def _send_metrics(self) -> None:
        chats = self.answered
        text = METRICS.format(prompt=5 * chats, generated=2 * chats, chats=chats, seconds=0.02 * chats)
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""

    def _event(self, part: dict[str, Any]) -> None:
        chunk = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": MODEL, **part}
        self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())

    def _send(self, body: dict[str, Any], status: int = 200) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def main() -> None:
    options = _options()
    if options.ignore_sigterm:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if options.fork_children:
        _fork_children()
    if options.print_megabytes:
        for number in range(options.print_megabytes * 1024):
            print(f"{number:9} {'.' * 1013}", flush=False)
    if options.fits and not 0 < options.max_model_len <= options.fits:
        print(TOO_LONG.format(fits=options.fits, key=os.environ.get("KEY", "")), flush=True)
        sys.exit(1)
    if options.fail:
        print("loading\nRuntimeError: the weights are of stone\n\nbye", flush=True)
        sys.exit(3)
    if options.crash_after is not None:
        threading.Timer(options.crash_after, os._exit, (4,)).start()
    if options.never_listen:
        time.sleep(FOREVER)
    Handler.chats, Handler.embeds = not options.no_chat, not options.no_embeddings
    Handler.silent, Handler.tells = options.silent, not options.no_metrics
    Handler.ready_at = time.monotonic() + (FOREVER if options.never_ready else options.slow_start)
    ThreadingHTTPServer(("127.0.0.1", options.port), Handler).serve_forever()


def _fork_children() -> None:
    """One child that has left the group and ignores SIGTERM, one that an exited process left behind."""
    stubborn = f"import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep({FOREVER})"
    subprocess.Popen([sys.executable, "-c", stubborn], start_new_session=True)
    leaving = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {stubborn!r}], start_new_session=True)"
    subprocess.run([sys.executable, "-c", leaving], check=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    for flag in ("ignore-sigterm", "fork-children", "never-ready", "never-listen", "fail", "no-chat", "silent"):
        parser.add_argument(f"--{flag}", action="store_true")
    for flag in ("no-embeddings", "no-metrics"):
        parser.add_argument(f"--{flag}", action="store_true")
    parser.add_argument("--fits", type=int, default=0)
    parser.add_argument("--max-model-len", type=int, default=0)
    parser.add_argument("--enforce-eager", action="store_true")
    parser.add_argument("--crash-after", type=float)
    parser.add_argument("--slow-start", type=float, default=0.0)
    parser.add_argument("--print-megabytes", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
