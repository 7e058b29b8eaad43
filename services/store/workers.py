"""The worker's heartbeat: who works on which machine, and when it was last seen."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, insert

from services.core.clock import now_ms
from services.core.machine import Process
from services.store import schema
from services.store.records import Rows

STALE_MS = 15_000
"""A worker that has not been seen for so long does not work."""


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """The worker of a machine. `process_started_at`: seconds since 1970, as the system tells it."""

    machine_id: str
    hostname: str
    pid: int
    process_started_at: float
    heartbeat_at_ms: int

    @property
    def running(self) -> bool:
        """Whether it works now. True only on its own machine."""
        fresh = now_ms() - self.heartbeat_at_ms < STALE_MS
        return fresh and Process(self.pid, self.process_started_at).alive


class WorkerRows(Rows[WorkerRecord]):
    """The table of workers, one for each machine."""

    table = schema.workers
    record = WorkerRecord

    def beat(self, machine_id: str, hostname: str, pid: int, process_started_at: float) -> None:
        """Say that the worker lives."""
        row = WorkerRecord(machine_id, hostname, pid, process_started_at, now_ms())
        values = {name: getattr(row, name) for name in row.__slots__}
        with self.database.transaction() as connection:
            connection.execute(delete(self.table).where(self.table.c.machine_id == machine_id))
            connection.execute(insert(self.table).values(values))

    def of(self, machine_id: str) -> WorkerRecord | None:
        """The worker that was last seen on a machine."""
        return self._one(self.table.c.machine_id == machine_id)

    def running(self, machine_id: str) -> bool:
        """Whether a machine's worker works now. To be asked on that machine."""
        row = self.of(machine_id)
        return row is not None and row.running
