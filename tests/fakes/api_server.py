"""The HTTP API over real services in a home of its own, answering on a free loopback port."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from services.api import create
from services.app import Services, bootstrap
from services.core.settings import load
from services.knowledge.ingest import Ingest
from services.knowledge.loaders.protocol import Limits
from services.knowledge.loaders.reader import Reader
from services.store.bases import BaseRecord
from tests.fakes.walk import walk


@dataclass
class ApiServer:
    """Where it answers, and what stands behind it."""

    root: str
    services: Services

    @property
    def url(self) -> str:
        """The base address for OpenAI's clients."""
        return f"{self.root}/v1"

    def settle(self, base: BaseRecord, **files: bytes) -> None:
        """Add files, `pond_md` for pond.md, and walk every wish of the base to its end, as the worker does."""
        for name, content in files.items():
            self.services.knowledge.add(base, ".".join(name.rsplit("_", 1)), io.BytesIO(content))
        reader = Reader(Limits(pages=50, characters=200_000, timeout_s=60, memory_bytes=4 * 1024**3))
        ingest = Ingest(self.services.stores, reader, self.services.embedders)
        for key in self.services.stores.of(base).pending():
            walk(ingest, base, key)
        reader.close()


@contextmanager
def running_api(home: Path, **settings: Any) -> Iterator[ApiServer]:
    """An API over an empty home; `settings` as for the process."""
    services = bootstrap(load(home=home, embedded=False, **settings))
    listening = socket.create_server(("127.0.0.1", 0))
    runner = uvicorn.Server(uvicorn.Config(create(services), log_config=None, lifespan="off", ws="none"))
    thread = threading.Thread(target=runner.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield ApiServer(f"http://127.0.0.1:{listening.getsockname()[1]}", services)
    finally:
        runner.should_exit = True
        thread.join(20)
        services.close()
