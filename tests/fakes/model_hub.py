"""A hub on the loopback address: enough of Hugging Face's, ModelScope's and Ollama's APIs for their official clients.

Large files are served by redirect from a second address, as hubs do from their stores, and always by ranges.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "c0ffee" + "0" * 34
LARGE = 100_000
PIECE = 16_384


@dataclass
class Hub:
    """What the hub has, what was asked of it, and what goes wrong."""

    models: dict[str, dict[str, bytes]] = field(default_factory=dict)
    commit: str = COMMIT
    token: str = ""
    """What must be shown; empty: nothing."""
    gated: bool = False
    ranges: bool = True
    breaks: dict[str, list[int]] = field(default_factory=dict)
    """For a file, the numbers of bytes after which a connection is closed, one for each request to come."""
    swapped: dict[str, bytes] = field(default_factory=dict)
    """For a file, what is served in place of what was promised."""
    stall_at: str = ""
    """A file that is sent to the half and then held back."""
    stalled: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Each transfer: file, and the range that was asked for."""
    keys_at_the_store: list[str] = field(default_factory=list)
    """What was shown as authorization to the second address."""
    url: str = ""
    store_url: str = ""

    def add(self, repository: str, **files: bytes) -> None:
        """Offer a model; in names `__` stands for a dot."""
        self.models[repository] = {name.replace("__", "."): content for name, content in files.items()}

    def sent(self, name: str) -> list[str]:
        """The ranges that were asked of a file."""
        return [wanted for file, wanted in self.asked if file == name]


@contextmanager
def model_hub() -> Iterator[Hub]:
    """A running hub."""
    hub = Hub()
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub, store)) for store in (False, True)]
    hub.url, hub.store_url = (f"http://127.0.0.1:{server.server_port}" for server in servers)
    threads = [threading.Thread(target=server.serve_forever, args=(0.05,)) for server in servers]
    for thread in threads:
        thread.start()
    try:
        yield hub
    finally:
        hub.released.set()
        for server, thread in zip(servers, threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()


def _handler(hub: Hub, store: bool) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        pass

    Handler.hub, Handler.store = hub, store
    return Handler


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    store: bool
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        path, query = unquote(parts.path).strip("/"), parse_qs(parts.query)
        if self.store:
            self.hub.keys_at_the_store.append(self.headers.get("Authorization", ""))
            repository, _, name = path.partition("/-/")
            self._content(repository, name)
        elif told := re.fullmatch(r"api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path):
            self._hugging_face_model(told[1], told[2])
        elif file := re.fullmatch(r"([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._hugging_face_file(file[1], file[3])
        elif listed := re.fullmatch(r"api/v1/models/([^/]+/[^/]+)/repo/files", path):
            self._modelscope_files(listed[1])
        elif named := re.fullmatch(r"api/v1/models/([^/]+/[^/]+)/repo", path):
            self._content(named[1], query["FilePath"][0])
        else:
            self._json(404, {"error": "not found"})

    def do_POST(self) -> None:
        wanted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = wanted["model"]
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Connection", "close")
        self.end_headers()
        if name not in self.hub.models:
            self._line(error="pull model manifest: file does not exist")
            return
        self._line(status="pulling manifest")
        for file, content in self.hub.models[name].items():
            digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
            for done in (len(content) // 2, len(content)):
                self._line(status=f"pulling {digest[7:19]}", digest=digest, total=len(content), completed=done)
                if file == self.hub.stall_at:
                    self.hub.stalled.set()
                    self.hub.released.wait(60)
        self._line(status="success")
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""

    def _line(self, **step: Any) -> None:
        with suppress(ConnectionError):
            self.wfile.write(json.dumps(step).encode() + b"\n")
            self.wfile.flush()

    def _known(self, repository: str) -> bool:
        """Whether the visitor may see a model; otherwise she has been told."""
        shown = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.hub.token and shown != self.hub.token and self.hub.token not in self.headers.get("Cookie", ""):
            self._json(401, {"error": "Invalid username or password."})
        elif repository not in self.hub.models:
            self._json(404, {"error": "Repository not found"}, **{"X-Error-Code": "RepoNotFound"})
        else:
            return True
        return False

    def _hugging_face_model(self, repository: str, revision: str | None) -> None:
        if not self._known(repository):
            return
        if revision not in (None, "main", self.hub.commit):
            self._json(404, {"error": "Invalid rev id"}, **{"X-Error-Code": "RevisionNotFound"})
            return
        siblings = []
        for name, content in self.hub.models[repository].items():
            one: dict[str, Any] = {"rfilename": name, "size": len(content)}
            one["blobId"] = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            if len(content) >= LARGE:
                one["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
            siblings.append(one)
        card = {"license": "apache-2.0"}
        self._json(200, {"id": repository, "sha": self.hub.commit, "siblings": siblings, "cardData": card, "tags": []})

    def _hugging_face_file(self, repository: str, name: str) -> None:
        if not self._known(repository):
            return
        if self.hub.gated:
            self._json(403, {"error": "Access is restricted"}, **{"X-Error-Code": "GatedRepo"})
        elif len(self.hub.models[repository].get(name, b"")) >= LARGE:
            self.send_response(302)
            self.send_header("Location", f"{self.hub.store_url}/{repository}/-/{name}")
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self._content(repository, name)

    def _modelscope_files(self, repository: str) -> None:
        if not self._known(repository):
            return
        listed = [
            {"Path": name, "Size": len(content), "Sha256": hashlib.sha256(content).hexdigest(), "Type": "blob"}
            for name, content in self.hub.models[repository].items()
        ]
        self._json(200, {"Code": 200, "Success": True, "Data": {"Files": listed}})

    def _content(self, repository: str, name: str) -> None:
        content = self.hub.models.get(repository, {}).get(name)
        if content is None:
            self._json(404, {"error": "Entry not found"}, **{"X-Error-Code": "EntryNotFound"})
            return
        wanted = self.headers.get("Range", "")
        self.hub.asked.append((name, wanted))
        served, begin = self.hub.swapped.get(name, content), 0
        if wanted and self.hub.ranges:
            begin = int(wanted.removeprefix("bytes=").split("-")[0])
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{len(served) - 1}/{len(served)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(served) - begin))
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.end_headers()
        cut = self.hub.breaks.get(name)
        end = begin + cut.pop(0) if cut else len(served)
        self._send(name, served[begin:end], whole=end >= len(served))

    def _send(self, name: str, content: bytes, *, whole: bool) -> None:
        half = len(content) // 2 if name == self.hub.stall_at else len(content)
        with suppress(ConnectionError):  # who was held back may be gone
            self.wfile.write(content[:half])
            self.wfile.flush()
            if name == self.hub.stall_at:
                self.hub.stalled.set()
                self.hub.released.wait(60)
                self.wfile.write(content[half:])
        if not whole:
            self.close_connection = True

    def _json(self, status: int, value: Any, **headers: str) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        for key, text in headers.items():
            self.send_header(key, text)
        self.end_headers()
        self.wfile.write(content)
