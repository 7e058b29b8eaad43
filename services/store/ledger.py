"""Rows of the ledger: what each launch of a server held on each GPU, beside what was planned and reported."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, or_, select, update

from services.core.clock import now_ms
from services.store import schema
from services.store.records import Rows

LAUNCHES_KEPT = 20
"""How many launches of one server are remembered."""


@dataclass(frozen=True, slots=True)
class LedgerRecord:
    """One launch on one GPU. `measured_bytes` is None once the launch is over; `peak_bytes` stays."""

    launch_token: str
    gpu_uuid: str
    machine_id: str
    server_id: str
    before_bytes: int | None
    planned_bytes: int | None
    reported_bytes: int | None
    measured_bytes: int | None
    peak_bytes: int | None
    estimated: bool
    created_at_ms: int
    updated_at_ms: int


class LedgerRows(Rows[LedgerRecord]):
    """The table of launches and GPUs. One process of a machine writes; any may read."""

    table = schema.ledger
    record = LedgerRecord

    def standing(self, machine_id: str, tokens: Collection[str]) -> list[LedgerRecord]:
        """The rows of these launches, and of launches whose end was not written down; oldest first."""
        columns = self.table.c
        return self._all(
            columns.machine_id == machine_id,
            or_(columns.launch_token.in_(tokens), columns.measured_bytes.is_not(None)),
            order=[columns.created_at_ms, columns.launch_token, columns.gpu_uuid],
        )

    def newest(self, server_id: str) -> list[LedgerRecord]:
        """The rows of a server's newest launch, one for each GPU."""
        columns = self.table.c
        latest = (
            select(columns.launch_token)
            .where(columns.server_id == server_id)
            .order_by(columns.created_at_ms.desc(), columns.launch_token)
            .limit(1)
            .scalar_subquery()
        )
        return self._all(columns.launch_token == latest, order=[columns.gpu_uuid])

    def planned(self, machine_id: str, server_id: str = "") -> list[LedgerRecord]:
        """The rows of launches that were planned, of one server or of all, newest first."""
        columns = self.table.c
        same = [columns.server_id == server_id] if server_id else []
        here = (columns.machine_id == machine_id, columns.planned_bytes.is_not(None), *same)
        return self._all(*here, order=[columns.created_at_ms.desc(), columns.launch_token, columns.gpu_uuid])

    def plan(self, launch_token: str, server_id: str, machine_id: str, planned: Mapping[str, int]) -> None:
        """Note what a launch is planned to hold, bytes by GPU. A new launch pushes out the oldest of its server."""
        same = {"launch_token": launch_token, "server_id": server_id, "machine_id": machine_id, "estimated": False}
        stamps = {"created_at_ms": now_ms(), "updated_at_ms": now_ms()}
        rows = [{**same, **stamps, "gpu_uuid": gpu, "planned_bytes": amount} for gpu, amount in planned.items()]
        with self.database.transaction() as connection:
            connection.execute(insert(self.table), rows)
            self._push_out(connection, server_id)

    def report(self, launch_token: str, reported: Mapping[str, int]) -> None:
        """Note what the engine of a launch says that it holds, bytes by GPU, where the launch has a row."""
        columns = self.table.c
        with self.database.transaction() as connection:
            for gpu, amount in reported.items():
                same = (columns.launch_token == launch_token) & (columns.gpu_uuid == gpu)
                connection.execute(update(self.table).where(same).values(reported_bytes=amount, updated_at_ms=now_ms()))

    def reserved(self, machine_id: str) -> dict[str, int]:
        """Bytes by GPU that running launches were planned to hold, as long as nobody has measured what they do."""
        columns = self.table.c
        amount = func.sum(columns.planned_bytes)
        reserved = (
            select(columns.gpu_uuid, amount)
            .join(schema.servers, schema.servers.c.launch_token == columns.launch_token)
            .where(
                columns.machine_id == machine_id, columns.planned_bytes.is_not(None), columns.measured_bytes.is_(None)
            )
            .group_by(columns.gpu_uuid)
        )
        with self.database.reading() as connection:
            return {gpu: int(planned) for gpu, planned in connection.execute(reserved)}

    def write(self, records: Sequence[LedgerRecord], ended: Collection[str] = ()) -> None:
        """Write what was seen, leaving alone what was planned and reported; note the end of launches.

        A new launch pushes out the oldest of its server, and rows whose server was removed.
        """
        with self.database.transaction() as connection:
            if ended:
                over = self.table.c.launch_token.in_(ended)
                connection.execute(update(self.table).where(over).values(measured_bytes=None, updated_at_ms=now_ms()))
            begun = {record.server_id for record in records if not self._rewrite(connection, record)}
            for server_id in begun:
                self._push_out(connection, server_id)
            if begun:
                servers = select(schema.servers.c.id)
                connection.execute(delete(self.table).where(self.table.c.server_id.not_in(servers)))

    def _rewrite(self, connection: Connection, record: LedgerRecord) -> bool:
        """False where there was no such row, so that it was made."""
        columns = self.table.c
        seen = {
            "before_bytes": record.before_bytes,
            "measured_bytes": record.measured_bytes,
            "peak_bytes": record.peak_bytes,
            "estimated": record.estimated,
            "updated_at_ms": now_ms(),
        }
        same = (columns.launch_token == record.launch_token) & (columns.gpu_uuid == record.gpu_uuid)
        if connection.execute(update(self.table).where(same).values(seen)).rowcount:
            return True
        whole = {name: getattr(record, name) for name in record.__slots__}
        connection.execute(insert(self.table).values({**whole, **seen}))
        return False

    def _push_out(self, connection: Connection, server_id: str) -> None:
        columns = self.table.c
        oldest = (
            select(columns.launch_token)
            .where(columns.server_id == server_id)
            .group_by(columns.launch_token)
            .order_by(func.min(columns.created_at_ms).desc(), columns.launch_token)
            .offset(LAUNCHES_KEPT)
        )
        tokens = connection.execute(oldest).scalars().all()
        if tokens:
            connection.execute(delete(self.table).where(columns.launch_token.in_(tokens)))
