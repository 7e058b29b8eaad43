"""Connections to a base's SQLite file, transactions on them, and the gate where SQLite's exceptions stop."""

from __future__ import annotations

import errno
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NoReturn

from services.core.errors import DatabaseUnavailable, DiskFull
from services.core.i18n import N_
from services.core.units import UNKNOWN

BUSY_TIMEOUT_S = 15.0

REASONS = {
    sqlite3.SQLITE_BUSY: N_("it is locked by another program"),
    sqlite3.SQLITE_LOCKED: N_("it is locked by another program"),
    sqlite3.SQLITE_CORRUPT: N_("the file is damaged"),
    sqlite3.SQLITE_NOTADB: N_("the file is no database"),
    sqlite3.SQLITE_READONLY: N_("it cannot be written to"),
    sqlite3.SQLITE_PERM: N_("access is not permitted"),
    sqlite3.SQLITE_CANTOPEN: N_("it cannot be opened"),
    sqlite3.SQLITE_IOERR: N_("the disk reports an error"),
}
CLOSED = N_("it was closed")


class Connections:
    """A pool of connections to one file. Thread-safe: each transaction has a connection to itself."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._closed = False

    def reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """One consistent view of the base. Raises: DatabaseUnavailable."""
        return self._transaction("BEGIN")

    def writing(self) -> AbstractContextManager[sqlite3.Connection]:
        """One change, all or nothing. Raises: DatabaseUnavailable, DiskFull."""
        return self._transaction("BEGIN IMMEDIATE")

    @contextmanager
    def bare(self) -> Iterator[sqlite3.Connection]:
        """A connection outside of any transaction. Raises: DatabaseUnavailable, DiskFull."""
        with gate(self.path):
            connection = self._borrow()
            try:
                yield connection
            except sqlite3.Error:
                connection.close()
                raise
            except BaseException:
                self._give_back(connection)
                raise
            self._give_back(connection)

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        with self.bare() as connection:
            connection.execute(begin)
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close what is idle now, and what is in use when its transaction ends."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _borrow(self) -> sqlite3.Connection:
        with self._lock:
            if self._closed:
                raise DatabaseUnavailable(path=str(self.path), reason=CLOSED)
            if self._idle:
                return self._idle.pop()
        return connect(self.path)

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()


def connect(path: Path) -> sqlite3.Connection:
    """A connection whose transactions are begun and ended by hand, and whose texts come back as they were stored.

    In its statements `folded(text)` is a text without regard to upper and lower case.
    """
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogatepass")
    connection.create_function("folded", 1, str.casefold, deterministic=True)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def exact(text: str) -> str | bytes:
    """A text for `CAST(? AS TEXT)`: sqlite3 refuses a str with lone surrogates, which extracted texts may hold."""
    return text if text.isascii() else text.encode("utf-8", "surrogatepass")  # what is plain needs no copy


@contextmanager
def gate(path: Path) -> Iterator[None]:
    """Turn what SQLite or the disk raise into DiskFull or DatabaseUnavailable."""
    try:
        yield
    except sqlite3.Error as error:
        _refuse(path, error)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(path=str(path.parent), needed=UNKNOWN) from error
        raise DatabaseUnavailable(path=str(path), reason=error.strerror or str(error)) from error


def _refuse(path: Path, error: sqlite3.Error) -> NoReturn:
    primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if primary == sqlite3.SQLITE_FULL:
        raise DiskFull(path=str(path.parent), needed=UNKNOWN) from error
    raise DatabaseUnavailable(path=str(path), reason=REASONS.get(primary, str(error))) from error
