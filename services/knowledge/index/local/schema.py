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
from services.knowledge.index.words import words_of

LEXICAL_TOKENS = "tokenize = \"porter unicode61 remove_diacritics 2 categories 'L* M* N* P* S* Co Cn'\""
"""White space alone parts words: they were found before they came here."""

VISIBLE_RANGES = """INSERT INTO visible (first, last, document_id)
    SELECT MIN(chunk_id), MAX(chunk_id), {document} FROM
        (SELECT chunk_id, chunk_id - ROW_NUMBER() OVER (ORDER BY chunk_id) AS island FROM chunks
            WHERE document_id = {document} AND revision = {revision})
    GROUP BY island"""
"""The chunks of a revision as ranges of ids: one, unless something else was staged in between."""

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

# What searches find stands in `visible`, as ranges of chunk ids; its triggers keep the lexical index, the number of
# visible chunks and the log of changes, which every dense index in memory follows.
SEARCHING = (
    """CREATE TABLE words (
        chunk_id INTEGER PRIMARY KEY REFERENCES chunks ON DELETE CASCADE,
        words TEXT NOT NULL
    )""",
    """INSERT INTO words SELECT chunk_id, words_of(CAST(heading || ' ' || COALESCE(embed_text, text) AS BLOB))
        FROM chunks""",
    """CREATE TABLE visible (
        first INTEGER PRIMARY KEY,
        last INTEGER NOT NULL,
        document_id TEXT NOT NULL
    )""",
    "CREATE INDEX visible_document ON visible (document_id)",
    """CREATE TABLE visibility (
        change INTEGER PRIMARY KEY AUTOINCREMENT,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        visible INTEGER NOT NULL
    )""",
    """CREATE VIEW visible_words AS SELECT w.chunk_id, w.words
        FROM visible v JOIN words w ON w.chunk_id BETWEEN v.first AND v.last""",
    f"""CREATE VIRTUAL TABLE lexical USING fts5
        (words, content = 'visible_words', content_rowid = 'chunk_id', {LEXICAL_TOKENS})""",
    "CREATE VIRTUAL TABLE lexical_terms USING fts5vocab (lexical, 'row')",
    "INSERT INTO meta VALUES ('visible_chunks', 0)",
    """CREATE TRIGGER becomes_visible AFTER INSERT ON visible BEGIN
        INSERT INTO lexical (rowid, words)
            SELECT chunk_id, words FROM words WHERE chunk_id BETWEEN new.first AND new.last;
        INSERT INTO visibility (first, last, visible) VALUES (new.first, new.last, 1);
        UPDATE meta SET value = value + new.last - new.first + 1 WHERE key = 'visible_chunks';
    END""",
    """CREATE TRIGGER becomes_invisible BEFORE DELETE ON visible BEGIN
        INSERT INTO lexical (lexical, rowid, words)
            SELECT 'delete', chunk_id, words FROM words WHERE chunk_id BETWEEN old.first AND old.last;
        INSERT INTO visibility (first, last, visible) VALUES (old.first, old.last, 0);
        UPDATE meta SET value = value - (old.last - old.first + 1) WHERE key = 'visible_chunks';
    END""",
    "DROP TRIGGER answering_changed",
    "DROP TRIGGER answering_gone",
    "DELETE FROM meta WHERE key = 'changes'",
    """CREATE TRIGGER answers_no_more BEFORE UPDATE OF answering ON documents
        WHEN old.answering IS NOT NULL AND old.answering IS NOT new.answering
        BEGIN DELETE FROM visible WHERE document_id = old.document_id; END""",
    f"""CREATE TRIGGER answers_now AFTER UPDATE OF answering ON documents
        WHEN new.answering IS NOT NULL AND old.answering IS NOT new.answering
        BEGIN {VISIBLE_RANGES.format(document="new.document_id", revision="new.answering")}; END""",
    """CREATE TRIGGER answers_never_again BEFORE DELETE ON documents WHEN old.answering IS NOT NULL
        BEGIN DELETE FROM visible WHERE document_id = old.document_id; END""",
    # What answers already: each document once more.
    "CREATE TEMP TABLE answered AS SELECT document_id, answering FROM documents WHERE answering IS NOT NULL",
    "UPDATE documents SET answering = NULL WHERE answering IS NOT NULL",
    "UPDATE documents SET answering = (SELECT a.answering FROM answered a WHERE a.document_id = documents.document_id)",
    "DROP TABLE answered",
    "CREATE INDEX revisions_unsettled ON revisions (document_id) WHERE NOT settled",
    "CREATE INDEX revisions_failed ON revisions (document_id) WHERE state = 'failed'",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (FIRST, STRATEGIES, POSITIONS, SEARCHING)
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
    connection.create_function("words_of", 1, _joined_words)
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in MIGRATIONS[number]:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {number + 1}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _joined_words(raw: bytes) -> str:
    return " ".join(words_of(raw.decode("utf-8", "surrogatepass")))


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
