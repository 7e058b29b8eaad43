"""Exact nearest neighbours in memory, brought up to date from the base's file before each search."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from services.core.errors import DatabaseUnavailable
from services.core.i18n import N_
from services.knowledge.embedders.protocol import Vectors
from services.knowledge.index.local.staging import dimensions, require_dimensions, unit_rows
from services.knowledge.types import DenseHit

BLOCK_VECTORS = 4096
"""Vectors that are handed to FAISS at a time."""

ChunkIds = npt.NDArray[np.int64]
Answering = tuple[str, int]
"""A document and the revision that answers: its chunks never change."""


class DenseIndex:
    """The visible vectors of one base. Thread-safe: nobody searches while it is being changed.

    Cost: nothing until the first search, which loads every vector; later only what has changed since.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._clear()

    def search(self, connection: sqlite3.Connection, vector: Vectors, top_k: int) -> list[DenseHit]:
        """The nearest chunks by cosine, best first. Raises: EmbedderMismatch, InvalidValue, DatabaseUnavailable."""
        unit = unit_rows(np.atleast_2d(vector))
        with self._lock:
            self._follow(connection)
            if self._index is None:
                return []
            require_dimensions(self._index.d, unit.shape[1])
            _keep_to_one_thread()
            scores, chunk_ids = self._index.search(unit, max(1, min(top_k, self._index.ntotal)))
        found = [
            DenseHit(int(chunk_id), float(np.clip(score, -1.0, 1.0)))
            for score, chunk_id in zip(scores[0], chunk_ids[0], strict=True)
            if chunk_id >= 0
        ]
        return sorted(found, key=lambda hit: (-hit.score, hit.chunk_id))

    def count(self, connection: sqlite3.Connection) -> int:
        """How many vectors a search looks at, as of the connection's view, which begins here."""
        with self._lock:
            self._follow(connection)
            return int(self._index.ntotal) if self._index is not None else 0

    def close(self) -> None:
        """Let go of the memory."""
        with self._lock:
            self._clear()

    def _clear(self) -> None:
        self._index: Any = None
        self._changes = -1
        self._held: dict[Answering, ChunkIds] = {}

    def _follow(self, connection: sqlite3.Connection) -> None:
        changes = int(connection.execute("SELECT value FROM meta WHERE key = 'changes'").fetchone()["value"])
        if changes == self._changes:
            return
        rows = connection.execute("SELECT document_id, answering FROM documents WHERE answering IS NOT NULL")
        visible = {(row["document_id"], row["answering"]) for row in rows}
        self._forget(self._held.keys() - visible)
        self._load(connection, visible - self._held.keys())
        self._changes = changes

    def _forget(self, gone: set[Answering]) -> None:
        if gone:
            self._index.remove_ids(np.concatenate([self._held[revision] for revision in gone]))
            for revision in gone:
                del self._held[revision]

    def _load(self, connection: sqlite3.Connection, new: Iterable[Answering]) -> None:
        waiting: dict[Answering, ChunkIds] = {}
        blobs: list[bytes] = []
        for revision in new:
            rows = connection.execute(
                "SELECT v.chunk_id, v.vector FROM chunks c JOIN vectors v ON v.chunk_id = c.chunk_id"
                " WHERE c.document_id = ? AND c.revision = ?",
                revision,
            ).fetchall()
            waiting[revision] = np.array([row["chunk_id"] for row in rows], np.int64)
            blobs += [row["vector"] for row in rows]
            if len(blobs) >= BLOCK_VECTORS:
                self._hold(connection, waiting, blobs)
                waiting, blobs = {}, []
        if waiting:
            self._hold(connection, waiting, blobs)

    def _hold(self, connection: sqlite3.Connection, revisions: dict[Answering, ChunkIds], blobs: list[bytes]) -> None:
        length = dimensions(connection) or 0
        if any(len(blob) != 4 * length for blob in blobs):
            raise DatabaseUnavailable(path=self._path, reason=N_("the file is damaged"))
        if self._index is None:
            import faiss

            self._index = faiss.IndexIDMap2(faiss.IndexFlatIP(length))
        vectors = np.frombuffer(b"".join(blobs), "<f4").reshape(-1, length)
        self._index.add_with_ids(vectors, np.concatenate(list(revisions.values())))
        self._held |= revisions


def _keep_to_one_thread() -> None:
    """One query is one thread's work; FAISS would start a team whose barriers take longer than the search itself.

    The setting belongs to the calling thread, so each search makes it.
    """
    import faiss

    faiss.omp_set_num_threads(1)
