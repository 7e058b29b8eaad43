"""Rows of model servers: what was wished, and what the supervisor last saw."""

from __future__ import annotations

import builtins
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, select, update

from services.core.clock import now_ms
from services.core.errors import NameTaken
from services.store import schema
from services.store.conversations import LIVE
from services.store.records import Rows

USE_STAMP_MS = 60_000
"""Uses within this time of the last one that was noted are not."""


@dataclass(frozen=True, slots=True)
class ServerRecord:
    """A model server. `managed` ones are processes of ours; the others only have an address."""

    id: str
    machine_id: str
    name: str
    engine: str
    model: str
    spec: dict[str, Any]
    managed: bool
    wish: str
    state: str
    url: str | None
    port: int | None
    pid: int | None
    process_started_at: float | None
    launch_token: str | None
    error_code: str | None
    error_params: dict[str, Any] | None
    created_at_ms: int
    updated_at_ms: int
    used_at_ms: int | None = None
    """When it was last asked something, or became ready; up to a minute late."""
    note: dict[str, Any] | None = None
    """What holds it up, as code and parameters."""
    diagnosis: list[dict[str, Any]] | None = None
    """Why its newest run failed, the surest cause first."""


@dataclass(frozen=True, slots=True)
class Launched:
    """A managed server that has been started. `pid` is that of its runner, `started_at` in seconds since 1970."""

    server_id: str
    name: str
    model: str
    token: str
    pid: int | None
    started_at: float | None


_C = schema.servers.c
LAUNCHES = (
    select(_C.id, _C.name, _C.model, _C.launch_token, _C.pid, _C.process_started_at)
    .where(_C.machine_id == bindparam("machine_id"), _C.launch_token.is_not(None))
    .order_by(_C.process_started_at.is_(None), _C.process_started_at, _C.id)
)
"""Made once: it is asked each second."""


class ServerRows(Rows[ServerRecord]):
    """The table of servers."""

    table = schema.servers
    record = ServerRecord

    def create(
        self,
        *,
        machine_id: str,
        name: str,
        engine: str,
        model: str,
        spec: dict[str, Any],
        managed: bool,
        wish: str,
        state: str,
        url: str | None = None,
    ) -> ServerRecord:
        """A new server. Raises: NameTaken."""
        return self._insert(
            machine_id=machine_id,
            name=name,
            engine=engine,
            model=model,
            spec=spec,
            managed=managed,
            wish=wish,
            state=state,
            url=url,
        )

    def get(self, id: str) -> ServerRecord | None:
        """The server with this name, or else with this id."""
        return self._one(self.table.c.name == id) or self._one(self.table.c.id == id)

    def list(self, machine_id: str | None = None) -> list[ServerRecord]:
        """All servers, or those of one machine, oldest first."""
        here = [self.table.c.machine_id == machine_id] if machine_id else []
        return self._all(*here, order=[self.table.c.created_at_ms, self.table.c.name])

    def move(self, row: ServerRecord, **changes: Any) -> ServerRecord | None:
        """Change a row that is still in the state and run in which it was seen; None where it is not.

        Where the wish is among the changes, nobody may have wished otherwise or asked it anything meanwhile either.
        """
        columns = self.table.c
        seen = [columns.state == row.state, columns.launch_token.is_not_distinct_from(row.launch_token)]
        if "wish" in changes:
            seen += [columns.wish == row.wish, columns.used_at_ms.is_not_distinct_from(row.used_at_ms)]
        values = {**changes, "updated_at_ms": now_ms()}
        statement = update(self.table).where(columns.id == row.id, *seen).values(values).returning(self.table)
        with self.database.transaction() as connection:
            found = connection.execute(statement).first()
        return self._record(found) if found else None

    def reserve_port(self, id: str, port: int) -> bool:
        """Note that a port is this server's; False where it is another one's of its machine, or the row is gone."""
        try:
            return self.update(id, port=port) is not None
        except NameTaken:  # the only other unique column
            return False

    def note_use(self, row: ServerRecord) -> ServerRecord:
        """Note that a server is asked something, at most once a minute; returns the row as it is then."""
        at_ms = now_ms()
        if row.used_at_ms is not None and 0 <= at_ms - row.used_at_ms < USE_STAMP_MS:
            return row
        stamped = update(self.table).where(self.table.c.id == row.id).values(used_at_ms=at_ms).returning(self.table)
        with self.database.transaction() as connection:
            found = connection.execute(stamped).first()
        return self._record(found) if found else row

    def answering(self, name: str) -> bool:
        """Whether an answer of the server with this name is on its way."""
        turns = schema.turns.c
        with self.database.reading() as connection:
            found = connection.execute(
                select(turns.id).where(turns.server_name == name, turns.state.in_(LIVE)).limit(1)
            )
            return found.first() is not None

    def launches(self, machine_id: str) -> builtins.list[Launched]:
        """The servers of a machine that have been started, the oldest start first. Cheap enough for each second."""
        with self.database.reading() as connection:
            return [Launched(*row) for row in connection.execute(LAUNCHES, {"machine_id": machine_id})]

    def remove(self, id: str) -> bool:
        """Delete a server with its rows in the ledger; False where it was gone."""
        with self.database.transaction() as connection:
            connection.execute(delete(schema.ledger).where(schema.ledger.c.server_id == id))
            return connection.execute(delete(self.table).where(self.table.c.id == id)).rowcount > 0
