"""Counting everything in a base and checking every law. Problems are short English sentences for the log."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator

import numpy as np

from services.knowledge.index.local.dense import View
from services.knowledge.index.local.vectors import dimensions
from services.knowledge.index.local.verify_index import index_problems
from services.knowledge.types import VerifyReport

LENGTH_TOLERANCE = 1e-4

MISCOUNTED = """
    SELECT d.document_id, d.answering, r.state, r.chunks AS made, COUNT(c.chunk_id) AS stored,
        COUNT(v.chunk_id) AS vectors
    FROM documents d
    LEFT JOIN revisions r ON r.document_id = d.document_id AND r.revision = d.answering
    LEFT JOIN chunks c ON c.document_id = d.document_id AND c.revision = d.answering
    LEFT JOIN vectors v ON v.chunk_id = c.chunk_id
    WHERE d.answering IS NOT NULL GROUP BY d.document_id
    HAVING r.state IS NOT 'ready' OR r.chunks IS NOT stored OR stored <> vectors OR NOT stored
"""

LEFT_OVER = """
    SELECT r.document_id, r.revision, COUNT(*) AS chunks
    FROM chunks c JOIN revisions r ON r.document_id = c.document_id AND r.revision = c.revision
    JOIN documents d ON d.document_id = r.document_id
    WHERE r.revision IS NOT d.answering AND r.settled
    GROUP BY r.document_id, r.revision
"""

FORGOTTEN = """
    SELECT r.document_id, r.revision FROM revisions r JOIN documents d ON d.document_id = r.document_id
    WHERE r.revision IS NOT d.answering AND r.revision <> d.newest
"""

NEWEST_MISSING = """
    SELECT d.document_id FROM documents d WHERE NOT EXISTS
        (SELECT 1 FROM revisions r WHERE r.document_id = d.document_id AND r.revision = d.newest)
"""

NAMELESS = """
    SELECT d.document_id FROM documents d WHERE d.superseded_by IS NULL
        AND NOT EXISTS (SELECT 1 FROM names n WHERE n.document_id = d.document_id)
"""

VISIBLE = """
    SELECT COUNT(c.chunk_id) AS chunks, COUNT(v.chunk_id) AS vectors
    FROM documents d JOIN chunks c ON c.document_id = d.document_id AND c.revision = d.answering
    LEFT JOIN vectors v ON v.chunk_id = c.chunk_id
"""


def verify(connection: sqlite3.Connection, view: View) -> VerifyReport:
    """Check a base as one view of it shows it; `view` is what searches by vectors look at then."""
    visible = connection.execute(VISIBLE).fetchone()
    documents = connection.execute("SELECT COUNT(*) AS n FROM documents WHERE superseded_by IS NULL").fetchone()["n"]
    problems = itertools.chain(
        _file(connection),
        _rows(connection),
        _texts(connection),
        _vectors(connection),
        index_problems(connection, view, visible["vectors"]),
    )
    return VerifyReport(documents, visible["chunks"], visible["vectors"], 0, tuple(problems))


def _file(connection: sqlite3.Connection) -> Iterator[str]:
    for row in connection.execute("PRAGMA quick_check(5)"):
        if row[0] != "ok":
            yield f"the database file is damaged: {row[0]}"
    for row in connection.execute("PRAGMA foreign_key_check"):
        yield f"{row['table']} row {row['rowid']} belongs to nothing in {row['parent']}"


def _rows(connection: sqlite3.Connection) -> Iterator[str]:
    for row in connection.execute(MISCOUNTED):
        yield (
            f"document {row['document_id']} answers with revision {row['answering']} ({row['state']}): "
            f"{row['made']} chunks made, {row['stored']} stored, {row['vectors']} vectors"
        )
    for row in connection.execute(LEFT_OVER):
        yield f"document {row['document_id']} revision {row['revision']} keeps {row['chunks']} chunks without need"
    for row in connection.execute(FORGOTTEN):
        yield f"document {row['document_id']} keeps revision {row['revision']} without need"
    for row in connection.execute(NEWEST_MISSING):
        yield f"document {row['document_id']} has lost its newest revision"
    for row in connection.execute(NAMELESS):
        yield f"document {row['document_id']} has no name"


def _texts(connection: sqlite3.Connection) -> Iterator[str]:
    """Chunks that are not the stretch of text that they say."""
    texts = connection.execute("SELECT document_id, revision FROM chunks GROUP BY document_id, revision").fetchall()
    for place in map(tuple, texts):
        row = connection.execute("SELECT text FROM texts WHERE document_id = ? AND revision = ?", place).fetchone()
        if row is None:
            yield f"document {place[0]} revision {place[1]} has chunks but no text"
            continue
        chunks = connection.execute(
            'SELECT chunk_id, start, "end", text, shown_start, shown_end FROM chunks'
            " WHERE document_id = ? AND revision = ?",
            place,
        )
        for chunk in chunks:
            if chunk["text"] != row["text"][chunk["start"] : chunk["end"]]:
                yield f"chunk {chunk['chunk_id']} differs from its text"
            if chunk["shown_start"] is not None and not _holds(chunk, len(row["text"])):
                yield f"chunk {chunk['chunk_id']} is shown as a stretch that does not hold it"


def _holds(chunk: sqlite3.Row, length: int) -> bool:
    shown = range(chunk["shown_start"], chunk["shown_end"] or 0)
    return chunk["start"] in shown and chunk["end"] - 1 in shown and shown.start >= 0 and shown.stop <= length


def _vectors(connection: sqlite3.Connection) -> Iterator[str]:
    expected = 4 * (dimensions(connection) or 0)
    for row in connection.execute("SELECT chunk_id, vector FROM vectors"):
        if len(row["vector"]) != expected:
            yield f"the vector of chunk {row['chunk_id']} has {len(row['vector'])} bytes instead of {expected}"
        elif not abs(float(np.linalg.norm(np.frombuffer(row["vector"], "<f4"))) - 1.0) < LENGTH_TOLERANCE:
            yield f"the vector of chunk {row['chunk_id']} does not have length 1"
