"""Making the next snapshot of a base's vectors: in a process of its own, for FAISS trains natively and at length.

Whenever it is killed, nothing is lost: the vectors are in the base, a half-written generation is no generation, and one
that was not switched to is written anew. The switch is one transaction.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from services.knowledge.embedders.protocol import Vectors
from services.knowledge.index.local import calibration, ranges, snapshots, vectors
from services.knowledge.index.local.connections import Connections
from services.knowledge.index.local.dense import current_generation
from services.knowledge.index.local.ranges import Range
from services.knowledge.index.local.snapshots import About, Snapshot, SnapshotUnusable
from services.knowledge.index.local.vectors import Best, ChunkIds
from services.knowledge.types import IndexState

SMALL_BASE = 5_000
"""Fewer vectors are read into memory faster than a snapshot is worth."""
NEWER_VECTORS = 20_000
"""Most vectors that wait for the next snapshot in memory; fewer in a base where that is more than a tenth."""
GONE_SHARE = 0.2
EXACT_VECTORS = 50_000
"""Up to so many every vector is compared; beyond, those of the nearest cells."""
LEAST_CELLS, MOST_CELLS = 64, 4096
SAMPLES_FOR_CELL = 64
PROBED_QUERIES = 200
RECALL_AT = 10
ENOUGH_RECALL = 0.99
FARTHER = 2
"""Questions lie farther from passages than passages, on which recall is measured, from each other: more cells."""
NICENESS = 10

_context = multiprocessing.get_context("spawn")


def state(connection: sqlite3.Connection, base_folder: Path) -> IndexState:
    """What the snapshot is, and what has come and gone since. Cost: the changes since, whatever the base's size."""
    total, generation = ranges.visible_chunks(connection), current_generation(connection)
    if not generation:
        return IndexState("memory", total, 0, total, 0, None)
    try:
        about = Snapshot(base_folder, generation).about
    except SnapshotUnusable as error:
        return IndexState("memory", total, generation, total, 0, None, str(error))
    came, gone = connection.execute(
        "SELECT COALESCE(SUM(last - first + 1) FILTER (WHERE visible), 0),"
        " COALESCE(SUM(last - first + 1) FILTER (WHERE NOT visible), 0) FROM visibility WHERE change > ?",
        (about.change,),
    ).fetchone()
    return IndexState(about.kind, total, generation, int(came), int(gone), about.recall)


