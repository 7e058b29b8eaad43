"""A base's database as a file that can be carried elsewhere, and the look at one that came from elsewhere."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path

from services.core.errors import DatabaseUnavailable
from services.core.i18n import N_
from services.knowledge.index.local.connections import Connections, connect, gate
from services.knowledge.index.local.schema import MIGRATIONS, apply_migrations

FILE_NAME = "base.sqlite3"
STRANGE = N_("it is not the database of a knowledge base")
NEWER = N_("it was written by a newer version of Lectern")

_SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_stat%' ORDER BY type, name"


def copy_database(connections: Connections, target: Path) -> None:
    """A consistent copy of everything in the database, without free pages. Raises: DatabaseUnavailable, DiskFull."""
    with connections.bare() as connection:
        connection.execute("VACUUM INTO ?", (str(target),))


def check_base(folder: Path) -> None:
    """Look whether a folder holds a base's database and nothing else: a stranger's could have triggers of its own.

    Raises: DatabaseUnavailable.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        raise DatabaseUnavailable(path=str(path), reason=STRANGE)
    with gate(path):
        connection = connect(path)
        try:
            connection.execute("PRAGMA trusted_schema = OFF")
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
            if version > len(MIGRATIONS):
                raise DatabaseUnavailable(path=str(path), reason=NEWER)
            if version < 1 or _schema(connection) != _expected(version):
                raise DatabaseUnavailable(path=str(path), reason=STRANGE)
            if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                raise DatabaseUnavailable(path=str(path), reason=N_("the file is damaged"))
        finally:
            connection.close()


def _schema(connection: sqlite3.Connection) -> list[tuple[str, ...]]:
    return [tuple(row) for row in connection.execute(_SCHEMA)]


def _expected(version: int) -> list[tuple[str, ...]]:
    """The schema that our own migrations make up to a version."""
    with tempfile.TemporaryDirectory(prefix="lectern-schema-") as folder:
        connection = connect(Path(folder, "schema.sqlite3"))
        try:
            apply_migrations(connection, version)
            return _schema(connection)
        finally:
            connection.close()
