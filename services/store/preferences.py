"""What a person, or the installation as a whole, has chosen: keys with JSON values."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, select

from services.core.clock import now_ms
from services.store.database import Database, upsert
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
        with self.database.transaction() as connection:
            if value is None:
                chosen = (table.c.owner_id == owner_id) & (table.c.key == key)
                connection.execute(delete(table).where(chosen))
                return
            now = {"value": value, "updated_at_ms": now_ms()}
            upsert(connection, table, ("owner_id", "key"), {"owner_id": owner_id, "key": key, **now}, now)
