"""The tables of a base, as small numbered migrations, each in a transaction of its own.

A document has at most two revisions: the one that answers and the newest one. `last_revision` is the highest number it
ever gave, for a number never comes back. A document whose last name went to the content of another document has
`superseded_by` and answers until that one is ready.
"""

from __future__ import annotations

import sqlite3

from filelock import FileLock

from services.core.errors import DatabaseUnavailable
from services.core.i18n import N_
from services.knowledge.index.local.connections import Connections

FIRST = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID",
    "INSERT INTO meta VALUES ('changes', 0)",
    """CREATE TABLE documents (
        document_id TEXT PRIMARY KEY,
        newest INTEGER NOT NULL,
        last_revision INTEGER NOT NULL,
        answering INTEGER,
        superseded_by TEXT REFERENCES documents ON DELETE CASCADE,
        last_name TEXT NOT NULL,
        created_at_ms INTEGER NOT NULL
    )""",
    "CREATE INDEX documents_superseded ON documents (superseded_by)",
    """CREATE TABLE names (
        noted INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        document_id TEXT NOT NULL REFERENCES documents ON DELETE CASCADE
    )""",
    "CREATE INDEX names_document ON names (document_id, noted)",
    """CREATE TABLE revisions (
        noted INTEGER PRIMARY KEY AUTOINCREMENT,
        document_id TEXT NOT NULL REFERENCES documents ON DELETE CASCADE,
        revision INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        sha256 TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,
        media_type TEXT,
        state TEXT NOT NULL,
        settled INTEGER NOT NULL AS (state IN ('ready', 'failed', 'cancelled')),
        pages INTEGER,
        chunks INTEGER,
        read_notices TEXT NOT NULL DEFAULT '[]',
        split_notices TEXT NOT NULL DEFAULT '[]',
        error_code TEXT,
        error_params TEXT,
        created_at_ms INTEGER NOT NULL,
        updated_at_ms INTEGER NOT NULL,
        UNIQUE (document_id, revision)
    )""",
    "CREATE INDEX revisions_content ON revisions (sha256)",
    """CREATE TABLE texts (
        document_id TEXT NOT NULL,
        revision INTEGER NOT NULL,
        text TEXT NOT NULL,
        pages TEXT NOT NULL,
        headings TEXT NOT NULL,
        PRIMARY KEY (document_id, revision),
        FOREIGN KEY (document_id, revision) REFERENCES revisions (document_id, revision) ON DELETE CASCADE
    )""",
    """CREATE TABLE chunks (
        chunk_id INTEGER PRIMARY KEY AUTOINCREMENT,
        document_id TEXT NOT NULL,
        revision INTEGER NOT NULL,
        ordinal INTEGER NOT NULL,
        start INTEGER NOT NULL,
        "end" INTEGER NOT NULL,
        text TEXT NOT NULL,
        page INTEGER,
        heading TEXT NOT NULL,
        UNIQUE (document_id, revision, ordinal),
        FOREIGN KEY (document_id, revision) REFERENCES revisions (document_id, revision) ON DELETE CASCADE
    )""",
    """CREATE TABLE vectors (
        chunk_id INTEGER PRIMARY KEY REFERENCES chunks ON DELETE CASCADE,
        vector BLOB NOT NULL
    )""",
    # Whatever changes what a search may find raises the counter that every index in memory follows.
    """CREATE TRIGGER answering_changed AFTER UPDATE OF answering ON documents
        BEGIN UPDATE meta SET value = value + 1 WHERE key = 'changes'; END""",
    """CREATE TRIGGER answering_gone AFTER DELETE ON documents WHEN old.answering IS NOT NULL
        BEGIN UPDATE meta SET value = value + 1 WHERE key = 'changes'; END""",
)

STRATEGIES = (
    # A chunk may be found by another text than its own, and be shown as a larger stretch.
    "ALTER TABLE chunks ADD COLUMN context TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE chunks ADD COLUMN embed_text TEXT",
    "ALTER TABLE chunks ADD COLUMN shown_start INTEGER",
    "ALTER TABLE chunks ADD COLUMN shown_end INTEGER",
    # What a chat server has made of a passage, so that a split that was interrupted does not ask again.
    """CREATE TABLE rewrites (
        document_id TEXT NOT NULL,
        revision INTEGER NOT NULL,
        passage TEXT NOT NULL,
        answer TEXT NOT NULL,
        PRIMARY KEY (document_id, revision, passage),
        FOREIGN KEY (document_id, revision) REFERENCES revisions (document_id, revision) ON DELETE CASCADE
    ) WITHOUT ROWID""",
)

POSITIONS = (
    """CREATE TABLE positions (
        document_id TEXT NOT NULL,
        revision INTEGER NOT NULL,
        page INTEGER NOT NULL,
        start INTEGER NOT NULL,
        "end" INTEGER NOT NULL,
        boxes BLOB NOT NULL,
        PRIMARY KEY (document_id, revision, page),
        FOREIGN KEY (document_id, revision) REFERENCES revisions (document_id, revision) ON DELETE CASCADE
    )""",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (FIRST, STRATEGIES, POSITIONS)
NEWER = N_("it was written by a newer version of Lectern")


def migrate(connections: Connections) -> None:
    """Bring the file to the newest schema, making it where there is none. Raises: DatabaseUnavailable, DiskFull."""
    with connections.bare() as connection:
        version = _version(connection)
        if version > len(MIGRATIONS):
            raise DatabaseUnavailable(path=str(connections.path), reason=NEWER)
        if version == len(MIGRATIONS):
            return
        with FileLock(connections.path.with_suffix(".lock")):
            connection.execute("PRAGMA journal_mode = WAL")
            for number in range(_version(connection), len(MIGRATIONS)):
                _apply(connection, number)


def apply_migrations(connection: sqlite3.Connection, version: int) -> None:
    """Bring an empty database to a version of the schema."""
    for number in range(version):
        _apply(connection, number)


def _apply(connection: sqlite3.Connection, number: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in MIGRATIONS[number]:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {number + 1}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
