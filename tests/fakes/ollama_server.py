"""A small real server that speaks Ollama's documented API; as a program it is started like `ollama serve`.

https://docs.ollama.com/api: /api/version, tags, show, ps, pull, delete, generate, chat, and /v1 beside them. Its disk
is a JSON file in OLLAMA_MODELS, its models answer with the words of the question.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

VERSION = "0.14.2"
DETAILS = {
    "parent_model": "",
    "format": "gguf",
    "family": "qwen3",
    "families": ["qwen3"],
    "parameter_size": "8.2B",
    "quantization_level": "Q4_K_M",
}
SIZE = 5_200_000_000
LAYERS = {"weights": 5_199_000_000, "template": 1_000_000}
ABSENT = "no-such-model"
"""The name that the registry does not have."""


class Disk:
    """The models of one server, and those in memory with the time until which they stay."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "models.json"
        folder.mkdir(parents=True, exist_ok=True)
        self.names: list[str] = json.loads(self._file.read_text()) if self._file.exists() else []
        self.loaded: dict[str, datetime] = {}
        self.lock = threading.Lock()

    def keep(self) -> None:
        self._file.write_text(json.dumps(self.names))


class Handler(BaseHTTPRequestHandler):
    """One request."""

    disk: Disk

    def do_GET(self) -> None:
        answers = {"/api/version": self._version, "/api/tags": self._tags, "/api/ps": self._ps, "/v1/models": self._v1}
        answer = answers.get(self.path)
        if answer:
            self._send(answer())
        elif self.path == "/":
            self._send("Ollama is running")
        else:
            self._send("404 page not found", 404)

    def do_POST(self) -> None:
        body = self._body()
        answers = {
            "/api/show": self._show,
            "/api/pull": self._pull,
            "/api/generate": self._generate,
            "/api/chat": self._chat,
            "/v1/chat/completions": self._v1_chat,
        }
        answer = answers.get(self.path)
        if answer is None:
            self._send("404 page not found", 404)
        elif self.path != "/api/pull" and self._name(body) not in self.disk.names:
            self._send({"error": f"model '{self._name(body)}' not found"}, 404)
        else:
            answer(body)

    def do_DELETE(self) -> None:
        name = self._name(self._body())
        if self.path != "/api/delete" or name not in self.disk.names:
            self._send({"error": f"model '{name}' not found"}, 404)
            return
        with self.disk.lock:
            self.disk.names.remove(name)
            self.disk.loaded.pop(name, None)
            self.disk.keep()
        self._send("")

    def _version(self) -> dict[str, Any]:
        return {"version": VERSION}

    def _tags(self) -> dict[str, Any]:
        at = "2026-11-01T12:00:00.123456789+01:00"
        rows = [{"name": name, "model": name, "modified_at": at, "size": SIZE} for name in self.disk.names]
        return {"models": [{**row, "digest": digest(str(row["name"])), "details": DETAILS} for row in rows]}

    def _ps(self) -> dict[str, Any]:
        now = datetime.now(UTC)
        living = {name: until for name, until in self.disk.loaded.items() if until > now}
        sizes = {"size": SIZE + 10**9, "size_vram": SIZE, "context_length": 4096, "details": DETAILS}
        return {
            "models": [
                {"name": name, "model": name, "digest": digest(name), "expires_at": until.isoformat(), **sizes}
                for name, until in living.items()
            ]
        }

    def _v1(self) -> dict[str, Any]:
        listed = [{"id": name, "object": "model", "created": 0, "owned_by": "library"} for name in self.disk.names]
        return {"object": "list", "data": listed or None}  # as the real one: a list in Go that nobody has made

    def _show(self, body: dict[str, Any]) -> None:
        facts = {"general.architecture": "qwen3", "qwen3.context_length": 40960, "qwen3.block_count": 36}
        told = {"modelfile": "FROM x", "template": "{{ .Prompt }}", "license": "Apache-2.0", "details": DETAILS}
        self._send({**told, "model_info": facts, "capabilities": ["completion", "tools"], "parameters": "stop x"})

    def _pull(self, body: dict[str, Any]) -> None:
        name = self._name(body)
        lines: list[dict[str, Any]] = [{"status": "pulling manifest"}]
        if name.startswith(ABSENT):
            lines.append({"error": "pull model manifest: file does not exist"})
        else:
            for layer, total in LAYERS.items():
                row = {"status": f"pulling {layer}", "digest": digest(layer), "total": total}
                lines += [row, {**row, "completed": total // 2}, {**row, "completed": total}]
            lines += [{"status": text} for text in ("verifying sha256 digest", "writing manifest", "success")]
            with self.disk.lock:
                if name not in self.disk.names:
                    self.disk.names.append(name)
                self.disk.keep()
        self._stream(lines) if body.get("stream", True) else self._send(lines[-1])

    def _generate(self, body: dict[str, Any]) -> None:
        self._answer(body, body.get("prompt", ""), lambda text: {"response": text})

    def _chat(self, body: dict[str, Any]) -> None:
        messages = body.get("messages") or []
        last = messages[-1]["content"] if messages else ""
        self._answer(body, last, lambda text: {"message": {"role": "assistant", "content": text}})

    def _answer(self, body: dict[str, Any], question: str, piece: Any) -> None:
        name, head = self._name(body), {"model": self._name(body), "created_at": datetime.now(UTC).isoformat()}
        stays = seconds(body.get("keep_alive", "5m"))
        with self.disk.lock:
            self.disk.loaded.pop(name, None)
            if stays:
                self.disk.loaded[name] = datetime.now(UTC) + timedelta(seconds=stays)
        if not question:
            reason = "load" if stays else "unload"
            self._send({**head, **piece(""), "done": True, "done_reason": reason})
            return
        words = question.split()[: (body.get("options") or {}).get("num_predict", 1000)]
        counts = {"prompt_eval_count": len(question.split()), "eval_count": len(words), "total_duration": 5_000_000}
        parts = [{**head, **piece(word + " "), "done": False} for word in words]
        end = {**head, **piece(""), "done": True, "done_reason": "stop", **counts}
        if body.get("stream", True):
            self._stream([*parts, end])
        else:
            self._send({**end, **piece(" ".join(words))})

    def _v1_chat(self, body: dict[str, Any]) -> None:
        head = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": body["model"]}
        choices = [{"index": 0, "delta": {"content": "Yes."}, "finish_reason": None}]
        end = [{"index": 0, "delta": {}, "finish_reason": "stop"}]
        usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
        rows = [{**head, "choices": choices}, {**head, "choices": end}, {**head, "choices": [], "usage": usage}]
        text = "".join(f"data: {json.dumps(row)}\n\n" for row in rows) + "data: [DONE]\n\n"
        self._raw(text.encode(), "text/event-stream")

    def _name(self, body: dict[str, Any]) -> str:
        name = str(body.get("model") or body.get("name") or "")
        return name if ":" in name else f"{name}:latest"

    def _body(self) -> dict[str, Any]:
        return dict(json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}"))

    def _stream(self, rows: list[dict[str, Any]]) -> None:
        self._raw("".join(json.dumps(row) + "\n" for row in rows).encode(), "application/x-ndjson")

    def _send(self, body: object, status: int = 200) -> None:
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self._raw(content, "text/plain" if isinstance(body, str) else "application/json; charset=utf-8", status)

    def _raw(self, content: bytes, kind: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""


def digest(name: str) -> str:
    return sha256(name.encode()).hexdigest()


def seconds(keep_alive: float | str) -> float:
    """Ollama's durations: a number, or one with a unit; negative for ever."""
    if isinstance(keep_alive, str) and keep_alive[-1:] in "smh":
        keep_alive = float(keep_alive[:-1]) * {"s": 1, "m": 60, "h": 3600}[keep_alive[-1]]
    stays = float(keep_alive)
    return 10**9 if stays < 0 else stays


def main() -> None:
    if sys.argv[1:] != ["serve"]:
        sys.exit("Error: unknown command")
    host, _, port = os.environ["OLLAMA_HOST"].rpartition(":")
    Handler.disk = Disk(Path(os.environ["OLLAMA_MODELS"]))
    try:
        server = ThreadingHTTPServer((host, int(port)), Handler)
    except OSError:
        sys.exit(f"Error: listen tcp {host}:{port}: bind: address already in use")
    print(f'time=now level=INFO msg="Listening on {host}:{port} (version {VERSION})"', file=sys.stderr, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
