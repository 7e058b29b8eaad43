"""Making engines true: one at a time is installed, by pip in a process of its own."""

from __future__ import annotations

import threading

from services.core.clock import ticks_ms
from services.core.errors import EngineBusy
from services.serving.installs import KIND, Installs
from services.store.jobs import DONE, WISHED, WORKING, JobRecord
from services.worker.failures import written_down

AGAIN_MS = 5_000
"""How soon it is tried again where another process is at the same environment."""


class InstallKeeper:
    """Installs what is wished for, and goes on with what an earlier worker has left."""

    def __init__(self, installs: Installs) -> None:
        self._installs = installs
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._due_ms = 0.0

    def tick(self) -> None:
        """Begin with the oldest wish, unless one is being made true."""
        if (self._thread and self._thread.is_alive()) or ticks_ms() < self._due_ms:
            return
        rows = self._installs.rows
        waiting = [row for row in rows.of_kind(self._installs.machine_id, KIND) if row.state in (WISHED, WORKING)]
        if not waiting:
            return
        row = waiting[-1]
        if row.state == WORKING or rows.move(row.id, WORKING, WISHED):
            self._thread = threading.Thread(target=self._build, args=(row,), name="install", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop; what was installed is kept, and the next worker goes on."""
        self._stopping.set()
        if self._thread:
            self._thread.join(timeout=10)

    def _build(self, row: JobRecord) -> None:
        rows = self._installs.rows

        def given_up() -> bool:
            now = rows.get(row.id)
            return self._stopping.is_set() or now is None or now.state != WORKING

        def report(done: int, total: int, package: str) -> None:
            rows.report(row.id, done, total, package)

        with written_down(rows, row, f"installing {row.subject}"):
            try:
                if self._installs.environments.build(row.subject, report, given_up).state == "ready":
                    rows.move(row.id, DONE, WORKING)
            except EngineBusy:
                self._due_ms = ticks_ms() + AGAIN_MS
