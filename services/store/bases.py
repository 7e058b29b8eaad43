"""Rows of knowledge bases: their names and how they are built. What they contain lies in their own databases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import ColumnElement, update

from services.core.clock import now_ms
from services.store import schema
from services.store.records import Rows, new_id

READY, DELETING = "ready", "deleting"


@dataclass(frozen=True, slots=True)
class BaseRecord:
    """A knowledge base."""

    id: str
    machine_id: str
    name: str
    state: str
    embedder: str
    embedder_options: dict[str, Any]
    """What is known of the embedder beside its key; empty for a built-in one."""
    chunker: str
    chunk_size: int
    chunk_overlap: int
    chunker_options: dict[str, Any]
    """Parameters of the chunker besides its sizes."""
    last_build: int
    """The highest number that a build of this base ever had; the first index has 0."""
    change: dict[str, Any] | None
    """The build beside the one that answers: its number, and the columns that this row takes when it is complete."""
    created_at_ms: int
    updated_at_ms: int

    def changed(self) -> BaseBuild | None:
        """The base as it will be after the change that is under way; None where there is none."""
        if self.change is None:
            return None
        mine = {column.name: getattr(self, column.name) for column in fields(self)}
        return BaseBuild(**{**mine, **self.change["columns"], "change": None}, build=int(self.change["build"]))


@dataclass(frozen=True, slots=True)
class BaseBuild(BaseRecord):
    """A base as one build of it has it, whichever of them answers."""

    build: int


class BaseRows(Rows[BaseRecord]):
    """The table of bases. One that is being deleted is found by nobody but the worker."""

    table = schema.bases
    record = BaseRecord

    def create(
        self,
        *,
        machine_id: str,
        name: str,
        embedder: str,
        chunker: str,
        chunk_size: int,
        chunk_overlap: int,
        chunker_options: dict[str, Any] | None = None,
        embedder_options: dict[str, Any] | None = None,
        id: str | None = None,
    ) -> BaseRecord:
        """A new base, with the id of its folder where that is there already. Raises: NameTaken."""
        return self._insert(
            **({"id": id} if id else {}),
            machine_id=machine_id,
            name=name,
            state=READY,
            embedder=embedder,
            embedder_options=embedder_options or {},
            chunker=chunker,
            chunk_size=chunk_size,
            chunk_overlap=chunk_overlap,
            chunker_options=chunker_options or {},
        )

    def find(self, reference: str) -> BaseRecord | None:
        """The base with this name, or else with this id."""
        live = self.table.c.state != DELETING
        return self._one(self.table.c.name == reference, live) or self._one(self.table.c.id == reference, live)

    def all(self) -> list[BaseRecord]:
        """All bases, by name."""
        return self._all(self.table.c.state != DELETING, order=[self.table.c.name])

    def begin_change(self, base: BaseRecord, columns: Mapping[str, Any]) -> BaseRecord | None:
        """Note that a base is to be built anew with these columns; None where it is gone or being changed already."""
        number = base.last_build + 1
        change = {"build": number, "columns": dict(columns), "begun_at_ms": now_ms()}
        return self._change(base.id, self.table.c.change.is_(None), last_build=number, change=change)

    def end_change(self, id: str, build: int, columns: Mapping[str, Any] | None = None) -> BaseRecord | None:
        """Forget a change, taking its columns over where it is complete; None where it was forgotten before."""
        begun = self.table.c.last_build == build
        return self._change(id, begun, self.table.c.change.is_not(None), change=None, **(columns or {}))

    def _change(self, id: str, *conditions: ColumnElement[bool], **values: Any) -> BaseRecord | None:
        """One statement, so that of two processes only one changes the row."""
        statement = update(self.table).where(self.table.c.id == id, *conditions)
        with self.database.transaction() as connection:
            row = connection.execute(
                statement.values({**values, "updated_at_ms": now_ms()}).returning(self.table)
            ).first()
        return self._record(row) if row else None

    def deleting(self) -> list[BaseRecord]:
        """Bases whose files still have to go."""
        return self._all(self.table.c.state == DELETING)

    def mark_deleting(self, id: str) -> None:
        """Wish a base away: from now on nobody finds it, and its name is free again."""
        self.update(id, state=DELETING, name=f"deleted-{new_id()}")
