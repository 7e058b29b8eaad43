"""Checking what searches look at against what is visible: ranges, words, the lexical index, snapshot and memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import numpy as np

from services.knowledge.index.local import ranges
from services.knowledge.index.local.dense import View
from services.knowledge.index.local.schema import LEXICAL_TOKENS
from services.knowledge.index.local.snapshots import INDEX, place, whole_checksum
from services.knowledge.index.local.vectors import ChunkIds

NOT_AS_RANGES = """
    SELECT d.document_id, COUNT(*) AS chunks FROM documents d
    JOIN chunks c ON c.document_id = d.document_id AND c.revision = d.answering
    LEFT JOIN visible v ON v.document_id = d.document_id AND c.chunk_id BETWEEN v.first AND v.last
    WHERE v.first IS NULL GROUP BY d.document_id
"""

FOREIGN_RANGES = """
    SELECT v.document_id, v.first, v.last FROM visible v LEFT JOIN documents d ON d.document_id = v.document_id
    WHERE d.answering IS NULL OR v.last - v.first + 1 <> (SELECT COUNT(*) FROM chunks c
        WHERE c.chunk_id BETWEEN v.first AND v.last AND c.document_id = v.document_id AND c.revision = d.answering)
"""

WORDLESS = """
    SELECT c.chunk_id FROM chunks c LEFT JOIN words w ON w.chunk_id = c.chunk_id WHERE w.chunk_id IS NULL
"""

UNLIKE = """
    SELECT COUNT(*) FROM
        (SELECT term, doc, cnt FROM {one} EXCEPT SELECT term, doc, cnt FROM {other})
"""


def index_problems(connection: sqlite3.Connection, view: View, visible_vectors: int) -> Iterator[str]:
    """Everything that searches would miss, or find without need."""
    yield from _ranges(connection)
    yield from _lexical(connection)
    yield from _dense(connection, view, visible_vectors)


def _ranges(connection: sqlite3.Connection) -> Iterator[str]:
    for row in connection.execute(NOT_AS_RANGES):
        yield f"document {row['document_id']} answers, but searches do not look at {row['chunks']} of its chunks"
    for row in connection.execute(FOREIGN_RANGES):
        yield f"searches look at chunks {row['first']} to {row['last']}, which document {row['document_id']} lacks"
    counted, kept = ranges.size(ranges.visible(connection)), ranges.visible_chunks(connection)
    if counted != kept:
        yield f"{kept} chunks are said to be visible, but {counted} are"


def _lexical(connection: sqlite3.Connection) -> Iterator[str]:
    """The index holds the visible chunks and no other, and every word as often as a fresh index would."""
    for row in connection.execute(WORDLESS):
        yield f"chunk {row['chunk_id']} has no words"
    visible = {row[0] for row in connection.execute("SELECT chunk_id FROM visible_words")}
    indexed = {row[0] for row in connection.execute("SELECT id FROM lexical_docsize")}
    if visible != indexed:
        yield f"the lexical index lacks {len(visible - indexed)} chunks and has {len(indexed - visible)} too many"
    connection.execute(f"CREATE VIRTUAL TABLE temp.fresh USING fts5 (words, content = '', {LEXICAL_TOKENS})")
    try:
        connection.execute("INSERT INTO temp.fresh (rowid, words) SELECT chunk_id, words FROM visible_words")
        connection.execute("CREATE VIRTUAL TABLE temp.fresh_terms USING fts5vocab (temp, fresh, 'row')")
        missing = connection.execute(UNLIKE.format(one="temp.fresh_terms", other="lexical_terms")).fetchone()[0]
        spare = connection.execute(UNLIKE.format(one="lexical_terms", other="temp.fresh_terms")).fetchone()[0]
        if missing or spare:
            yield f"the lexical index counts {max(missing, spare)} words otherwise than the chunks do"
        connection.execute("DROP TABLE temp.fresh_terms")
    finally:
        connection.execute("DROP TABLE temp.fresh")


def _dense(connection: sqlite3.Connection, view: View, visible_vectors: int) -> Iterator[str]:
    """Snapshot and memory, less what is gone, are the visible vectors."""
    if view.problem:
        yield f"the snapshot {view.problem}"
    if view.blocks is None:
        return
    found = _looked_at(view)
    expected = _ids(connection)
    if len(found) != visible_vectors:
        yield f"searches look at {len(found)} vectors, but {visible_vectors} are visible"
    elif not np.array_equal(found, expected):
        yield f"searches look at {len(np.setdiff1d(found, expected))} vectors that are not visible"
    if view.snapshot is not None:
        about = view.snapshot.about
        path = place(view.snapshot.base_folder, about.generation) / INDEX
        if path.exists() and whole_checksum(path) != about.whole_checksum:
            yield f"the snapshot {about.generation} is not what was written"


def _looked_at(view: View) -> ChunkIds:
    ids = [block.ids for block in view.blocks or ()]
    if view.snapshot is not None:
        mapped = np.sort(view.snapshot.ids())
        ids.append(mapped[~ranges.holds(sorted(view.gone), mapped)])
    return np.sort(np.concatenate([*ids, np.empty(0, np.int64)]))


def _ids(connection: sqlite3.Connection) -> ChunkIds:
    rows = connection.execute(
        "SELECT n.chunk_id FROM visible v JOIN vectors n ON n.chunk_id BETWEEN v.first AND v.last ORDER BY 1"
    )
    return np.fromiter((row[0] for row in rows), np.int64)
