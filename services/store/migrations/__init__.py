"""Alembic migrations of the state database: numbered files under versions/, each a transaction."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from services.store.database import Database

VERSIONS = Path(__file__).parent / "versions"
HEAD = max(path.name.partition("_")[0] for path in VERSIONS.glob("[0-9]*.py"))
"""The newest of them."""


def migrate(database: Database) -> None:
    """Bring the database to the newest schema; quick when it is there. Several processes may call it at once."""
    with database.transaction() as connection:
        if _version(connection) == HEAD:
            return
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(7305)"))
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
