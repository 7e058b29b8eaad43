"""GPUs as pages, command line and API see them: now, and over time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from services.core.clock import now_ms
from services.gpu.history import History, Point
from services.gpu.host import Host
from services.gpu.readings import Devices, Snapshot
from services.store.readings import ReadingRows

FRESH_MS = 5_000
"""A snapshot that is older is shown with its age."""
SHARED_MS = 900
"""Up to this age a snapshot serves everybody who asks: less than a second, which is how often pages ask."""


class Gate(Protocol):
    """What tells of the GPUs: the gate to NVML."""

    def read(self) -> Devices:
        """The devices now; never raises."""
        ...

    def close(self) -> None:
        """Let go of the driver."""
        ...


class GpuService:
    """Snapshots and history of this machine's GPUs. Thread-safe."""

    def __init__(
        self,
        rows: ReadingRows,
        gate: Gate,
        *,
        machine_id: str,
        home: Path,
        attribute: Callable[[Devices], Devices],
        worker_runs: Callable[[], bool],
    ) -> None:
        """
        Args:
            attribute: tells whose processes hold the memory.
            worker_runs: whether a worker samples this machine, so that nobody else need ask the driver.
        """
        self._rows = rows
        self._gate = gate
        self._machine_id = machine_id
        self._host = Host(home)
        self._attribute = attribute
        self._worker_runs = worker_runs
        self._reading = threading.Lock()
        self._shared: Snapshot | None = None
        self.history = History(rows, machine_id)

    def take(self) -> Snapshot:
        """Ask the driver now. What the driver does not tell is None."""
        with self._reading:
            return self._take()

    def keep(self, snapshot: Snapshot) -> None:
        """Keep a snapshot as the newest, for everybody, and in the history. Raises: DiskFull, DatabaseUnavailable."""
        self.history.write(snapshot)
        self._shared = snapshot

    def now(self) -> Snapshot:
        """The worker's newest snapshot; where no worker runs, one that is taken for the purpose.

        One that was got less than a second after it was taken is shared by all who ask until it is that old: neither
        the database nor the driver is asked anew. A worker whose sampling hangs leaves an old one: its age is in
        `taken_at_ms`.
        """
        shared = self._shared
        if shared and _is_young(shared):
            return shared
        known = self.sampled()
        if known and (abs(now_ms() - known.taken_at_ms) < FRESH_MS or self._worker_runs()):
            self._shared = known
            return known
        with self._reading:
            if self._shared is None or not _is_young(self._shared):
                self._shared = self._take()
            return self._shared

    def sampled(self) -> Snapshot | None:
        """The worker's newest snapshot, however old; the database is asked each time."""
        row = self._rows.snapshot(self._machine_id)
        try:
            return Snapshot.of(row) if row else None
        except ValueError:  # written by another version of Lectern: the next one replaces it
            return None

    def points(self, seconds: int, most: int = 600) -> list[Point]:
        """The history of the last so many seconds, oldest first."""
        until_ms = now_ms()
        return self.history.points(until_ms - seconds * 1000, until_ms, most)

    def close(self) -> None:
        """Let go of the driver."""
        self._gate.close()

    def _take(self) -> Snapshot:
        devices = self._attribute(self._gate.read())
        return Snapshot(now_ms(), devices.driver, devices.gpus, self._host.read())


def _is_young(snapshot: Snapshot) -> bool:
    return 0 <= now_ms() - snapshot.taken_at_ms < SHARED_MS
