"""Reading documents and counts as lists show them."""

from __future__ import annotations

import json
import sqlite3
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

from services.knowledge.index.local.connections import exact
from services.knowledge.positions import Box, Boxes
from services.knowledge.types import (
    BaseCounts,
    Chunk,
    DocumentRow,
    DocumentState,
    Extracted,
    Heading,
    Listing,
    Notice,
    PageSpan,
    RevisionKey,
    StoredChunk,
    WaitingRevision,
)

# The vectors of a ready revision were counted when it was published; counting them again belongs to `verify`.
DOCUMENTS = """
    SELECT d.answering, d.last_name, d.created_at_ms AS document_created_at_ms, r.*,
        (SELECT json_group_array(name) FROM
            (SELECT name FROM names n WHERE n.document_id = d.document_id ORDER BY n.noted)) AS names,
        CASE WHEN r.state = 'ready' THEN r.chunks WHEN NOT r.settled THEN
            (SELECT COUNT(*) FROM chunks c JOIN vectors v ON v.chunk_id = c.chunk_id
                WHERE c.document_id = r.document_id AND c.revision = r.revision)
            ELSE 0 END AS chunks_done
    FROM documents d JOIN revisions r ON r.document_id = d.document_id AND r.revision = d.newest
"""
NAMED = DOCUMENTS + " WHERE d.superseded_by IS NULL"
BY_ID = DOCUMENTS + " WHERE d.document_id = ?"
BY_IDS = DOCUMENTS + " JOIN json_each(?) wanted ON wanted.value = d.document_id"
BY_NAME = DOCUMENTS + " JOIN names held ON held.document_id = d.document_id WHERE held.name = ?"

# CROSS JOIN: revisions that have not settled or have failed are found by indexes that hold no others, while SQLite by
# itself looks at every document.
COUNTS = """
    SELECT (SELECT COUNT(*) FROM documents WHERE superseded_by IS NULL) AS documents,
        (SELECT COUNT(*) FROM revisions r CROSS JOIN documents d
            ON d.document_id = r.document_id AND d.newest = r.revision
            WHERE NOT r.settled AND d.superseded_by IS NULL) AS unsettled,
        (SELECT COUNT(*) FROM revisions r CROSS JOIN documents d
            ON d.document_id = r.document_id AND d.newest = r.revision
            WHERE r.state = 'failed' AND d.superseded_by IS NULL) AS failed,
        (SELECT value FROM meta WHERE key = 'visible_chunks') AS chunks
"""

# A document stands in the list under the first of its names. Those that are not ready are few, as a rule, and found
# by reading the revisions once; to look up the state of every document takes twice as long.
LISTED = """
    WITH unready AS (SELECT r.document_id, r.settled, r.state FROM revisions r CROSS JOIN documents d
        ON d.document_id = r.document_id AND d.newest = r.revision WHERE r.state <> 'ready')
    SELECT n.document_id FROM names n LEFT JOIN unready u ON u.document_id = n.document_id
    WHERE (:part = X'' OR instr(folded(n.name), CAST(:part AS TEXT)))
        AND n.noted = (SELECT MIN(noted) FROM names other WHERE other.document_id = n.document_id)
        AND (NOT :answering OR n.document_id IN (SELECT document_id FROM documents WHERE answering IS NOT NULL))
    ORDER BY CASE WHEN :answering OR u.state IS NULL THEN 3 WHEN NOT u.settled THEN 0 WHEN u.state = 'failed' THEN 1
        ELSE 2 END, folded(n.name), n.name
    LIMIT :limit OFFSET :offset
"""
LISTED_COUNT = """
    SELECT COUNT(*) FROM names n
    WHERE (:part = X'' OR instr(folded(n.name), CAST(:part AS TEXT)))
        AND n.noted = (SELECT MIN(noted) FROM names other WHERE other.document_id = n.document_id)
        AND (NOT :answering OR n.document_id IN (SELECT document_id FROM documents WHERE answering IS NOT NULL))
"""


def documents(connection: sqlite3.Connection) -> list[DocumentRow]:
    """All documents that have a name, by name."""
    rows = connection.execute(NAMED)
    return sorted(map(_document, rows), key=lambda row: row.name)


