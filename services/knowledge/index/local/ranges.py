"""Which chunks a search may look at, as ranges of their ids: an id never comes back, so ranges stay few and true."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from services.knowledge.search_types import EVERYTHING, SearchFilter

Range = tuple[int, int]
"""The first and the last id, both included."""
ALL_ANEW = 0
"""Where a range of the log begins that stands for everything: what is visible was written anew."""
Bits = npt.NDArray[np.uint8]
"""One bit for each id from 0 on, the lowest first."""

WANTED = """
    SELECT v.first, v.last FROM visible v
    JOIN documents d ON d.document_id = v.document_id
    JOIN revisions r ON r.document_id = d.document_id AND r.revision = d.answering
    WHERE (:documents IS NULL OR d.document_id IN (SELECT value FROM json_each(:documents)))
        AND (:types IS NULL OR r.media_type IN (SELECT value FROM json_each(:types)))
        AND (:since IS NULL OR d.created_at_ms >= :since) AND (:until IS NULL OR d.created_at_ms <= :until)
    ORDER BY v.first
"""


def visible(connection: sqlite3.Connection, wanted: SearchFilter = EVERYTHING) -> list[Range]:
    """The visible chunks of the wanted documents. Cost: grows with the documents, not with their chunks."""
    if wanted == EVERYTHING:
        return [tuple(row) for row in connection.execute("SELECT first, last FROM visible ORDER BY first")]
    rows = connection.execute(
        WANTED,
        {
            "documents": json.dumps(wanted.document_ids) if wanted.document_ids else None,
            "types": json.dumps(wanted.media_types) if wanted.media_types else None,
            "since": wanted.added_from_ms,
            "until": wanted.added_to_ms,
        },
    )
    return [tuple(row) for row in rows]


def visible_chunks(connection: sqlite3.Connection) -> int:
    """How many chunks searches find. Cost: one row."""
    return int(connection.execute("SELECT value FROM meta WHERE key = 'visible_chunks'").fetchone()[0])


def newest_change(connection: sqlite3.Connection) -> int:
    """The number of the last change of what is visible; 0 before the first."""
    return int(connection.execute("SELECT COALESCE(MAX(change), 0) FROM visibility").fetchone()[0])


def size(ranges: Iterable[Range]) -> int:
    """How many ids they hold."""
    return sum(last - first + 1 for first, last in ranges)


def bits(ranges: Iterable[Range], *, without: Iterable[Range] = ()) -> Bits:
    """The ids of the ranges as bits; a range that reaches further back than memory should is the caller's worry."""
    kept = list(ranges)
    flags = np.zeros(max((last for _, last in kept), default=0) + 1, bool)
    for first, last in kept:
        flags[first : last + 1] = True
    for first, last in without:
        flags[first : last + 1] = False
    return np.packbits(flags, bitorder="little")


def holds(ranges: Iterable[Range], ids: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """For each id whether some range holds it; the ranges come in order and do not overlap."""
    bounds = np.array(list(ranges), np.int64).reshape(-1, 2)
    if not len(bounds):
        return np.zeros(len(ids), bool)
    place = np.searchsorted(bounds[:, 0], ids, side="right") - 1
    found: npt.NDArray[np.bool_] = (place >= 0) & (ids <= bounds[np.maximum(place, 0), 1])
    return found


def sample(ranges: Sequence[Range], count: int) -> list[int]:
    """So many of the ids, or all, spread by chance but the same each time; in order."""
    total = size(ranges)
    if count >= total:
        return [chunk_id for first, last in ranges for chunk_id in range(first, last + 1)]
    chosen = np.sort(np.random.default_rng(total).choice(total, count, replace=False))
    ends = np.cumsum([last - first + 1 for first, last in ranges])
    starts = np.array([first for first, _ in ranges])
    place = np.searchsorted(ends, chosen, side="right")
    before = np.concatenate([[0], ends[:-1]])
    found: list[int] = (starts[place] + chosen - before[place]).tolist()
    return found
