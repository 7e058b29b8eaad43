"""Dense search in a base store against raw FAISS over the same vectors, in one run; prints ratios."""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from services.core.clock import ticks_ms
from services.knowledge.index.local import LocalBaseStore
from services.knowledge.types import Chunk, Extracted, Original

DIMENSIONS, TOP_K, QUERIES = 384, 10, 200


def main() -> None:
    """Measure at a thousand, ten thousand and thirty thousand chunks."""
    print("chunks   raw p50 ms   ours p50 ms   ratio p50   ratio p95")
    for chunks in (1_000, 10_000, 30_000):
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder), chunks)


def measure(folder: Path, count: int) -> None:
    """One line for a base of so many chunks."""
    chance = np.random.default_rng(7)
    vectors = chance.standard_normal((count + QUERIES, DIMENSIONS)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    queries = vectors[count:]
    store = filled(folder, vectors[:count])
    raw = faiss.IndexFlatIP(DIMENSIONS)
    raw.add(vectors[:count])
    store.search(queries[0], TOP_K)
    faiss.omp_set_num_threads(1)  # as the store does: more threads only help one query at a time
    theirs, ours = [], []
    for query in queries:  # in turn, so that both meet the same machine
        theirs.append(timed(lambda query=query: raw.search(query[None], TOP_K)))
        ours.append(timed(lambda query=query: store.search(query, TOP_K)))
    middle = statistics.median(ours) / statistics.median(theirs)
    high = float(np.quantile(ours, 0.95) / np.quantile(theirs, 0.95))
    print(
        f"{count:6}   {statistics.median(theirs):10.2f}   {statistics.median(ours):11.2f}   {middle:9.2f}   {high:9.2f}"
    )
    store.close()


def filled(folder: Path, vectors: np.ndarray) -> LocalBaseStore:
    """A base with one document of these vectors."""
    store = LocalBaseStore(folder)
    store.add("a.txt", Original("0" * 64, 1))
    (key,) = store.pending()
    text = "x " * len(vectors)
    store.write_text(key, Extracted(text, "text/plain"))
    store.stage(key, [Chunk(n, 2 * n, 2 * n + 1, "x", None, "") for n in range(len(vectors))], [])
    while batch := store.unembedded(key, 5000):
        ids = [chunk.chunk_id for chunk in batch]
        first = ids[0] - 1
        store.store_vectors(key, ids, vectors[first : first + len(ids)])
    store.publish(key)
    return store


def timed(work: Callable[[], object]) -> float:
    """Milliseconds of one call."""
    begin = ticks_ms()
    work()
    return ticks_ms() - begin


if __name__ == "__main__":
    main()
