"""Snapshots of a base's vectors on disk: numbered generations that FAISS maps into memory and never changes.

A generation is a folder with the index and what is known of it. It is written under another name, synced and renamed,
so that one with its number is whole. Processes share its pages; a removed one lives on for those that have it open.
FAISS ends the whole process when a mapped index is added to: nothing here ever does.
"""

from __future__ import annotations

import json
import os
import shutil
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from services.knowledge.embedders.protocol import Vectors
from services.knowledge.index.local.ranges import Bits
from services.knowledge.index.local.vectors import ChunkIds

FOLDER, INDEX, ABOUT = "snapshots", "vectors.faiss", "about.json"
FLAT, CELLS = "flat", "ivf_fp16"
ENDS_BYTES = 1 << 20
"""How much of a file's beginning and end is summed at each opening; `verify` sums all of it."""


@dataclass(frozen=True, slots=True)
class About:
    """What is known of a snapshot. `change`: the last change of what is visible that it holds."""

    generation: int
    change: int
    kind: str
    """flat: every vector is compared. ivf_fp16: `probes` cells of vectors in half precision, whose cosines are off by
    some hundred-thousandths."""
    vectors: int
    dimensions: int
    last_id: int
    """The highest chunk id in it."""
    cells: int
    probes: int
    recall: float
    """Share of the ten nearest vectors that it finds, measured when it was made."""
    size_bytes: int
    checksum: int
    whole_checksum: int


class SnapshotUnusable(Exception):
    """A snapshot that is not there or is not what was written: it has to be made again from the vectors in the base."""


class Snapshot:
    """One generation, opened. Thread-safe."""

    def __init__(self, base_folder: Path, generation: int) -> None:
        """Raises: SnapshotUnusable. Cost: a few milliseconds whatever its size."""
        self.base_folder = base_folder
        folder = place(base_folder, generation)
        try:
            self.about = About(**json.loads((folder / ABOUT).read_text("utf-8")))
            if self.about.kind not in (FLAT, CELLS):
                raise SnapshotUnusable(f"{folder.name} is of a kind that is not made any more")
            if (self.about.size_bytes, self.about.checksum) != _ends(folder / INDEX):
                raise SnapshotUnusable(f"{folder.name} is not what was written")
            self._index = _opened(folder / INDEX)
        except (OSError, ValueError, TypeError, RuntimeError) as error:
            raise SnapshotUnusable(f"{folder.name} cannot be read: {error}") from error
        if (self._index.d, self._index.ntotal) != (self.about.dimensions, self.about.vectors):
            raise SnapshotUnusable(f"{folder.name} does not hold what it says")
        self._usual = self._made(None, self.about.probes)

    def search(self, unit: Vectors, limit: int, allowed: Bits | None, allowed_count: int) -> tuple[ChunkIds, Vectors]:
        """The nearest vectors among the allowed ones (None: all), with their cosines.

        Where too few are found in the cells that are near, all cells are looked at.
        """
        wanted = min(limit, allowed_count)
        for probes in (self._probes(allowed_count), self.about.cells):
            scores, ids = self._index.search(unit[None], limit, params=self._parameters(allowed, probes))
            found = np.count_nonzero(ids[0] >= 0)  # what is missing stands at the end
            if found >= wanted:
                break
        return ids[0, :found], scores[0, :found]

    def _probes(self, allowed_count: int) -> int:
        """The fewer vectors are allowed, the more cells are looked at."""
        return min(self.about.cells, -(-self.about.probes * self.about.vectors // max(1, allowed_count)))

    def ids(self) -> ChunkIds:
        """The ids of all chunks in it, in no order."""
        import faiss

        faiss_: Any = faiss
        if self.about.kind == FLAT:
            return np.array(faiss_.rev_swig_ptr(self._index.id_map.data(), self.about.vectors))
        lists = self._index.invlists
        sizes = [lists.list_size(cell) for cell in range(self.about.cells)]
        cells = [faiss_.rev_swig_ptr(lists.get_ids(cell), size) for cell, size in enumerate(sizes) if size]
        return np.concatenate([np.array(cell) for cell in cells] or [np.empty(0, np.int64)])

    def _parameters(self, allowed: Bits | None, probes: int) -> Any:
        return self._usual if allowed is None and probes == self.about.probes else self._made(allowed, probes)

    def _made(self, allowed: Bits | None, probes: int) -> Any:
        import faiss

        faiss_: Any = faiss  # its stubs do not know what its Python layer takes
        chosen = {} if allowed is None else {"sel": faiss_.IDSelectorBitmap(allowed)}
        if self.about.kind == FLAT:
            return faiss_.SearchParameters(**chosen)
        return faiss_.SearchParametersIVF(nprobe=probes, **chosen)


def place(base_folder: Path, generation: int) -> Path:
    """Where a generation lies."""
    return base_folder / FOLDER / f"{generation:06}"


def write(base_folder: Path, index: Any, **known: Any) -> About:
    """Write a generation: all of it, or nothing that has its number. `known`: what the file does not tell."""
    import faiss

    folder = place(base_folder, known["generation"])
    shutil.rmtree(folder, ignore_errors=True)  # one that was never switched to
    making = folder.with_suffix(".making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    faiss.write_index(index, str(making / INDEX))
    size, ends = _ends(making / INDEX)
    about = About(**known, size_bytes=size, checksum=ends, whole_checksum=whole_checksum(making / INDEX))
    (making / ABOUT).write_text(json.dumps(asdict(about)), "utf-8")
    for path in (making / INDEX, making / ABOUT, making):
        _sync(path)
    making.rename(folder)
    _sync(folder.parent)
    return about


def remove_others(base_folder: Path, kept: int | None) -> None:
    """Remove every generation but one, and what a killed process left behind."""
    for folder in (base_folder / FOLDER).glob("*"):
        if folder.is_dir() and (kept is None or folder != place(base_folder, kept)):
            shutil.rmtree(folder, ignore_errors=True)


def whole_checksum(path: Path) -> int:
    """The sum of a whole file."""
    total = 0
    with path.open("rb") as file:
        while piece := file.read(ENDS_BYTES):
            total = zlib.crc32(piece, total)
    return total


def _ends(path: Path) -> tuple[int, int]:
    """Size of a file, and the sum of its beginning and end."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        total = zlib.crc32(file.read(ENDS_BYTES))
        file.seek(max(0, size - ENDS_BYTES))
        return size, zlib.crc32(file.read(), total)


def _opened(path: Path) -> Any:
    import faiss

    return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
