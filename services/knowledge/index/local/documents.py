"""Names, documents and revisions: which content a name has, and who answers meanwhile.

Every function works inside a transaction of its caller. A content belongs to the document whose newest revision has it.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import unicodedata

from services.core.clock import now_ms
from services.knowledge.types import DocumentState, Notice, Original, RevisionKey

ID_BYTES = 12


def add(connection: sqlite3.Connection, name: str, original: Original) -> str:
    """Give a name its content; the id of the document that now has the name."""
    kept = unicodedata.normalize("NFC", name)
    before = _of_name(connection, kept)
    target = _of_content(connection, original.sha256, before)
    if target is None:
        target = _take_in(connection, kept, before, original)
    else:
        requeue(connection, target)
        _revive(connection, target)
    if target != before:
        _rename(connection, kept, target)
        if before is not None:
            _leave_behind(connection, before, target, kept)
    return target


def _of_name(connection: sqlite3.Connection, name: str) -> str | None:
    row = connection.execute("SELECT document_id FROM names WHERE name = ?", (name,)).fetchone()
    return row and str(row["document_id"])


def _of_content(connection: sqlite3.Connection, sha256: str, preferred: str | None) -> str | None:
    """The document whose newest content this is."""
    row = connection.execute(
        "SELECT d.document_id FROM revisions r JOIN documents d ON d.document_id = r.document_id"
        " AND d.newest = r.revision WHERE r.sha256 = ? ORDER BY d.document_id = ? DESC, d.rowid LIMIT 1",
        (sha256, preferred),
    ).fetchone()
    return row and str(row["document_id"])


def _take_in(connection: sqlite3.Connection, name: str, before: str | None, original: Original) -> str:
    """Content that no document has: it goes to the name's own document, or to a new one if that one is shared."""
    if before is None or _shared(connection, before):
        return _create(connection, name, original)
    answering = _answering(connection, before)
    if answering is not None and answering["sha256"] == original.sha256:
        connection.execute("UPDATE documents SET newest = answering WHERE document_id = ?", (before,))
    else:
        connection.execute(
            "UPDATE documents SET newest = last_revision + 1, last_revision = last_revision + 1 WHERE document_id = ?",
            (before,),
        )
        _queue_newest(connection, before, original)
    drop_forgotten_revisions(connection, before)
    return before


def _create(connection: sqlite3.Connection, name: str, original: Original) -> str:
    document_id = secrets.token_urlsafe(ID_BYTES)
    connection.execute(
        "INSERT INTO documents (document_id, newest, last_revision, last_name, created_at_ms) VALUES (?, 1, 1, ?, ?)",
        (document_id, name, now_ms()),
    )
    _queue_newest(connection, document_id, original)
    return document_id


def _queue_newest(connection: sqlite3.Connection, document_id: str, original: Original) -> None:
    now = now_ms()
    connection.execute(
        "INSERT INTO revisions"
        " (document_id, revision, attempt, sha256, size_bytes, state, created_at_ms, updated_at_ms)"
        " SELECT document_id, newest, 1, ?, ?, ?, ?, ? FROM documents WHERE document_id = ?",
        (original.sha256, original.size_bytes, DocumentState.QUEUED, now, now, document_id),
    )


def _shared(connection: sqlite3.Connection, document_id: str) -> bool:
    return _names(connection, document_id) > 1


def _names(connection: sqlite3.Connection, document_id: str) -> int:
    found = connection.execute("SELECT COUNT(*) FROM names WHERE document_id = ?", (document_id,)).fetchone()
    return int(found[0])


def _answering(connection: sqlite3.Connection, document_id: str) -> sqlite3.Row | None:
    row: sqlite3.Row | None = connection.execute(
        "SELECT r.* FROM documents d JOIN revisions r ON r.document_id = d.document_id AND r.revision = d.answering"
        " WHERE d.document_id = ?",
        (document_id,),
    ).fetchone()
    return row


def _rename(connection: sqlite3.Connection, name: str, document_id: str) -> None:
    connection.execute("DELETE FROM names WHERE name = ?", (name,))
    connection.execute("INSERT INTO names (name, document_id) VALUES (?, ?)", (name, document_id))


def _revive(connection: sqlite3.Connection, document_id: str) -> None:
    connection.execute("UPDATE documents SET superseded_by = NULL WHERE document_id = ?", (document_id,))


def _leave_behind(connection: sqlite3.Connection, document_id: str, target: str, name: str) -> None:
    """What becomes of a document that lost a name to another one: if it was the last, it answers until that is ready.

    Documents that answered in place of the one left behind now wait for the new target.
    """
    if _names(connection, document_id):
        return
    connection.execute(
        "UPDATE documents SET superseded_by = ?, newest = COALESCE(answering, newest), last_name = ?"
        " WHERE document_id = ?",
        (target, name, document_id),
    )
    connection.execute("UPDATE documents SET superseded_by = ? WHERE superseded_by = ?", (target, document_id))
    drop_forgotten_revisions(connection, document_id)
    connection.execute("DELETE FROM documents WHERE document_id = ? AND answering IS NULL", (document_id,))
    drop_superseded(connection, target)


