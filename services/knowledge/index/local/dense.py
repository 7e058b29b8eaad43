"""Nearest neighbours: a mapped snapshot, what came since in memory, and what went since masked.

A view is made once and never changed, so that no search waits for another one, or for a writer. Before each search the
view is compared with the base's log of changes; what changed since makes the next view.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from services.knowledge.embedders.protocol import Vectors
from services.knowledge.index.local import ranges, vectors
from services.knowledge.index.local.ranges import Bits, Range
from services.knowledge.index.local.snapshots import Snapshot, SnapshotUnusable
from services.knowledge.index.local.vectors import Best, Block
from services.knowledge.search_types import EVERYTHING, SearchFilter
from services.knowledge.types import DenseHit

logger = logging.getLogger(__name__)

FEW_CHUNKS = 10_000
"""So many chunks of a filter are read and compared one by one, which leaves none out."""
HELD_VECTORS = 50_000
"""Most vectors in memory; where more are not in a snapshot, searches read the base's file until there is one."""
SMALL_BLOCK = 2048
"""Vectors; smaller blocks become one, for each block of a search costs time of its own."""
NEWEST = "SELECT (SELECT MAX(change) FROM visibility), (SELECT value FROM meta WHERE key = 'snapshot')"


@dataclass(frozen=True, slots=True)
class View:
    """What searches look at, as of one change. `blocks` None: too much to hold, so the base's file is read."""

    change: int
    generation: int
    """0: none was made yet."""
    snapshot: Snapshot | None
    blocks: tuple[Block, ...] | None
    gone: tuple[Range, ...]
    allowed: Bits | None
    """Of the snapshot, where some of it is gone."""
    problem: str = ""
    """Why the snapshot could not be used."""

    def behind(self, change: int, generation: int) -> bool:
        """Whether there is something newer; a transaction that began earlier may well use a newer view."""
        return self.generation < generation or self.change < change

    @property
    def held(self) -> int:
        """Vectors in memory."""
        return sum(len(block.ids) for block in self.blocks or ())

    @property
    def mapped(self) -> int:
        """Vectors in the snapshot that are still visible."""
        return self.snapshot.about.vectors - ranges.size(self.gone) if self.snapshot else 0


