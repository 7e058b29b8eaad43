"""What the tests of the API share: one API over one base and one chat server that is scripted anew for each test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.fakes.api_server import ApiServer, running_api
from tests.fakes.chat_server import MODEL, ChatServer, running_chat_server

ANSWER = "The pump starts at six [1]."
QUESTION = "When does the pump start?"
ASKED = [{"role": "user", "content": QUESTION}]
DOCUMENTS = {"pump_md": b"# Pump\n\nThe pump starts at six in the morning.", "pond_txt": b"The pond holds koi."}
SERVER, BASE = "server:fake", "kb:Garden"


@dataclass
class Desk:
    """The API and the chat server behind it."""

    api: ApiServer
    server: ChatServer

    def script(self) -> None:
        """Forget what was asked, and answer as usual."""
        self.server.set(mode="normal", answer=ANSWER, delay_s=0.0, engine="llama.cpp", context_length=4096)
        self.server.requests.clear()


@contextmanager
def open_desk(home: Path, **settings: object) -> Iterator[Desk]:
    """An API over a base of two documents."""
    with running_chat_server(engine="llama.cpp") as server, running_api(home, **settings) as api:
        api.services.servers.add_remote("fake", server.url, model=MODEL)
        api.settle(api.services.knowledge.create("Garden"), **DOCUMENTS)
        yield Desk(api, server)
