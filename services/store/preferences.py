"""What a person, or the installation as a whole, has chosen: keys with JSON values."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, insert, select

from services.core.clock import now_ms
from services.store.database import Database
from services.store.schema import preferences as table

EVERYBODY = ""


class Preferences:
    """The table of preferences. The owner `EVERYBODY` holds the product settings of the installation."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def get(self, owner_id: str, key: str) -> Any:
        """The chosen value, None where nothing was chosen."""
        return self.all(owner_id).get(key)

    def all(self, owner_id: str) -> dict[str, Any]:
        """Everything that this owner has chosen."""
        with self.database.reading() as connection:
            rows = connection.execute(select(table.c.key, table.c.value).where(table.c.owner_id == owner_id)).all()
        return {row.key: row.value for row in rows}

    def set(self, owner_id: str, key: str, value: Any) -> None:
        """Choose a value; None goes back to the default."""
        chosen = (table.c.owner_id == owner_id) & (table.c.key == key)
        with self.database.transaction() as connection:
            connection.execute(delete(table).where(chosen))
            if value is not None:
                row = {"owner_id": owner_id, "key": key, "value": value, "updated_at_ms": now_ms()}
                connection.execute(insert(table).values(row))
