"""The engine of the state database, and the gate at which SQLAlchemy's exceptions stop."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, Row, Table, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from services.core.clock import ticks_ms
from services.core.errors import AppError, DatabaseUnavailable, DiskFull, NameTaken

SWITCH_MS = 30_000


class Database:
    """One engine, handing out transactions. Thread-safe."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = connect(url)

    @contextmanager
    def transaction(self, *, name: str = "") -> Iterator[Connection]:
        """A transaction; all or nothing. `name` is what a uniqueness violation would be about.

        Raises: NameTaken, DiskFull, DatabaseUnavailable.
        """
        try:
            with self.engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise mapped(error, self.engine.url.database or self.url, name) from error

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads: it never waits for a writer, and sees one moment.

        Raises: DatabaseUnavailable.
        """
        try:
            with self.engine.connect().execution_options(reading=True) as connection:
                yield connection
        except SQLAlchemyError as error:
            raise mapped(error, self.engine.url.database or self.url, "") from error

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def upsert(
    connection: Connection, table: Table, keyed: Collection[str], row: Mapping[str, Any], changed: Mapping[str, Any]
) -> Row[Any]:
    """Insert a row, or change the one that has its key; also where two do so at the same time. The row as it is then.

    Args:
        keyed: the columns of the table whose values together are unique.
        changed: what a row that is there already gets; may speak of the table's columns.
    """
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite  # each words that by itself
    statement = dialect.insert(table).values(row)
    settled = statement.on_conflict_do_update(index_elements=list(keyed), set_=dict(changed)).returning(table)
    return connection.execute(settled).one()


def connect(url: str) -> Engine:
    """An engine; SQLite gets the pragmas that let several processes read and write at a time."""
    if not url.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True)
    engine = create_engine(url, connect_args={"timeout": 30.0})

    @event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _: Any) -> None:
        # BEGIN is ours (below), so that a writing transaction takes the write lock at its start and waits its turn.
        connection.isolation_level = None
        _write_ahead(connection)
        for pragma in ("synchronous=NORMAL", "foreign_keys=ON", "busy_timeout=30000"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        reading = connection.get_execution_options().get("reading")
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log. Where others do so at the same time, SQLite refuses without waiting."""
    due_ms = ticks_ms() + SWITCH_MS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or ticks_ms() > due_ms:
                raise
            time.sleep(0.01)


def mapped(error: SQLAlchemyError, path: str, name: str) -> AppError:
    """The product's error for one of SQLAlchemy's."""
    text = str(error.orig if isinstance(error, DBAPIError) else error)
    if isinstance(error, IntegrityError) and "unique" in text.lower():
        return NameTaken(name=name)
    if "full" in text.lower() or "No space left" in text:
        return DiskFull(path=path, needed="100 MiB")
    return DatabaseUnavailable(path=path, reason=text.splitlines()[0])
