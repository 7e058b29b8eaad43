"""Rows of what the engines of ready servers say of themselves, for a short time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import delete, insert

from services.store import schema
from services.store.records import Rows


@dataclass(frozen=True, slots=True)
class FigureRecord:
    """The figures of one server at one moment; what it does not tell is None."""

    server_id: str
    taken_at_ms: int
    machine_id: str
    launch_token: str
    figures: Mapping[str, float | None]


class FigureRows(Rows[FigureRecord]):
    """The table of figures. One process of a machine writes; any may read."""

    table = schema.figures
    record = FigureRecord

    def write(self, machine_id: str, records: Sequence[FigureRecord], since_ms: int, until_ms: int) -> None:
        """Add figures; those of this machine outside of a span of time go, also where the clock was set back."""
        columns = self.table.c
        outside = (columns.taken_at_ms < since_ms) | (columns.taken_at_ms >= until_ms)
        with self.database.transaction() as connection:
            connection.execute(delete(self.table).where(columns.machine_id == machine_id, outside))
            if records:
                connection.execute(insert(self.table), [asdict(record) for record in records])

    def between(self, server_id: str, launch_token: str, since_ms: int, until_ms: int) -> list[FigureRecord]:
        """The figures of a server's launch in a span of time, oldest first."""
        columns = self.table.c
        return self._all(
            columns.server_id == server_id,
            columns.launch_token == launch_token,
            columns.taken_at_ms >= since_ms,
            columns.taken_at_ms <= until_ms,
            order=[columns.taken_at_ms],
        )