def due(found: IndexState) -> bool:
    """Whether the next snapshot should be made: there is none yet, it is lost, or too much has come or gone since."""
    if not found.generation:
        return found.vectors >= SMALL_BASE
    newer = min(NEWER_VECTORS, max(SMALL_BASE, found.vectors // 10))
    return bool(found.problem) or found.newer >= newer or found.gone > max(SMALL_BASE, GONE_SHARE * found.vectors)


def compact(connections: Connections, base_folder: Path) -> About | None:
    """Make the next snapshot and switch to it. None: another process is at it, or there is nothing to put into one."""
    base_folder.joinpath(snapshots.FOLDER).mkdir(exist_ok=True)
    try:
        with FileLock(base_folder / "snapshots.lock", timeout=0):
            with connections.reading() as connection:
                about = _write_next(connection, base_folder, str(connections.path))
                scale = calibration.measured(connection, str(connections.path))
            if about is not None:
                with connections.writing() as connection:
                    _switch(connection, about)
                    calibration.keep(connection, scale)
            return about
    except Timeout:
        return None


def compact_in_child(base_folder: Path, database: Path) -> int:
    """Make the next snapshot in a process of its own, and wait for it; its exit code, 0 where all went well."""
    child = _context.Process(target=_child, args=(str(base_folder), str(database)), name="compaction", daemon=True)
    child.start()
    try:
        child.join()
    finally:
        if child.is_alive():
            child.kill()
    return int(child.exitcode or 0)


def _child(base_folder: str, database: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends its children
    os.nice(NICENESS)
    compact(Connections(Path(database)), Path(base_folder))


def tidy(connections: Connections, base_folder: Path) -> None:
    """Remove the generations that no search will open any more; whoever has one open keeps its pages."""
    try:
        with FileLock(base_folder / "snapshots.lock", timeout=0), connections.reading() as connection:
            snapshots.remove_others(base_folder, current_generation(connection))
    except Timeout:
        return


def _switch(connection: sqlite3.Connection, about: About) -> None:
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('snapshot', ?)", (about.generation,))
    connection.execute("DELETE FROM visibility WHERE change < ?", (about.change,))


def _write_next(connection: sqlite3.Connection, base_folder: Path, path: str) -> About | None:
    """Write what is visible now as the next generation."""
    wanted = ranges.visible(connection)
    length, total = vectors.dimensions(connection), ranges.size(wanted)
    if length is None or not total:
        return None
    source = _Source(connection, wanted, path, length, total)
    index, known = _flat(source) if total <= EXACT_VECTORS else _cells(source)
    return snapshots.write(
        base_folder,
        index,
        generation=current_generation(connection) + 1,
        change=ranges.newest_change(connection),
        vectors=int(index.ntotal),
        dimensions=length,
        last_id=wanted[-1][1],
        **known,
    )


@dataclass(frozen=True, slots=True)
class _Source:
    """The visible vectors of one view of a base."""

    connection: sqlite3.Connection
    ranges: list[Range]
    path: str
    dimensions: int
    total: int

    def blocks(self) -> Any:
        return vectors.blocks(self.connection, self.ranges, self.path)

    def sample(self, count: int) -> vectors.Block:
        return vectors.of_chunks(self.connection, ranges.sample(self.ranges, count), self.path)


def _flat(source: _Source) -> tuple[Any, dict[str, Any]]:
    import faiss

    index: Any = faiss.IndexIDMap(faiss.IndexFlatIP(source.dimensions))
    for block in source.blocks():
        index.add_with_ids(block.vectors, block.ids)
    return index, {"kind": snapshots.FLAT, "cells": 1, "probes": 1, "recall": 1.0}


def _cells(source: _Source) -> tuple[Any, dict[str, Any]]:
    """Cells of vectors in half precision, and as many of them looked at as the recall takes."""
    import faiss

    cells = max(LEAST_CELLS, min(MOST_CELLS, math.isqrt(source.total)))
    index: Any = faiss.index_factory(source.dimensions, f"IVF{cells},SQfp16", faiss.METRIC_INNER_PRODUCT)
    index.cp.max_points_per_centroid = SAMPLES_FOR_CELL
    index.train(source.sample(SAMPLES_FOR_CELL * cells).vectors)
    queries = source.sample(PROBED_QUERIES)
    truth = [Best.none() for _ in queries.ids]
    for block in source.blocks():
        index.add_with_ids(block.vectors, block.ids)
        scores = queries.vectors @ block.vectors.T
        truth = [best.and_(block.ids, row, RECALL_AT + 1) for best, row in zip(truth, scores, strict=True)]
    expected = [best.ids[best.ids != own][:RECALL_AT] for best, own in zip(truth, queries.ids, strict=True)]
    probes, recall = _enough_probes(index, cells, queries.vectors, expected)
    return index, {"kind": snapshots.CELLS, "cells": cells, "probes": probes, "recall": recall}


def _enough_probes(index: Any, cells: int, queries: Vectors, expected: list[ChunkIds]) -> tuple[int, float]:
    """The fewest cells, in doubling steps, at which the recall is enough, and that recall."""
    probes, recall = 4, 0.0
    while recall < ENOUGH_RECALL and probes < cells:
        probes = min(cells, 2 * probes)
        index.nprobe = probes
        _, found = index.search(queries, RECALL_AT + 1)
        shares = [np.isin(ids, row).mean() for ids, row in zip(expected, found, strict=True) if len(ids)]
        recall = float(np.mean(shares))
    return min(cells, FARTHER * probes), round(recall, 4)
