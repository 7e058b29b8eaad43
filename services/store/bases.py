"""Rows of knowledge bases: their names and how they are built. What they contain lies in their own databases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
    chunker: str
    chunk_size: int
    chunk_overlap: int
    chunker_options: dict[str, Any]
    """Parameters of the chunker besides its sizes."""
    created_at_ms: int
    updated_at_ms: int


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
        id: str | None = None,
    ) -> BaseRecord:
        """A new base, with the id of its folder where that is there already. Raises: NameTaken."""
        return self._insert(
            **({"id": id} if id else {}),
            machine_id=machine_id,
            name=name,
            state=READY,
            embedder=embedder,
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

    def deleting(self) -> list[BaseRecord]:
        """Bases whose files still have to go."""
        return self._all(self.table.c.state == DELETING)

    def mark_deleting(self, id: str) -> None:
        """Wish a base away: from now on nobody finds it, and its name is free again."""
        self.update(id, state=DELETING, name=f"deleted-{new_id()}")
