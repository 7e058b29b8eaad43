"""From a file to vectors: what the steps of one revision leave behind, and the count that makes it visible.

Every function works inside a transaction of its caller, may be repeated, and changes nothing for a revision that is not
wanted any more.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import astuple

from services.core.clock import now_ms
from services.core.errors import CountMismatch
from services.knowledge.embedders.protocol import Vectors
from services.knowledge.index.local.connections import exact
from services.knowledge.index.local.documents import drop_forgotten_revisions, drop_superseded, wanted
from services.knowledge.index.local.rows import document, to_json
from services.knowledge.index.local.vectors import dimensions, require_dimensions, unit_rows
from services.knowledge.index.words import words_of
from services.knowledge.positions import Boxes
from services.knowledge.types import Chunk, DocumentState, Extracted, Notice, RevisionKey, StagedChunk


def set_state(connection: sqlite3.Connection, key: RevisionKey, state: DocumentState) -> bool:
    """Say what is being done now."""
    if not wanted(connection, key):
        return False
    connection.execute(
        "UPDATE revisions SET state = ?, error_code = NULL, error_params = NULL, updated_at_ms = ?"
        " WHERE document_id = ? AND revision = ?",
        (state, now_ms(), key.document_id, key.revision),
    )
    return True


def write_text(connection: sqlite3.Connection, key: RevisionKey, extracted: Extracted) -> bool:
    """Store the extracted text, replacing an earlier try's."""
    if not wanted(connection, key):
        return False
    connection.execute(
        "INSERT OR REPLACE INTO texts (document_id, revision, text, pages, headings)"
        " VALUES (?, ?, CAST(? AS TEXT), ?, ?)",
        (
            key.document_id,
            key.revision,
            exact(extracted.text),
            json.dumps([astuple(page) for page in extracted.pages]),
            json.dumps([astuple(heading) for heading in extracted.headings]),
        ),
    )
    _write_boxes(connection, key, extracted.boxes)
    connection.execute(
        "UPDATE revisions SET media_type = ?, pages = ?, read_notices = ?, updated_at_ms = ?"
        " WHERE document_id = ? AND revision = ?",
        (
            extracted.media_type,
            len(extracted.pages) or None,
            to_json(extracted.notices),
            now_ms(),
            key.document_id,
            key.revision,
        ),
    )
    return True


def _write_boxes(connection: sqlite3.Connection, key: RevisionKey, boxes: Boxes) -> None:
    place = (key.document_id, key.revision)
    connection.execute("DELETE FROM positions WHERE document_id = ? AND revision = ?", place)
    connection.executemany(
        'INSERT INTO positions (document_id, revision, page, start, "end", boxes) VALUES (?, ?, ?, ?, ?, ?)',
        (
            (*place, page, min(box.start for box in found), max(box.end for box in found), found.packed)
            for page, found in boxes.by_page()
        ),
    )


def lexical_words(chunk: Chunk) -> str:
    """The words by which a chunk is found: those of its headings, and of the text that it is embedded by."""
    return " ".join(words_of(f"{chunk.heading} {chunk.indexed_text}"))


def stage(
    connection: sqlite3.Connection,
    key: RevisionKey,
    chunks: Sequence[Chunk],
    words: Sequence[str],
    notices: Sequence[Notice],
) -> bool:
    """Store all chunks with their words, replacing an earlier try's, and remember how many were made."""
    if not wanted(connection, key):
        return False
    place = (key.document_id, key.revision)
    connection.execute("DELETE FROM chunks WHERE document_id = ? AND revision = ?", place)
    connection.executemany(
        'INSERT INTO chunks (document_id, revision, ordinal, start, "end", page, shown_start, shown_end,'
        " text, heading, context, embed_text)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT))",
        ((*place, *_row(chunk)) for chunk in chunks),
    )
    connection.executemany(
        "INSERT INTO words (chunk_id, words) SELECT chunk_id, ? FROM chunks"
        " WHERE document_id = ? AND revision = ? AND ordinal = ?",
        ((found, *place, chunk.ordinal) for chunk, found in zip(chunks, words, strict=True)),
    )
    connection.execute(
        "UPDATE revisions SET chunks = ?, split_notices = ?, updated_at_ms = ? WHERE document_id = ? AND revision = ?",
        (len(chunks), to_json(notices), now_ms(), *place),
    )
    return True


def _row(chunk: Chunk) -> tuple[object, ...]:
    return (
        *(chunk.ordinal, chunk.start, chunk.end, chunk.page, chunk.shown_start, chunk.shown_end),
        *(exact(text) for text in (chunk.text, chunk.heading, chunk.context)),
        None if chunk.embed_text is None else exact(chunk.embed_text),
    )


def rewritten(connection: sqlite3.Connection, key: RevisionKey) -> dict[str, str]:
    """What a chat server has made of passages of this revision so far, by the passage's own key."""
    rows = connection.execute(
        "SELECT passage, answer FROM rewrites WHERE document_id = ? AND revision = ?", (key.document_id, key.revision)
    )
    return {row["passage"]: row["answer"] for row in rows}


