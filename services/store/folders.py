"""Rows of folders of this machine that knowledge bases follow, and what was last seen of each file in them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, insert, select

from services.core.clock import now_ms
from services.store import schema
from services.store.records import Rows


@dataclass(frozen=True, slots=True)
class FolderRecord:
    """A folder that a base follows."""

    id: str
    machine_id: str
    base_id: str
    path: str
    created_at_ms: int
    updated_at_ms: int


@dataclass(frozen=True, slots=True)
class Seen:
    """A file as it was when it was last taken in."""

    size_bytes: int
    changed_at_ns: int


class FolderRows(Rows[FolderRecord]):
    """The table of folders, and the one of their files."""

    table = schema.folders
    record = FolderRecord
    files = schema.folder_files

    def follow(self, machine_id: str, base_id: str, path: str) -> FolderRecord:
        """The row of this folder of a base, made if it is not there."""
        known = self._one(self.table.c.base_id == base_id, self.table.c.path == path)
        return known or self._insert(machine_id=machine_id, base_id=base_id, path=path)

    def of(self, base_id: str) -> list[FolderRecord]:
        """The folders of a base, by path."""
        return self._all(self.table.c.base_id == base_id, order=[self.table.c.path])

    def all(self, machine_id: str) -> list[FolderRecord]:
        """All folders of a machine."""
        return self._all(self.table.c.machine_id == machine_id, order=[self.table.c.path])

    def seen(self, folder_id: str) -> dict[str, Seen]:
        """The files by their names in the folder."""
        columns = self.files.c
        wanted = select(columns.name, columns.size_bytes, columns.changed_at_ns).where(columns.folder_id == folder_id)
        with self.database.reading() as connection:
            return {row.name: Seen(row.size_bytes, row.changed_at_ns) for row in connection.execute(wanted)}

    def note(self, folder_id: str, name: str, seen: Seen) -> None:
        """Note that a file was taken in as it is now."""
        columns = self.files.c
        row = {"size_bytes": seen.size_bytes, "changed_at_ns": seen.changed_at_ns, "updated_at_ms": now_ms()}
        with self.database.transaction() as connection:
            connection.execute(delete(self.files).where(columns.folder_id == folder_id, columns.name == name))
            connection.execute(insert(self.files).values(folder_id=folder_id, name=name, **row))

    def forget_file(self, folder_id: str, name: str) -> None:
        """Note that a file is gone."""
        columns = self.files.c
        with self.database.transaction() as connection:
            connection.execute(delete(self.files).where(columns.folder_id == folder_id, columns.name == name))

    def remove(self, id: str) -> bool:
        """Stop following a folder; what was taken in stays in the base."""
        with self.database.transaction() as connection:
            connection.execute(delete(self.files).where(self.files.c.folder_id == id))
        return super().remove(id)