def listed(connection: sqlite3.Connection, limit: int, offset: int, part: str, answering: bool) -> Listing:
    """So many documents: what has not settled first, then what failed, was cancelled and is ready, by name."""
    part = unicodedata.normalize("NFC", part).casefold()
    wanted = {"part": exact(part), "answering": answering, "limit": limit, "offset": offset}
    if part or answering:
        (found,) = connection.execute(LISTED_COUNT, wanted).fetchone()
    else:
        found = connection.execute(COUNTS).fetchone()["documents"]
    ids = [row["document_id"] for row in connection.execute(LISTED, wanted)]
    rows = {row["document_id"]: _document(row) for row in connection.execute(BY_IDS, (json.dumps(ids),))}
    return Listing(tuple(rows[id] for id in ids), found)


def document(connection: sqlite3.Connection, reference: str) -> DocumentRow | None:
    """The document with this id, or else with this name; by id also one that only answers until another is ready."""
    try:
        kept = unicodedata.normalize("NFC", reference)
        kept.encode()
    except UnicodeEncodeError:
        return None
    row = connection.execute(BY_ID, (reference,)).fetchone() or connection.execute(BY_NAME, (kept,)).fetchone()
    return _document(row) if row else None


def _document(row: sqlite3.Row) -> DocumentRow:
    names = tuple(json.loads(row["names"]))
    return DocumentRow(
        document_id=row["document_id"],
        name=names[0] if names else row["last_name"],
        names=names,
        revision=row["revision"],
        attempt=row["attempt"],
        state=DocumentState(row["state"]),
        sha256=row["sha256"],
        size_bytes=row["size_bytes"],
        media_type=row["media_type"],
        pages=row["pages"],
        chunks=row["chunks"],
        chunks_done=row["chunks_done"],
        answering_revision=row["answering"],
        notices=(*from_json(row["read_notices"]), *from_json(row["split_notices"])),
        error=_error(row),
        created_at_ms=row["document_created_at_ms"],
        updated_at_ms=row["updated_at_ms"],
    )


def pending(connection: sqlite3.Connection) -> list[RevisionKey]:
    """Revisions that have not settled, oldest first."""
    rows = connection.execute(
        "SELECT r.document_id, r.revision, r.attempt FROM revisions r JOIN documents d"
        " ON d.document_id = r.document_id AND d.newest = r.revision"
        " WHERE NOT r.settled ORDER BY r.noted"
    )
    return [RevisionKey(row["document_id"], row["revision"], row["attempt"]) for row in rows]


def waiting(connection: sqlite3.Connection) -> list[WaitingRevision]:
    """Revisions whose work waits, oldest first."""
    rows = connection.execute(
        "SELECT r.* FROM revisions r JOIN documents d ON d.document_id = r.document_id AND d.newest = r.revision"
        " WHERE NOT r.settled AND r.state = ? ORDER BY r.noted",
        (DocumentState.WAITING,),
    )
    return [
        WaitingRevision(
            RevisionKey(row["document_id"], row["revision"], row["attempt"]),
            row["updated_at_ms"],
            row["chunks"] is not None,
            _error(row),
        )
        for row in rows
    ]


def _error(row: sqlite3.Row) -> Notice | None:
    return Notice(row["error_code"], json.loads(row["error_params"])) if row["error_code"] else None


def counts(connection: sqlite3.Connection) -> BaseCounts:
    """What searches find now. Cost: an index of the documents is counted, and nothing of their chunks."""
    row = connection.execute(COUNTS).fetchone()
    settled = row["documents"] - row["unsettled"]
    return BaseCounts(row["documents"], row["chunks"], row["chunks"], settled, row["failed"])


def states(connection: sqlite3.Connection) -> dict[DocumentState, int]:
    """How many documents are in each state."""
    found = connection.execute(
        "SELECT newest.state, COUNT(*) AS documents FROM documents d JOIN revisions newest"
        " ON newest.document_id = d.document_id AND newest.revision = d.newest"
        " WHERE d.superseded_by IS NULL GROUP BY newest.state"
    )
    return {DocumentState(row["state"]): row["documents"] for row in found}


def media_types(connection: sqlite3.Connection) -> list[str]:
    """The types of the documents that searches find, each once, sorted."""
    found = connection.execute(
        "SELECT DISTINCT r.media_type FROM documents d JOIN revisions r"
        " ON r.document_id = d.document_id AND r.revision = d.answering WHERE r.media_type IS NOT NULL ORDER BY 1"
    )
    return [row["media_type"] for row in found]


