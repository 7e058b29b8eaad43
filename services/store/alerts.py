"""Rows of alerts: what was not well, since when and until when, and what the webhook is still to be told of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import case, delete, func, select, update

from services.core.clock import now_ms
from services.store import schema
from services.store.records import Rows

RAISED, CLEARED = "raised", "cleared"
"""The events of an alert."""


@dataclass(frozen=True, slots=True)
class AlertRecord:
    """One alert about one subject. `cleared_at_ms` None: it is open.

    `pending_event` is what the webhook is to be told next: it is due at `due_at_ms`, and was tried `attempts` times.
    """

    id: str
    machine_id: str
    code: str
    subject: str
    level: str
    params: dict[str, Any]
    raised_at_ms: int
    cleared_at_ms: int | None
    pending_event: str | None
    attempts: int
    due_at_ms: int
    created_at_ms: int
    updated_at_ms: int


class AlertRows(Rows[AlertRecord]):
    """The table of alerts."""

    table = schema.alerts
    record = AlertRecord

    def begin(
        self, machine_id: str, code: str, subject: str, *, level: str, params: dict[str, Any], announce: bool
    ) -> AlertRecord:
        """A new open alert. `announce`: the webhook is to be told."""
        return self._insert(
            machine_id=machine_id,
            code=code,
            subject=subject,
            level=level,
            params=params,
            raised_at_ms=now_ms(),
            pending_event=RAISED if announce else None,
            attempts=0,
            due_at_ms=now_ms(),
        )

    def clear(self, id: str, *, announce: bool) -> None:
        """Close an alert. `announce`: the webhook is to be told, after what it is still to be told."""
        changes: dict[str, Any] = {"cleared_at_ms": now_ms()}
        if announce:
            quiet = self.table.c.pending_event.is_(None)
            changes["pending_event"] = func.coalesce(self.table.c.pending_event, CLEARED)
            changes["attempts"] = case((quiet, 0), else_=self.table.c.attempts)
            changes["due_at_ms"] = case((quiet, now_ms()), else_=self.table.c.due_at_ms)
        self.update(id, **changes)

    def open(self, machine_id: str | None = None) -> list[AlertRecord]:
        """The open alerts of all machines or of one, newest first."""
        here = [self.table.c.machine_id == machine_id] if machine_id else []
        return self._all(
            self.table.c.cleared_at_ms.is_(None), *here, order=[self.table.c.raised_at_ms.desc(), self.table.c.id]
        )

    def due(self, machine_id: str) -> list[AlertRecord]:
        """Those of a machine of which the webhook is to be told now, in the order in which it happened."""
        columns = self.table.c
        return self._all(
            columns.machine_id == machine_id,
            columns.pending_event.is_not(None),
            columns.due_at_ms <= now_ms(),
            order=[columns.raised_at_ms, columns.id],
        )

    def told(self, id: str) -> None:
        """What was pending is done with; an alert that has cleared meanwhile has that to tell next."""
        columns = self.table.c
        cleared_meanwhile = (columns.pending_event == RAISED) & columns.cleared_at_ms.is_not(None)
        self.update(id, pending_event=case((cleared_meanwhile, CLEARED), else_=None), attempts=0, due_at_ms=now_ms())

    def postpone(self, id: str, attempts: int, due_at_ms: int) -> None:
        """What is pending was tried so many times, and is to be tried again later."""
        self.update(id, attempts=attempts, due_at_ms=due_at_ms)

    def hush(self, machine_id: str) -> None:
        """Forget everything that was to be told."""
        with self.database.transaction() as connection:
            pending = (self.table.c.machine_id == machine_id) & self.table.c.pending_event.is_not(None)
            connection.execute(update(self.table).where(pending).values(pending_event=None))

    def prune(self, machine_id: str, before_ms: int, most: int) -> None:
        """Forget cleared alerts that ended before a time, and all but the newest so many."""
        columns = self.table.c
        ended = (columns.machine_id == machine_id) & columns.cleared_at_ms.is_not(None)
        newest = select(columns.id).where(ended).order_by(columns.cleared_at_ms.desc(), columns.id).limit(most)
        with self.database.transaction() as connection:
            connection.execute(delete(self.table).where(ended, columns.cleared_at_ms < before_ms))
            connection.execute(delete(self.table).where(ended, columns.id.not_in(newest)))
