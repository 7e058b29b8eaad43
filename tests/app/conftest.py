"""Pages without a browser, over real services in an empty home."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.app import Services
from services.knowledge.loaders.protocol import Limits
from services.knowledge.loaders.reader import Reader
from services.store.bases import BaseRecord
from tests.app.chat_places import PUMP
from tests.app.pages import put
from tests.fakes.chat_server import ChatServer, running_chat_server
from ui import wiring


@pytest.fixture(autouse=True)
def own_main() -> Iterator[None]:
    """Give `__main__` back: Streamlit's tester leaves its script there, and child processes would run it again."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture(autouse=True)
def own_services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Services over an empty home, joined anew for each test; without the embedded chat model."""
    monkeypatch.setenv("LECTERN_HOME", str(tmp_path))
    monkeypatch.setenv("LECTERN_EMBEDDED", "false")
    monkeypatch.setenv("LECTERN_BACKGROUND_CHAT", "false")
    wiring.close()
    yield
    wiring.close()


@pytest.fixture
def services() -> Services:
    """The services that the pages use."""
    return wiring.services()


@pytest.fixture(scope="session")
def reader() -> Iterator[Reader]:
    """The child process that reads files, as the worker has one."""
    opened = Reader(Limits(pages=50, characters=200_000, timeout_s=60, memory_bytes=4 * 1024**3))
    yield opened
    opened.close()


@pytest.fixture
def chat_server() -> Iterator[ChatServer]:
    """A chat server that answers with one citation."""
    with running_chat_server(answer="The pump starts at six [1].") as server:
        yield server


@pytest.fixture
def base(services: Services, reader: Reader, chat_server: ChatServer) -> BaseRecord:
    """A base with one document, and a server to ask."""
    services.servers.add_remote("box", chat_server.url)
    made = services.knowledge.create("Garden")
    put(services, made, reader, pump_md=PUMP)
    return made
