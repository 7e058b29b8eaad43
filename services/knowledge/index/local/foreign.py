"""Vectors out of a FAISS file that somebody else wrote, read in a child process: a damaged one can crash FAISS."""

from __future__ import annotations

import multiprocessing
import tempfile
from pathlib import Path

import numpy as np

from services.core.document_errors import Damaged
from services.core.i18n import N_
from services.knowledge.embedders.protocol import Vectors

TIMEOUT_S = 600
BLOCK = 65_536

_context = multiprocessing.get_context("spawn")


def read_vectors(path: Path) -> Vectors:
    """All vectors of a FAISS index, in the order in which they were added. Shape: (count, dimensions).

    Raises: Damaged.
    """
    with tempfile.TemporaryDirectory(prefix="lectern-vectors-") as folder:
        target = Path(folder, "vectors.npy")
        child = _context.Process(target=_dump, args=(str(path), str(target)), name="lectern-vectors", daemon=True)
        child.start()
        child.join(TIMEOUT_S)
        if child.is_alive():
            child.kill()
            child.join()
        if child.exitcode != 0 or not target.exists():
            raise Damaged(name=path.name, reason=N_("FAISS cannot read its vectors"))
        vectors: Vectors = np.load(target, allow_pickle=False)
        return vectors


def _dump(path: str, target: str) -> None:
    """The child: the vectors, written where the parent expects them only when all of them are there."""
    import faiss

    index = faiss.read_index(path)
    if hasattr(index, "make_direct_map"):
        index.make_direct_map()
    vectors = np.empty((index.ntotal, index.d), np.float32)
    for start in range(0, index.ntotal, BLOCK):
        count = min(BLOCK, index.ntotal - start)
        vectors[start : start + count] = index.reconstruct_n(start, count)
    np.save(f"{target}.part.npy", vectors)
    Path(f"{target}.part.npy").rename(target)