def text(connection: sqlite3.Connection, document_id: str, revision: int) -> Extracted | None:
    """The extracted text of a revision, without its boxes."""
    row = connection.execute(
        "SELECT t.text, t.pages, t.headings, r.media_type, r.read_notices FROM texts t JOIN revisions r"
        " ON r.document_id = t.document_id AND r.revision = t.revision WHERE t.document_id = ? AND t.revision = ?",
        (document_id, revision),
    ).fetchone()
    if row is None:
        return None
    return Extracted(
        text=row["text"],
        media_type=row["media_type"],
        pages=tuple(PageSpan(*page) for page in json.loads(row["pages"])),
        headings=tuple(Heading(*heading) for heading in json.loads(row["headings"])),
        notices=from_json(row["read_notices"]),
    )


def layout(connection: sqlite3.Connection, document_id: str, revision: int) -> Boxes:
    """All the boxes of a revision, in their order."""
    place = (document_id, revision)
    pages = connection.execute(
        "SELECT boxes FROM positions WHERE document_id = ? AND revision = ? ORDER BY page", place
    )
    return Boxes(b"".join(row["boxes"] for row in pages))


def boxes(connection: sqlite3.Connection, document_id: str, revision: int, start: int, end: int) -> list[Box]:
    """Where the lines that a span touches stand on their pages."""
    pages = connection.execute(
        'SELECT boxes FROM positions WHERE document_id = ? AND revision = ? AND start < ? AND "end" > ? ORDER BY page',
        (document_id, revision, end, start),
    )
    return [box for page in pages for box in Boxes(page["boxes"]) if box.start < end and box.end > start]


def original(connection: sqlite3.Connection, document_id: str, revision: int) -> str | None:
    """SHA-256 of a revision's original."""
    row = connection.execute(
        "SELECT sha256 FROM revisions WHERE document_id = ? AND revision = ?", (document_id, revision)
    ).fetchone()
    return row and str(row["sha256"])


def chunks(connection: sqlite3.Connection, chunk_ids: Sequence[int]) -> list[StoredChunk]:
    """The visible chunks among these ids, in the order asked."""
    rows = connection.execute(
        'SELECT c.chunk_id, c.document_id, c.revision, c.ordinal, c.start, c."end", c.text, c.page, c.heading,'
        ' c.context, COALESCE(c.shown_start, c.start) AS shown_start, COALESCE(c.shown_end, c."end") AS shown_end,'
        " COALESCE((SELECT name FROM names n WHERE n.document_id = d.document_id ORDER BY n.noted LIMIT 1),"
        "          d.last_name) AS document"
        " FROM chunks c JOIN documents d ON d.document_id = c.document_id AND d.answering = c.revision"
        " WHERE c.chunk_id IN (SELECT value FROM json_each(?))",
        (json.dumps([int(chunk_id) for chunk_id in chunk_ids]),),
    )
    read = _TextsRead(connection)
    found = {row["chunk_id"]: StoredChunk(**dict(row), shown_text=read.shown(row)) for row in rows}
    return [found[chunk_id] for chunk_id in chunk_ids if chunk_id in found]


def chunks_of(connection: sqlite3.Connection, document_id: str, revision: int) -> list[Chunk]:
    """The stored chunks of a revision in order."""
    rows = connection.execute(
        'SELECT ordinal, start, "end", text, page, heading, context, embed_text, shown_start, shown_end FROM chunks'
        " WHERE document_id = ? AND revision = ? ORDER BY ordinal",
        (document_id, revision),
    )
    return [Chunk(**dict(row)) for row in rows]


class _TextsRead:
    """The texts that shown stretches are cut out of, each read once; SQLite's own substr ends at a NUL."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._texts: dict[tuple[str, int], str] = {}

    def shown(self, chunk: sqlite3.Row) -> str:
        if (chunk["shown_start"], chunk["shown_end"]) == (chunk["start"], chunk["end"]):
            return str(chunk["text"])
        place = (chunk["document_id"], chunk["revision"])
        if place not in self._texts:
            row = self._connection.execute(
                "SELECT text FROM texts WHERE document_id = ? AND revision = ?", place
            ).fetchone()
            self._texts[place] = row["text"]
        return self._texts[place][chunk["shown_start"] : chunk["shown_end"]]


def to_json(notices: Iterable[Notice]) -> str:
    """Notices as they are stored."""
    return json.dumps([[notice.code, dict(notice.params)] for notice in notices])


def from_json(stored: str) -> tuple[Notice, ...]:
    """Notices as they were."""
    pairs: list[tuple[str, dict[str, Any]]] = json.loads(stored)
    return tuple(Notice(code, params) for code, params in pairs)