def keep_rewritten(connection: sqlite3.Connection, key: RevisionKey, answers: Mapping[str, str]) -> bool:
    """Store what a chat server has made of passages."""
    if not wanted(connection, key):
        return False
    connection.executemany(
        "INSERT OR REPLACE INTO rewrites (document_id, revision, passage, answer) VALUES (?, ?, ?, CAST(? AS TEXT))",
        ((key.document_id, key.revision, passage, exact(answer)) for passage, answer in answers.items()),
    )
    return True


def unembedded(connection: sqlite3.Connection, key: RevisionKey, limit: int) -> list[StagedChunk]:
    """Staged chunks without a vector, in order."""
    if not wanted(connection, key):
        return []
    rows = connection.execute(
        "SELECT chunk_id, COALESCE(embed_text, text) AS text FROM chunks c WHERE document_id = ? AND revision = ?"
        " AND NOT EXISTS (SELECT 1 FROM vectors v WHERE v.chunk_id = c.chunk_id) ORDER BY ordinal LIMIT ?",
        (key.document_id, key.revision, limit),
    )
    return [StagedChunk(row["chunk_id"], row["text"]) for row in rows]


def store_vectors(connection: sqlite3.Connection, key: RevisionKey, chunk_ids: Sequence[int], vectors: Vectors) -> bool:
    """Store vectors of staged chunks, each brought to length 1. Raises: EmbedderMismatch, InvalidValue."""
    units = unit_rows(vectors)
    if len(units) != len(chunk_ids):
        raise ValueError(f"{len(chunk_ids)} chunks, but {len(units)} vectors")
    if not wanted(connection, key) or not _all_staged(connection, key, chunk_ids):
        return False
    _agree_on_dimensions(connection, units.shape[1])
    connection.executemany(
        "INSERT OR REPLACE INTO vectors (chunk_id, vector) VALUES (?, ?)",
        ((int(chunk_id), unit.tobytes()) for chunk_id, unit in zip(chunk_ids, units, strict=True)),
    )
    connection.execute(
        "UPDATE revisions SET updated_at_ms = ? WHERE document_id = ? AND revision = ?",
        (now_ms(), key.document_id, key.revision),
    )
    return True


def _agree_on_dimensions(connection: sqlite3.Connection, found: int) -> None:
    connection.execute("INSERT OR IGNORE INTO meta VALUES ('dimensions', ?)", (found,))
    require_dimensions(dimensions(connection) or 0, found)


def _all_staged(connection: sqlite3.Connection, key: RevisionKey, chunk_ids: Sequence[int]) -> bool:
    known = connection.execute(
        "SELECT COUNT(*) FROM chunks WHERE document_id = ? AND revision = ?"
        " AND chunk_id IN (SELECT value FROM json_each(?))",
        (key.document_id, key.revision, json.dumps([int(chunk_id) for chunk_id in chunk_ids])),
    ).fetchone()
    return bool(known[0] == len(set(chunk_ids)))


def publish(connection: sqlite3.Connection, key: RevisionKey) -> bool:
    """Count, make the revision the one that answers, and drop what it replaces. Raises: CountMismatch."""
    if not wanted(connection, key):
        return _is_answering(connection, key)
    row = connection.execute(
        "SELECT r.chunks AS made, COUNT(c.chunk_id) AS stored, COUNT(v.chunk_id) AS vectors FROM revisions r"
        " LEFT JOIN chunks c ON c.document_id = r.document_id AND c.revision = r.revision"
        " LEFT JOIN vectors v ON v.chunk_id = c.chunk_id WHERE r.document_id = ? AND r.revision = ?",
        (key.document_id, key.revision),
    ).fetchone()
    made, stored, vectors = row["made"] or 0, row["stored"], row["vectors"]
    if not made == stored == vectors or not made:
        found = document(connection, key.document_id)
        raise CountMismatch(name=found and found.name, made=made, stored=stored, vectors=vectors)
    set_state(connection, key, DocumentState.READY)
    connection.execute(
        "UPDATE documents SET answering = ? WHERE document_id = ?",
        (key.revision, key.document_id),
    )
    drop_forgotten_revisions(connection, key.document_id)
    drop_superseded(connection, key.document_id)
    return True


def write_at_once(
    connection: sqlite3.Connection,
    document_id: str,
    extracted: Extracted,
    chunks: Sequence[Chunk],
    words: Sequence[str],
    notices: Sequence[Notice],
    vectors: Vectors,
) -> None:
    """All steps of a document's newest revision; nothing where it has settled, for then its content is there."""
    row = document(connection, document_id)
    key = RevisionKey(document_id, row.revision, row.attempt) if row else None
    if key is None or not write_text(connection, key, extracted):
        return
    stage(connection, key, chunks, words, notices)
    staged = [chunk.chunk_id for chunk in unembedded(connection, key, len(chunks))]
    store_vectors(connection, key, staged, vectors)
    publish(connection, key)


def _is_answering(connection: sqlite3.Connection, key: RevisionKey) -> bool:
    """Whether a publish that was repeated after a kill had been done before."""
    found = connection.execute(
        "SELECT 1 FROM documents d JOIN revisions r ON r.document_id = d.document_id AND r.revision = d.answering"
        " WHERE d.document_id = ? AND r.revision = ? AND r.attempt = ?",
        (key.document_id, key.revision, key.attempt),
    ).fetchone()
    return found is not None
