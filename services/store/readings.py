"""Rows of what was seen of a machine: the newest snapshot, and its history in steps that grow with age."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Delete, Insert, Table, bindparam, delete, insert, select

from services.store.database import Database
from services.store.schema import readings, snapshots

NEWEST = select(snapshots.c.snapshot).where(snapshots.c.machine_id == bindparam("machine_id"))
"""Made once: it is asked each second."""


@dataclass(frozen=True, slots=True)
class ReadingRecord:
    """One step of the history: the figures of `step_s` seconds from `taken_at_ms` on, as JSON."""

    step_s: int
    taken_at_ms: int
    reading: str


class ReadingRows:
    """The tables of snapshots and readings."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def record(
        self,
        machine_id: str,
        taken_at_ms: int,
        snapshot: str,
        steps: Sequence[ReadingRecord],
        kept_since_ms: Mapping[int, int],
    ) -> None:
        """Keep a snapshot in place of the one before, add steps to the history, and forget what is too old.

        Args:
            kept_since_ms: for each step length the time before which its rows go.
        """
        with self.database.transaction() as connection:
            _replace(connection, snapshots, machine_id=machine_id, taken_at_ms=taken_at_ms, snapshot=snapshot)
            for step in steps:
                _replace(
                    connection,
                    readings,
                    machine_id=machine_id,
                    step_s=step.step_s,
                    taken_at_ms=step.taken_at_ms,
                    reading=step.reading,
                )
            for step_s, since_ms in kept_since_ms.items():
                old = (readings.c.step_s == step_s) & (readings.c.taken_at_ms < since_ms)
                connection.execute(delete(readings).where(readings.c.machine_id == machine_id, old))

    def snapshot(self, machine_id: str) -> str | None:
        """The newest snapshot of a machine, as JSON."""
        with self.database.reading() as connection:
            return connection.execute(NEWEST, {"machine_id": machine_id}).scalar_one_or_none()

    def between(self, machine_id: str, step_s: int, since_ms: int, until_ms: int) -> list[ReadingRecord]:
        """The steps of one length that began in a span of time, oldest first."""
        statement = (
            select(readings.c.step_s, readings.c.taken_at_ms, readings.c.reading)
            .where(
                readings.c.machine_id == machine_id,
                readings.c.step_s == step_s,
                readings.c.taken_at_ms >= since_ms,
                readings.c.taken_at_ms <= until_ms,
            )
            .order_by(readings.c.taken_at_ms)
        )
        with self.database.reading() as connection:
            return [ReadingRecord(*row) for row in connection.execute(statement)]


def _replace(connection: Connection, table: Table, **values: object) -> None:
    """Write a row in the place of the one with the same key: a clock that was set back meets its own past."""
    remove, add = _STATEMENTS[table.name]
    connection.execute(remove, {f"key_{column.name}": values[column.name] for column in table.primary_key})
    connection.execute(add, values)


def _statements(table: Table) -> tuple[Delete, Insert]:
    key = [column == bindparam(f"key_{column.name}") for column in table.primary_key]
    return delete(table).where(*key), insert(table)


_STATEMENTS = {table.name: _statements(table) for table in (snapshots, readings)}
"""Made once: making them each second costs more than running them."""
