"""A real HTTP server that receives what a webhook is told, and misbehaves on request.

    with receiver(500, 200) as hook:
        ...                       # tell hook.url
        assert hook.received[0].body["event"] == "raised"

Each request gets the next of the given answers; the last one holds for all that follow. An answer is a status,
`HANGS` (reads the request and says nothing) or `DRIPS` (says 200, one byte after the other for some ten seconds). A
status of 3xx leads to `location`.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HANGS, DRIPS = -1, -2


@dataclass(frozen=True)
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class Receiver:
    """What was received so far, and where."""

    url: str
    port: int
    answers: list[int]
    location: str = ""
    received: list[Received] = field(default_factory=list)
    ending: threading.Event = field(default_factory=threading.Event)

    def next_answer(self) -> int:
        """What the next request gets."""
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class _Handler(BaseHTTPRequestHandler):
    hook: Receiver

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        self.hook.received.append(Received(self.path, dict(self.headers), body))
        answer = self.hook.next_answer()
        if answer == HANGS:
            self.hook.ending.wait(60)
        elif answer == DRIPS:
            self._drip()
        else:
            self.send_response(answer)
            if self.hook.location:
                self.send_header("Location", self.hook.location)
            self.send_header("Content-Length", "0")
            self.end_headers()

    do_GET = do_POST

    def _drip(self) -> None:
        try:
            for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n":
                if not self.hook.ending.wait(0.25):
                    self.wfile.write(bytes([byte]))
        except OSError:
            return

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on the test's stderr."""


@contextmanager
def receiver(*answers: int, location: str = "", tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A receiver on a free port of loopback; it answers 200 where nothing else is said."""

    class Handler(_Handler):
        pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    port = server.server_address[1]
    hook = Receiver(f"http{'s' if tls else ''}://127.0.0.1:{port}/hook", port, list(answers) or [200], location)
    Handler.hook = hook
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hook
    finally:
        hook.ending.set()
        server.shutdown()
        server.server_close()
        thread.join()