def drop_superseded(connection: sqlite3.Connection, document_id: str) -> None:
    """Let the documents go that answered only until the newest revision of this one was ready."""
    connection.execute(
        "DELETE FROM documents WHERE superseded_by = ?1 AND EXISTS (SELECT 1 FROM documents d"
        " WHERE d.document_id = ?1 AND d.answering = d.newest)",
        (document_id,),
    )


def drop_forgotten_revisions(connection: sqlite3.Connection, document_id: str) -> None:
    """Drop every revision that is neither the newest nor the one that answers, with its text, chunks and vectors."""
    connection.execute(
        "DELETE FROM revisions WHERE document_id = ?1 AND NOT EXISTS (SELECT 1 FROM documents d"
        " WHERE d.document_id = ?1 AND revision IN (d.newest, d.answering))",
        (document_id,),
    )


def remove(connection: sqlite3.Connection, document_id: str) -> bool:
    """Remove a document, and those that answered in its place."""
    return connection.execute("DELETE FROM documents WHERE document_id = ?", (document_id,)).rowcount > 0


def remove_name(connection: sqlite3.Connection, name: str) -> bool:
    """Take a name away, and the document with it where that was its last one."""
    kept = unicodedata.normalize("NFC", name)
    document_id = _of_name(connection, kept)
    if document_id is None:
        return False
    if not _shared(connection, document_id):
        return remove(connection, document_id)
    connection.execute("DELETE FROM names WHERE name = ?", (kept,))
    return True


def requeue(connection: sqlite3.Connection, document_id: str) -> bool:
    """Queue the newest revision again if it has failed or was cancelled."""
    return (
        connection.execute(
            "UPDATE revisions SET attempt = attempt + 1, state = ?, chunks = NULL, error_code = NULL,"
            " error_params = NULL, read_notices = '[]', split_notices = '[]', updated_at_ms = ?"
            " WHERE document_id = ? AND state IN (?, ?)"
            " AND revision = (SELECT newest FROM documents d WHERE d.document_id = revisions.document_id)",
            (DocumentState.QUEUED, now_ms(), document_id, DocumentState.FAILED, DocumentState.CANCELLED),
        ).rowcount
        > 0
    )


def cancel(connection: sqlite3.Connection, document_id: str) -> bool:
    """Cancel the newest revision unless it has settled."""
    key = newest_key(connection, document_id)
    return key is not None and settle(connection, key, DocumentState.CANCELLED)


def settle(connection: sqlite3.Connection, key: RevisionKey, state: DocumentState, error: Notice | None = None) -> bool:
    """End work on a revision without publishing it; its staged chunks are dropped."""
    if not wanted(connection, key):
        return False
    connection.execute(
        "UPDATE revisions SET state = ?, error_code = ?, error_params = ?, updated_at_ms = ?"
        " WHERE document_id = ? AND revision = ?",
        (
            state,
            error and error.code,
            error and json.dumps(dict(error.params)),
            now_ms(),
            key.document_id,
            key.revision,
        ),
    )
    connection.execute("DELETE FROM chunks WHERE document_id = ? AND revision = ?", (key.document_id, key.revision))
    return True


def wait(connection: sqlite3.Connection, key: RevisionKey, reason: Notice) -> bool:
    """Say what the work on a revision waits for; it counts from when it began to wait."""
    if not wanted(connection, key):
        return False
    connection.execute(
        "UPDATE revisions SET error_code = ?1, error_params = ?2, state = ?3,"
        " updated_at_ms = CASE state WHEN ?3 THEN updated_at_ms ELSE ?4 END WHERE document_id = ?5 AND revision = ?6",
        (
            *(reason.code, json.dumps(dict(reason.params)), DocumentState.WAITING, now_ms()),
            *(key.document_id, key.revision),
        ),
    )
    return True


def go_on(connection: sqlite3.Connection, key: RevisionKey) -> RevisionKey | None:
    """Queue work that waited as its next attempt; what the last one made stays."""
    changed = connection.execute(
        "UPDATE revisions SET attempt = attempt + 1, state = ?, error_code = NULL, error_params = NULL,"
        " updated_at_ms = ? WHERE document_id = ? AND revision = ? AND attempt = ? AND state = ?",
        (DocumentState.QUEUED, now_ms(), key.document_id, key.revision, key.attempt, DocumentState.WAITING),
    ).rowcount
    return RevisionKey(key.document_id, key.revision, key.attempt + 1) if changed else None


def newest_key(connection: sqlite3.Connection, document_id: str) -> RevisionKey | None:
    """The newest revision of a document."""
    row = connection.execute(
        "SELECT r.revision, r.attempt FROM documents d JOIN revisions r ON r.document_id = d.document_id"
        " AND r.revision = d.newest WHERE d.document_id = ?",
        (document_id,),
    ).fetchone()
    return RevisionKey(document_id, row["revision"], row["attempt"]) if row else None


def wanted(connection: sqlite3.Connection, key: RevisionKey) -> bool:
    """Whether this is the newest revision of its document, in its newest attempt, and has not settled."""
    return (
        connection.execute(
            "SELECT 1 FROM documents d JOIN revisions r ON r.document_id = d.document_id AND r.revision = d.newest"
            " WHERE d.document_id = ? AND r.revision = ? AND r.attempt = ? AND NOT r.settled",
            (key.document_id, key.revision, key.attempt),
        ).fetchone()
        is not None
    )
