"""What a worker and a page have, for the tests of real engines: a wish is written and the supervisor makes it so."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2

from services.core import settings as core_settings
from services.serving import children, logs
from services.serving.places import folder_of
from services.serving.service import ServerService
from services.serving.states import FAILED, READY, STOPPED
from services.serving.supervisor import Patience, Supervisor
from services.store import StateStore
from services.store.servers import ServerRecord

HERE = "here"
LONGEST_START_S = 600.0


class Desk:
    """One machine's servers. Stops whatever it has started."""

    def __init__(self, home: Path, engines: Path) -> None:
        self.settings = core_settings.load(home=home)
        self.layout = self.settings.layout
        self.layout.create()
        self.layout.engines.symlink_to(engines)
        self.store = StateStore(self.settings.state_url)
        self.service = ServerService(self.store.servers, self.layout, machine_id=HERE)
        # One failure is enough to look at.
        patience = Patience(grace_s=20, readiness_s=0.2, attempts=1)
        self.supervisor = Supervisor(self.store.servers, self.layout, machine_id=HERE, patience=patience)
        self._tokens: set[str] = set()

    def until(self, name: str, done: Callable[[ServerRecord], object]) -> ServerRecord:
        """Tick until a server's row is as wanted; its log is shown where that takes too long."""
        deadline = time.monotonic() + LONGEST_START_S
        while True:
            self.supervisor.tick()
            row = self.service.show(name)
            if row.launch_token:
                self._tokens.add(row.launch_token)
            if done(row):
                return row
            assert time.monotonic() < deadline, "\n".join([str(row), *self.log(row)])
            time.sleep(0.1)

    def settled(self, name: str) -> ServerRecord:
        """Start a server and wait until it is ready or has failed."""
        self.service.start(name)
        return self.until(name, lambda row: row.state in (READY, FAILED))

    def started(self, name: str, engine: str, **choices: Any) -> ServerRecord:
        """Create a server and bring it to ready; its log is the message where it fails."""
        self.service.create(name, engine, choices)
        row = self.settled(name)
        assert row.state == READY, "\n".join([str(row.error_params), *self.log(row)])
        return row

    def stopped(self, name: str) -> None:
        """Stop a server; afterwards nothing of it is left."""
        before = self.service.show(name)
        self.service.stop(name)
        self.until(name, lambda row: row.state == STOPPED)
        assert children.owned(None, before.launch_token) == []
        assert children.port_is_free(before.port or 0)

    def nothing_left(self) -> None:
        """No process of any launch is alive."""
        assert not [process for token in self._tokens for process in children.owned(None, token)]

    def log(self, row: ServerRecord, lines: int = 60) -> list[str]:
        """The end of a server's log."""
        return logs.tail(folder_of(self.layout, row), lines)

    def close(self) -> None:
        """End what is left of every server."""
        self.supervisor.close()
        for token in self._tokens:
            children.send(children.owned(None, token), signal.SIGKILL)
        self.store.close()


def ask(row: ServerRecord, path: str, **body: Any) -> httpx2.Response:
    """POST to a server's own API, below /v1."""
    return httpx2.post(f"{row.url}{path}", json=body, timeout=60, trust_env=False)
