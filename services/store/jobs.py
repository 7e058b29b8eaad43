"""Rows of long work outside any knowledge base, such as fetching a model: its progress and how it ended."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from sqlalchemy import update

from services.core.clock import now_ms
from services.core.errors import AppError, NameTaken
from services.store import schema
from services.store.records import Rows

WISHED, WORKING, DONE, FAILED = "wished", "working", "done", "failed"
PAUSED, CANCELLED = "paused", "cancelled"


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A piece of long work. `total` is None while the amount is unknown; `unit` says what is counted."""

    id: str
    machine_id: str
    kind: str
    subject: str
    state: str
    done: int
    total: int | None
    unit: str
    note: str
    error_code: str | None
    error_params: dict[str, Any] | None
    created_at_ms: int
    updated_at_ms: int


class JobRows(Rows[JobRecord]):
    """The table of jobs: one row for each kind and subject on a machine, begun again when it is tried again."""

    table = schema.jobs
    record = JobRecord

    def find(self, machine_id: str, kind: str, subject: str) -> JobRecord | None:
        """The job of this kind about this subject."""
        columns = self.table.c
        return self._one(columns.machine_id == machine_id, columns.kind == kind, columns.subject == subject)

    def begin(self, machine_id: str, kind: str, subject: str, unit: str) -> JobRecord:
        """Note that the work begins (again); what was counted before stays until the next report."""
        known = self.find(machine_id, kind, subject)
        fresh = {"state": WORKING, "error_code": None, "error_params": None}
        again = self.update(known.id, **fresh) if known else None
        return again or self._insert(
            machine_id=machine_id, kind=kind, subject=subject, unit=unit, done=0, total=None, note="", **fresh
        )

    def ask(self, machine_id: str, kind: str, subject: str, unit: str) -> JobRecord:
        """Wish for work of this kind about this subject; one that is there already is wished for again."""
        known = self.find(machine_id, kind, subject)
        if known is None:
            start = {"state": WISHED, "done": 0, "total": None, "note": "", "unit": unit}
            # The id follows from the work: of two that ask at once, one makes the row and the other one finds it.
            digest = hashlib.sha256("\n".join((machine_id, kind, subject)).encode()).hexdigest()[:16]
            try:
                return self._insert(id=digest, machine_id=machine_id, kind=kind, subject=subject, **start)
            except NameTaken:
                return self.ask(machine_id, kind, subject, unit)
        return self.move(known.id, WISHED, DONE, FAILED, PAUSED, CANCELLED) or known

    def move(self, id: str, state: str, *among: str, error: AppError | None = None) -> JobRecord | None:
        """Change the state of a job that is in one of these; None where it is in another one, or gone."""
        here = (self.table.c.id == id) & self.table.c.state.in_(among)
        code, params = (error.code, error.params) if error else (None, None)
        values = {"state": state, "error_code": code, "error_params": params, "updated_at_ms": now_ms()}
        with self.database.transaction() as connection:
            row = connection.execute(update(self.table).where(here).values(values).returning(self.table)).first()
        return self._record(row) if row else None

    def of_kind(self, machine_id: str, kind: str) -> list[JobRecord]:
        """The jobs of a kind on a machine, newest first."""
        columns = self.table.c
        here = (columns.machine_id == machine_id, columns.kind == kind)
        return self._all(*here, order=[columns.created_at_ms.desc(), columns.id])

    def wish(self, id: str) -> None:
        """Ask for another try, at once."""
        self.update(id, state=WISHED)

    def report(self, id: str, done: int, total: int | None, note: str = "") -> None:
        """Say how far it is."""
        self.update(id, done=done, total=total, note=note)

    def finish(self, id: str) -> None:
        """It is done."""
        self.update(id, state=DONE)

    def fail(self, id: str, error: AppError) -> None:
        """It has failed; the error is kept for the reader."""
        self.update(id, state=FAILED, error_code=error.code, error_params=error.params)

    def all(self, machine_id: str) -> list[JobRecord]:
        """All jobs of a machine, newest first."""
        return self._all(self.table.c.machine_id == machine_id, order=[self.table.c.updated_at_ms.desc()])