class DenseIndex:
    """The visible vectors of one base. Thread-safe."""

    def __init__(self, folder: Path, path: str) -> None:
        self._folder = folder
        self._path = path
        self._changing = threading.Lock()
        self._view: View | None = None
        self._dimensions: int | None = None
        """Once there is a vector: it never changes."""

    def search(
        self, connection: sqlite3.Connection, vector: Vectors, top_k: int, wanted: SearchFilter = EVERYTHING
    ) -> list[DenseHit]:
        """The nearest wanted chunks by cosine, best first.

        Raises: EmbedderMismatch, InvalidValue, DatabaseUnavailable.
        """
        unit = vectors.unit_row(vector)
        self._dimensions = self._dimensions or vectors.dimensions(connection)
        if self._dimensions is None or top_k < 1:
            return []
        vectors.require_dimensions(self._dimensions, len(unit))
        only = None if wanted == EVERYTHING else ranges.visible(connection, wanted)
        if only is not None and ranges.size(only) <= FEW_CHUNKS:
            best = vectors.nearest(connection, unit, only, top_k, self._path)
        else:
            best = self._nearest(connection, unit, top_k, only)
        pairs = zip(best.ids.tolist(), best.cosines.tolist(), strict=True)
        return [DenseHit(chunk_id, max(-1.0, min(1.0, cosine))) for chunk_id, cosine in pairs]

    def view(self, connection: sqlite3.Connection) -> View:
        """What searches look at, as of the connection's view of the base or later."""
        newest = connection.execute(NEWEST).fetchone()
        change, generation = newest[0] or 0, newest[1] or 0
        found = self._view
        if found is None or found.behind(change, generation):
            with self._changing:
                found = self._view
                if found is None or found.behind(change, generation):
                    self._view = found = self._next(connection, found, change, generation)
        return found

    def close(self) -> None:
        """Let go of files and memory."""
        self._view = None

    def _nearest(self, connection: sqlite3.Connection, unit: Vectors, top_k: int, only: list[Range] | None) -> Best:
        view = self.view(connection)
        if view.blocks is None:
            everything = ranges.visible(connection) if only is None else only
            return vectors.nearest(connection, unit, everything, top_k, self._path)
        blocks = view.blocks if only is None else tuple(_within(block, only) for block in view.blocks)
        best = Best.none()
        for block in blocks:
            best = best.and_(block.ids, block.vectors @ unit, top_k)
        if view.snapshot is None:
            return best
        if only is None:
            allowed, count = view.allowed, view.mapped
        else:
            allowed, count = ranges.bits(only), ranges.size(only) - sum(len(block.ids) for block in blocks)
        _keep_to_one_thread()
        return best.and_(*view.snapshot.search(unit, max(1, min(top_k, count)), allowed, count), top_k)

    def _next(self, connection: sqlite3.Connection, before: View | None, change: int, generation: int) -> View:
        if before is None or before.generation != generation or before.blocks is None:
            before = self._opened(generation)
            if before.snapshot is None:
                return self._all_held(connection, replace(before, change=change))
        return self._followed(connection, before, change)

    def _opened(self, generation: int) -> View:
        """A view of a snapshot as it was made, or an empty one."""
        if not generation:
            return View(0, 0, None, (), (), None)
        try:
            snapshot = Snapshot(self._folder, generation)
        except SnapshotUnusable as error:
            logger.warning("%s: %s; it will be made again", self._path, error)
            return View(0, generation, None, (), (), None, str(error))
        return View(snapshot.about.change, generation, snapshot, (), (), None)

    def _all_held(self, connection: sqlite3.Connection, view: View) -> View:
        if ranges.visible_chunks(connection) > HELD_VECTORS:
            return replace(view, blocks=None)
        return replace(view, blocks=tuple(vectors.blocks(connection, ranges.visible(connection), self._path)))

    def _followed(self, connection: sqlite3.Connection, view: View, change: int) -> View:
        """The view after the changes since."""
        rows = connection.execute(
            "SELECT first, last, visible FROM visibility WHERE change > ? ORDER BY change", (view.change,)
        )
        came: list[Range] = []
        went: list[Range] = []
        for first, last, visible in rows:
            if first == ranges.ALL_ANEW:
                return self._all_held(connection, View(change, view.generation, None, (), (), None))
            if visible:
                came.append((first, last))
            elif (first, last) in came:
                came.remove((first, last))
            else:
                went.append((first, last))
        if view.held + ranges.size(came) > HELD_VECTORS:
            return replace(view, change=change, blocks=None)
        kept = [_without(block, went) for block in view.blocks or ()]
        new = vectors.blocks(connection, sorted(came), self._path)
        gone = self._masked(view, kept, went)
        blocks = _joined([block for block in (*kept, *new) if len(block.ids)])
        allowed = view.allowed
        if view.snapshot is not None and gone != view.gone:
            allowed = ranges.bits([(0, view.snapshot.about.last_id)], without=gone)
        return replace(view, change=change, blocks=blocks, gone=gone, allowed=allowed)

    def _masked(self, view: View, kept: list[Block], went: list[Range]) -> tuple[Range, ...]:
        """What is gone of the snapshot: what went and was not held in memory."""
        held = np.concatenate([block.ids for block in view.blocks or ()] or [np.empty(0, np.int64)])
        return (*view.gone, *(bounds for bounds in went if not ranges.holds([bounds], held).any()))


def current_generation(connection: sqlite3.Connection) -> int:
    """The snapshot that searches should use; 0: there is none yet."""
    row = connection.execute("SELECT value FROM meta WHERE key = 'snapshot'").fetchone()
    return int(row["value"]) if row else 0


def _within(block: Block, only: list[Range]) -> Block:
    inside = ranges.holds(only, block.ids)
    return Block(block.ids[inside], block.vectors[inside])


def _without(block: Block, went: list[Range]) -> Block:
    left = ranges.holds(sorted(went), block.ids)
    return Block(block.ids[~left], block.vectors[~left]) if left.any() else block


def _joined(blocks: list[Block]) -> tuple[Block, ...]:
    """The blocks, the small ones as one."""
    small = [block for block in blocks if len(block.ids) < SMALL_BLOCK]
    if len(small) < 2:
        return tuple(blocks)
    ids, held = np.concatenate([block.ids for block in small]), np.concatenate([block.vectors for block in small])
    return (*(block for block in blocks if len(block.ids) >= SMALL_BLOCK), Block(ids, held))


def _keep_to_one_thread() -> None:
    """One query is one thread's work; FAISS would start a team whose barriers take longer than the search itself.

    The setting belongs to the calling thread, so each search makes it.
    """
    import faiss

    faiss.omp_set_num_threads(1)
