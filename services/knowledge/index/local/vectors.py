"""The stored vectors: checked before they are kept, read in blocks, searched exactly where there is no other way."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.core.errors import DatabaseUnavailable, EmbedderMismatch, InvalidValue
from services.core.i18n import N_
from services.knowledge.embedders.protocol import Vectors
from services.knowledge.index.local.ranges import Range

BLOCK_VECTORS = 4096
"""Vectors that are in memory at a time where all of them pass through: 6 MB at 384 dimensions."""

ChunkIds = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Block:
    """Vectors with the ids of their chunks, in order. Shape: (n,) and (n, dimensions)."""

    ids: ChunkIds
    vectors: Vectors


@dataclass(frozen=True, slots=True)
class Best:
    """Chunks with their cosines, best first; among equals the older id first."""

    ids: ChunkIds
    cosines: Vectors

    @staticmethod
    def none() -> Best:
        """Nothing found."""
        return Best(np.empty(0, np.int64), np.empty(0, np.float32))

    @staticmethod
    def of(ids: ChunkIds, cosines: Vectors, limit: int) -> Best:
        """The best of these."""
        if len(ids) > 4 * limit:
            near = np.argpartition(-cosines, limit)[:limit]
            ids, cosines = ids[near], cosines[near]
        order = np.lexsort((ids, -cosines))[:limit]
        return Best(ids[order], cosines[order])

    def and_(self, ids: ChunkIds, cosines: Vectors, limit: int) -> Best:
        """The best of both."""
        if not len(self.ids):
            return Best.of(ids, cosines, limit)
        return Best.of(np.concatenate([self.ids, ids]), np.concatenate([self.cosines, cosines]), limit)


def unit_row(vector: Vectors) -> Vectors:
    """One vector at length 1. Raises: InvalidValue where it has no direction."""
    row = np.asarray(vector, np.float32).reshape(-1)
    length = math.sqrt(row @ row)
    if not 0 < length < math.inf:
        raise no_direction()
    return row / np.float32(length)


def unit_rows(vectors: Vectors) -> Vectors:
    """The vectors at length 1. Raises: InvalidValue for one that has no direction."""
    rows = np.ascontiguousarray(vectors, np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or not (lengths > 0).all():
        raise no_direction()
    units: Vectors = (rows / lengths).astype("<f4")
    return units


def no_direction() -> InvalidValue:
    """What is said of a vector that is no direction."""
    return InvalidValue(field=N_("vector"), value="NaN", reason=N_("it has no direction"))


def dimensions(connection: sqlite3.Connection) -> int | None:
    """How many dimensions the base's vectors have; None until the first was stored."""
    row = connection.execute("SELECT value FROM meta WHERE key = 'dimensions'").fetchone()
    return row and int(row["value"])


def require_dimensions(expected: int, found: int) -> None:
    """Raises: EmbedderMismatch."""
    if expected != found:
        raise EmbedderMismatch(expected=f"({expected})", found=f"({found})")


def blocks(connection: sqlite3.Connection, ranges: Iterable[Range], path: str) -> Iterator[Block]:
    """The vectors of the chunks in these ranges, in order. Raises: DatabaseUnavailable."""
    length = dimensions(connection) or 0
    ids: list[int] = []
    raw: list[bytes] = []
    for bounds in ranges:
        rows = connection.execute(
            "SELECT chunk_id, vector FROM vectors WHERE chunk_id BETWEEN ? AND ? ORDER BY chunk_id", bounds
        )
        while found := rows.fetchmany(BLOCK_VECTORS - len(ids)):
            ids += [row[0] for row in found]
            raw += [row[1] for row in found]
            if len(ids) == BLOCK_VECTORS:
                yield _block(ids, raw, length, path)
                ids, raw = [], []
    if ids:
        yield _block(ids, raw, length, path)


def of_chunks(connection: sqlite3.Connection, chunk_ids: Sequence[int], path: str) -> Block:
    """The vectors of these chunks, in the order of their ids; one that has none is left out."""
    rows = connection.execute(
        "SELECT chunk_id, vector FROM vectors WHERE chunk_id IN (SELECT value FROM json_each(?)) ORDER BY chunk_id",
        (json.dumps([int(chunk_id) for chunk_id in chunk_ids]),),
    ).fetchall()
    return _block([row[0] for row in rows], [row[1] for row in rows], dimensions(connection) or 0, path)


def nearest(connection: sqlite3.Connection, unit: Vectors, ranges: Iterable[Range], limit: int, path: str) -> Best:
    """Exact search in the file itself. Cost: reads every vector of the ranges; memory stays flat."""
    best = Best.none()
    for block in blocks(connection, ranges, path):
        best = best.and_(block.ids, block.vectors @ unit, limit)
    return best


def _block(ids: list[int], raw: list[bytes], length: int, path: str) -> Block:
    if {len(vector) for vector in raw} - {4 * length}:
        raise DatabaseUnavailable(path=path, reason=N_("the file is damaged"))
    return Block(np.array(ids, np.int64), np.frombuffer(b"".join(raw), "<f4").reshape(len(ids), length))
