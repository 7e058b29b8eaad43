"""A package index on the loopback address: the simple API of PyPI over wheels that a test has made."""

from __future__ import annotations

import hashlib
import os
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

VERSION = "1.0"


def wheel(name: str, files: dict[str, bytes]) -> bytes:
    """A wheel of a package that holds these files below its own folder."""
    module, content = name.replace("-", "_"), BytesIO()
    about = f"{module}-{VERSION}.dist-info"
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, part in files.items():
            archive.writestr(f"{module}/{path}", part)
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {VERSION}\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return content.getvalue()


class PackageIndex:
    """What the index has, what was asked for, and where it stalls."""

    def __init__(self) -> None:
        self.wheels: dict[str, bytes] = {}
        self.served: list[str] = []
        self.stall_at: str | None = None
        """A package whose wheel is sent to the half and then held back."""
        self.stalled = threading.Event()
        self.released = threading.Event()
        self.url = ""

    def add(self, name: str, files: dict[str, bytes]) -> str:
        """Offer a package; returns its wheel's SHA-256."""
        self.wheels[name] = wheel(name, files)
        return hashlib.sha256(self.wheels[name]).hexdigest()


@contextmanager
def package_index() -> Iterator[PackageIndex]:
    """A running index; pip uses it where PIP_INDEX_URL holds its address and nothing else is set."""
    index = PackageIndex()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(index))
    index.url = f"http://127.0.0.1:{server.server_port}/simple"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield index
    finally:
        index.released.set()
        server.shutdown()
        thread.join()
        server.server_close()


def pip_environment(index: PackageIndex) -> dict[str, str]:
    """Variables that make pip use this index and no other."""
    return {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": index.url, "PIP_RETRIES": "0", "PIP_FIND_LINKS": ""}


def _handler(index: PackageIndex) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, name = self.path.strip("/").split("/")[:2]
            if name not in index.wheels:
                self.send_error(404)
            elif kind == "simple":
                file = f"{name.replace('-', '_')}-{VERSION}-py3-none-any.whl"
                page = f'<!DOCTYPE html><html><body><a href="/files/{name}/{file}">{file}</a></body></html>'
                self._send(page.encode(), "text/html")
            else:
                index.served.append(name)
                self._send(index.wheels[name], "application/octet-stream", stall=name == index.stall_at)

        def log_message(self, format: str, *args: Any) -> None:
            """Keep quiet."""

        def _send(self, content: bytes, kind: str, *, stall: bool = False) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            half = len(content) // 2
            self.wfile.write(content[:half])
            if stall:
                self.wfile.flush()
                index.stalled.set()
                index.released.wait(60)
            with suppress(ConnectionError):  # who was held back may be gone
                self.wfile.write(content[half:])

    return Handler
