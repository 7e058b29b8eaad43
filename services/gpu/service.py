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
DIRECT_MS = 900
"""How long one direct reading serves everybody who asks."""


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
        self._direct: Snapshot | None = None
        self.history = History(rows, machine_id)

    def take(self) -> Snapshot:
        """Ask the driver now. What the driver does not tell is None."""
        with self._reading:
            self._direct = self._take()
            return self._direct

    def now(self) -> Snapshot:
        """The worker's newest snapshot; where no worker runs, one that is taken for the purpose.

        A worker whose sampling hangs leaves an old one: its age is in `taken_at_ms`.
        """
        known = self.sampled()
        if known and (abs(now_ms() - known.taken_at_ms) < FRESH_MS or self._worker_runs()):
            return known
        with self._reading:
            if self._direct is None or not 0 <= now_ms() - self._direct.taken_at_ms < DIRECT_MS:
                self._direct = self._take()
            return self._direct

    def sampled(self) -> Snapshot | None:
        """The worker's newest snapshot, however old."""
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
