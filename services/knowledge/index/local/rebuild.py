"""Making everything anew that is derived from documents, chunks and vectors, without asking a model.

The ranges of visible chunks and the lexical index are written anew in one transaction: searches go on with the old
ones, and whoever changes the base waits. Words are found again in small transactions; where the way to find them has
changed, the lexical index moves with them.
"""

from __future__ import annotations

import sqlite3

from services.knowledge.index.local import ranges
from services.knowledge.index.local.connections import Connections
from services.knowledge.index.local.schema import VISIBLE_RANGES
from services.knowledge.index.protocol import Progress
from services.knowledge.index.words import words_of

BATCH_CHUNKS = 1000
TRIGGERS = ("becomes_visible", "becomes_invisible")

CHUNKS = """
    SELECT c.chunk_id, c.heading, COALESCE(c.embed_text, c.text) AS text, w.words FROM chunks c
    LEFT JOIN words w ON w.chunk_id = c.chunk_id WHERE c.chunk_id > ? ORDER BY c.chunk_id LIMIT ?
"""
NOW = """
    SELECT c.chunk_id, w.words, EXISTS
        (SELECT 1 FROM visible v WHERE c.chunk_id BETWEEN v.first AND v.last AND v.document_id = c.document_id)
        AS visible
    FROM chunks c LEFT JOIN words w ON w.chunk_id = c.chunk_id WHERE c.chunk_id = ?
"""


def rebuild(connections: Connections, progress: Progress) -> None:
    """Words that are missing, then ranges and lexical index, then words that are found otherwise today."""
    _find_words(connections, progress, only_missing=True)
    progress("lexical", 0, 1)
    with connections.writing() as connection:
        _write_ranges_anew(connection)
    progress("lexical", 1, 1)
    _find_words(connections, progress, only_missing=False)


def _write_ranges_anew(connection: sqlite3.Connection) -> None:
    kept = [
        connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (name,)).fetchone()[0] for name in TRIGGERS
    ]
    for name in TRIGGERS:
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute("DELETE FROM visible")
    answering = connection.execute(
        "SELECT document_id, answering FROM documents WHERE answering IS NOT NULL"
    ).fetchall()
    for document_id, revision in answering:
        connection.execute(
            VISIBLE_RANGES.format(document=":document", revision=":revision"),
            {"document": document_id, "revision": revision},
        )
    connection.execute(
        "UPDATE meta SET value = (SELECT COALESCE(SUM(last - first + 1), 0) FROM visible) WHERE key = 'visible_chunks'"
    )
    connection.execute("INSERT INTO lexical (lexical) VALUES ('rebuild')")
    connection.execute(
        "INSERT INTO visibility (first, last, visible) SELECT ?, COALESCE(MAX(last), 0), 0 FROM visible",
        (ranges.ALL_ANEW,),
    )
    connection.execute(
        "INSERT INTO visibility (first, last, visible) SELECT first, last, 1 FROM visible ORDER BY first"
    )
    for statement in kept:
        connection.execute(statement)


def _find_words(connections: Connections, progress: Progress, *, only_missing: bool) -> None:
    after, done = 0, 0
    with connections.reading() as connection:
        total = int(connection.execute("SELECT COUNT(*) FROM chunks").fetchone()[0])
    while True:
        progress("words", done, total)
        with connections.reading() as connection:
            rows = connection.execute(CHUNKS, (after, BATCH_CHUNKS)).fetchall()
        if not rows:
            return
        after, done = rows[-1]["chunk_id"], done + len(rows)
        asked = [row for row in rows if row["words"] is None or not only_missing]
        found = [(row, " ".join(words_of(f"{row['heading']} {row['text']}"))) for row in asked]
        changed = [(row["chunk_id"], words) for row, words in found if row["words"] != words]
        if changed:
            with connections.writing() as connection:
                for chunk_id, words in changed:
                    _replace_words(connection, chunk_id, words)


def _replace_words(connection: sqlite3.Connection, chunk_id: int, words: str) -> None:
    """One chunk's words, in the lexical index too where it is there with its old ones."""
    row = connection.execute(NOW, (chunk_id,)).fetchone()
    if row is None:
        return
    indexed = row["visible"] and row["words"] is not None
    if indexed:
        connection.execute(
            "INSERT INTO lexical (lexical, rowid, words) VALUES ('delete', ?, ?)", (chunk_id, row["words"])
        )
    connection.execute("INSERT OR REPLACE INTO words (chunk_id, words) VALUES (?, ?)", (chunk_id, words))
    if indexed:
        connection.execute("INSERT INTO lexical (rowid, words) VALUES (?, ?)", (chunk_id, words))
