"""Rows as frozen dataclasses, and the few statements that every table needs."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Table, delete, insert, select, update

from services.core.clock import now_ms
from services.store.database import Database

R = TypeVar("R")


def new_id() -> str:
    """A random id that is safe in paths and addresses."""
    return secrets.token_hex(8)


class Rows(Generic[R]):
    """One table whose rows are one dataclass with the table's column names as fields."""

    table: Table
    record: type[R]

    def __init__(self, database: Database) -> None:
        self.database = database

    def get(self, id: str) -> R | None:
        """The row with this id."""
        return self._one(self.table.c.id == id)

    def update(self, id: str, **changes: Any) -> R | None:
        """Change columns of a row, stamping the time; None where it is gone."""
        values = {**changes, "updated_at_ms": now_ms()}
        statement = update(self.table).where(self.table.c.id == id).values(values).returning(self.table)
        with self.database.transaction(name=str(changes.get("name", ""))) as connection:
            row = connection.execute(statement).first()
        return self._record(row) if row else None

    def remove(self, id: str) -> bool:
        """Delete a row; False where it was gone."""
        with self.database.transaction() as connection:
            return connection.execute(delete(self.table).where(self.table.c.id == id)).rowcount > 0

    def _insert(self, **values: Any) -> R:
        stamped = {"id": new_id(), "created_at_ms": now_ms(), "updated_at_ms": now_ms(), **values}
        with self.database.transaction(name=str(values.get("name", ""))) as connection:
            row = connection.execute(insert(self.table).values(stamped).returning(self.table)).one()
        return self._record(row)

    def _one(self, *conditions: ColumnElement[bool]) -> R | None:
        with self.database.reading() as connection:
            row = connection.execute(select(self.table).where(*conditions)).first()
        return self._record(row) if row else None

    def _all(self, *conditions: ColumnElement[bool], order: Sequence[Any] = ()) -> list[R]:
        with self.database.reading() as connection:
            rows = connection.execute(select(self.table).where(*conditions).order_by(*order)).all()
        return [self._record(row) for row in rows]

    def _record(self, row: Any) -> R:
        names = [field.name for field in dataclasses.fields(self.record)]  # type: ignore[arg-type]
        return self.record(**{name: getattr(row, name) for name in names})
