"""One build of a base follows the documents of another one, whose catalogue it is given.

Every function works inside a transaction of its caller, and following the same catalogue twice changes nothing.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence

from services.core.clock import now_ms
from services.knowledge.index.local.documents import drop_forgotten_revisions, newest_key, settle
from services.knowledge.types import CatalogueEntry, Content, DocumentState, Notice

UNHAPPY = (DocumentState.FAILED, DocumentState.CANCELLED)

CATALOGUE = """
    SELECT d.*, (SELECT json_group_array(name) FROM
        (SELECT name FROM names n WHERE n.document_id = d.document_id ORDER BY n.noted)) AS names
    FROM documents d ORDER BY d.superseded_by IS NOT NULL, d.rowid
"""
CONTENTS = """
    SELECT r.document_id, r.revision, r.attempt, r.sha256, r.size_bytes, r.state, r.error_code, r.error_params
    FROM revisions r JOIN documents d ON d.document_id = r.document_id AND r.revision IN (d.newest, d.answering)
"""


def catalogue(connection: sqlite3.Connection) -> list[CatalogueEntry]:
    """Every document; those that only answer until another one is ready come last."""
    contents = {(row["document_id"], row["revision"]): _content(row) for row in connection.execute(CONTENTS)}
    return [
        CatalogueEntry(
            document_id=row["document_id"],
            names=tuple(json.loads(row["names"])),
            last_name=row["last_name"],
            superseded_by=row["superseded_by"],
            last_revision=row["last_revision"],
            created_at_ms=row["created_at_ms"],
            newest=contents[row["document_id"], row["newest"]],
            answering=contents.get((row["document_id"], row["answering"])),
        )
        for row in connection.execute(CATALOGUE)
    ]


def _content(row: sqlite3.Row) -> Content:
    error = Notice(row["error_code"], json.loads(row["error_params"])) if row["error_code"] else None
    state = DocumentState(row["state"])
    return Content(row["revision"], row["attempt"], row["sha256"], row["size_bytes"], state, error)


def follow(connection: sqlite3.Connection, entries: Sequence[CatalogueEntry]) -> int:
    """Have exactly these documents; how many that answer elsewhere do not answer here."""
    answering = dict(map(tuple, connection.execute("SELECT document_id, answering FROM documents")))
    newest = {entry.document_id: entry.newest.revision for entry in entries}
    kept = [entry for entry in entries if not _outlived(entry, answering, newest)]
    _drop_others(connection, kept)
    for entry in kept:
        _follow_one(connection, entry, answering.get(entry.document_id))
    _follow_names(connection, kept)
    return sum(_lags(entry, answering.get(entry.document_id)) for entry in kept)


def _outlived(entry: CatalogueEntry, answering: dict[str, int | None], newest: dict[str, int]) -> bool:
    """Whether the document that takes this one's place is ready here, though not yet elsewhere."""
    heir = entry.superseded_by
    return heir is not None and heir in newest and answering.get(heir) == newest[heir]


def _lags(entry: CatalogueEntry, answering: int | None) -> bool:
    """Whether what answers here is older than what answers elsewhere."""
    if entry.answering is None:
        return False
    return answering not in (entry.answering.revision, entry.newest.revision)


def _drop_others(connection: sqlite3.Connection, kept: Iterable[CatalogueEntry]) -> None:
    ids = json.dumps([entry.document_id for entry in kept])
    connection.execute("DELETE FROM documents WHERE document_id NOT IN (SELECT value FROM json_each(?))", (ids,))


def _follow_one(connection: sqlite3.Connection, entry: CatalogueEntry, answering: int | None) -> None:
    wanted = entry.answering if entry.answering and _lags(entry, answering) else entry.newest
    newest = newest_key(connection, entry.document_id)
    if newest is None or newest.revision != wanted.revision:
        _take_over(connection, entry, wanted)
    connection.execute(
        "UPDATE documents SET superseded_by = ?, last_name = ? WHERE document_id = ?"
        " AND (superseded_by IS NOT ? OR last_name <> ?)",
        (entry.superseded_by, entry.last_name, entry.document_id, entry.superseded_by, entry.last_name),
    )
    if wanted.revision == entry.newest.revision:
        _follow_state(connection, entry.document_id, entry.newest)


def _take_over(connection: sqlite3.Connection, entry: CatalogueEntry, wanted: Content) -> None:
    """Make a content the newest one of its document, and queue it unless it answers already."""
    connection.execute(
        "INSERT INTO documents (document_id, newest, last_revision, last_name, created_at_ms) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (document_id) DO UPDATE SET newest = excluded.newest, last_revision = excluded.last_revision",
        (entry.document_id, wanted.revision, entry.last_revision, entry.last_name, entry.created_at_ms),
    )
    now = now_ms()
    connection.execute(
        "INSERT OR IGNORE INTO revisions"
        " (document_id, revision, attempt, sha256, size_bytes, state, created_at_ms, updated_at_ms)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(entry.document_id, wanted.revision, wanted.attempt, wanted.sha256, wanted.size_bytes),
            *(DocumentState.QUEUED, now, now),
        ),
    )
    drop_forgotten_revisions(connection, entry.document_id)


def _follow_state(connection: sqlite3.Connection, document_id: str, wanted: Content) -> None:
    """Fail or cancel what has failed or was cancelled elsewhere; queue what was queued again there."""
    key = newest_key(connection, document_id)
    if key is None:
        return
    if wanted.state in UNHAPPY:
        settle(connection, key, wanted.state, wanted.error)
    elif wanted.attempt > key.attempt:
        connection.execute(
            "UPDATE revisions SET attempt = ?, state = ?, chunks = NULL, error_code = NULL, error_params = NULL,"
            " updated_at_ms = ? WHERE document_id = ? AND revision = ? AND state IN (?, ?)",
            (wanted.attempt, DocumentState.QUEUED, now_ms(), document_id, key.revision, *UNHAPPY),
        )


def _follow_names(connection: sqlite3.Connection, kept: Iterable[CatalogueEntry]) -> None:
    wanted = [(name, entry.document_id) for entry in kept for name in entry.names]
    known = set(map(tuple, connection.execute("SELECT name, document_id FROM names")))
    if known != set(wanted):
        connection.execute("DELETE FROM names")
        connection.executemany("INSERT INTO names (name, document_id) VALUES (?, ?)", wanted)
