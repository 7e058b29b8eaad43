"""Opening, adding to and searching a large base, against LangChain's FAISS store and raw FAISS, in one run; ratios.

python bench/index_search.py [--sizes 10000,100000,1000000] [--collection DIR] [--work DIR]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.index_base import Source, filled, source, take_in
from services.core.clock import ticks_ms
from services.knowledge.index.local import LocalBaseStore
from services.knowledge.index.local.snapshots import INDEX, place
from services.knowledge.retrieval import retrieve
from services.knowledge.search_types import SearchOptions
from tests.fakes.embedder import HashEmbedder

TOP_K, QUERIES, TURNS, ADDED = 10, 100, 6, 20


def main() -> None:
    """Measure each size."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", default="10000")
    parser.add_argument("--collection", type=Path)
    parser.add_argument("--work", type=Path)
    options = parser.parse_args()
    work = options.work or Path(tempfile.mkdtemp(prefix="lectern-bench-"))
    work.mkdir(parents=True, exist_ok=True)
    for size in map(int, options.sizes.split(",")):
        of = source(options.collection, work)
        begin = ticks_ms()
        folder = work / f"base-{size}"
        if not folder.exists():
            filled(folder, of, size).close()
        print(f"== {size:,} chunks, built in {(ticks_ms() - begin) / 1000:.0f} s", flush=True)
        searching(folder, of, size)
        langchain_folder = work / f"langchain-{size}"
        if not langchain_folder.exists():
            apart(_write_langchain, langchain_folder, of, size)
        opening(folder, langchain_folder, of)
        adding(folder, langchain_folder, of)
    if not options.work:
        shutil.rmtree(work)


def opening(folder: Path, langchain_folder: Path, of: Source) -> None:
    """From nothing to the first result, each in a fresh process that has its libraries loaded."""
    ours = [apart(_open_ours, folder, of.asked[0]) for _ in range(3)]
    theirs = apart(_open_theirs, langchain_folder, of.asked[0])
    ms = sorted(one["ms"] for one in ours)[1]
    memory = max(one["memory"] for one in ours)
    print(f"opening to the first result: ours {ms:.1f} ms, LangChain {theirs['ms']:.0f} ms: {theirs['ms'] / ms:.0f} x")
    print(
        f"memory that it took: ours {memory >> 20} MB ({ours[0]['anonymous'] >> 20} of its own), LangChain"
        f" {theirs['memory'] >> 20} MB: {memory / theirs['memory']:.3f}"
    )


def adding(folder: Path, langchain_folder: Path, of: Source) -> None:
    """One document of 20 chunks, until it is found."""
    ours = sorted(apart(_add_ours, folder, of, number)["ms"] for number in range(5))[2]
    theirs = apart(_add_theirs, langchain_folder, of)["ms"]
    print(
        f"adding {ADDED} chunks, found: ours {ours:.1f} ms, LangChain {theirs:.0f} ms: {theirs / ours:.0f} x",
        flush=True,
    )


def searching(folder: Path, of: Source, size: int) -> None:
    """Dense against raw FAISS on the same snapshot, in turn; recall against exact search; hybrid by itself."""
    import faiss

    store = LocalBaseStore(folder)
    state = store.index_state()
    raw: Any = faiss.read_index(str(place(folder, state.generation) / INDEX), faiss.IO_FLAG_MMAP_IFC)
    about = json.loads((place(folder, state.generation) / "about.json").read_text())
    if about["kind"] != "flat":
        raw.nprobe = about["probes"]
    asked = of.asked[:QUERIES]
    truth = exact(store, asked)
    ours, theirs = dense_times(store, raw, asked)
    found = [{hit.chunk_id for hit in store.search(vector, TOP_K)} for vector in asked]
    recall = np.mean([len(one & expected) / TOP_K for one, expected in zip(found, truth, strict=True)])
    print(f"snapshot {about['kind']}, {about['probes']} of {about['cells']} cells, said recall {about['recall']}")
    ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
    print(
        f"dense p50/p95: ours {ours[0]:.2f}/{ours[1]:.2f} ms, raw FAISS {theirs[0]:.2f}/{theirs[1]:.2f} ms:"
        f" {ratios[0]:.2f} x / {ratios[1]:.2f} x; recall@10 {recall:.3f}"
    )
    hybrid = hybrid_times(store, of.questions, asked)
    print(f"hybrid p50/p95: {hybrid[0]:.1f}/{hybrid[1]:.1f} ms", flush=True)
    store.close()


def dense_times(store: LocalBaseStore, raw: Any, asked: np.ndarray) -> list[tuple[float, float]]:
    """Milliseconds (p50, p95) of our search and of raw FAISS; whoever comes second finds caches filled, so in turn."""
    import faiss

    faiss.omp_set_num_threads(1)
    ways = {"ours": lambda vector: store.search(vector, TOP_K), "raw": lambda vector: raw.search(vector[None], TOP_K)}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(TURNS):
        for number, vector in enumerate(asked):
            for name in sorted(ways, reverse=bool((number + turn) % 2)):
                spent = timed(lambda way=ways[name], vector=vector: way(vector))
                if turn:  # the first one warms both
                    times[name].append(spent)
    return [tuple(np.quantile(times[name], (0.5, 0.95))) for name in ("ours", "raw")]


def hybrid_times(store: LocalBaseStore, questions: list[str], asked: np.ndarray) -> tuple[float, float]:
    """Milliseconds (p50, p95) of whole searches but the encoding of the question."""
    for _ in range(2):
        times = []
        for question, vector in zip(questions, asked, strict=False):
            embedder = Given(vector)
            ask = lambda q=question, e=embedder: retrieve(store, lambda: e, q, SearchOptions(top_k=TOP_K))  # noqa: E731
            times.append(timed(ask))
    return tuple(np.quantile(times, (0.5, 0.95)))


class Given(HashEmbedder):
    """Knows the question's vector already."""

    def __init__(self, vector: np.ndarray) -> None:
        self.vector = vector

    def encode_queries(self, texts: Any) -> Any:
        """The vector that it was given."""
        return self.vector[None]


def exact(store: LocalBaseStore, asked: np.ndarray) -> list[set[int]]:
    """The ids of the nearest vectors, all compared."""
    from services.knowledge.index.local import ranges, vectors
    from services.knowledge.index.local.vectors import Best

    best = [Best.none() for _ in asked]
    with store._connections.reading() as connection:
        for block in vectors.blocks(connection, ranges.visible(connection), ""):
            scores = asked @ block.vectors.T
            best = [one.and_(block.ids, row, TOP_K) for one, row in zip(best, scores, strict=True)]
    return [set(one.ids.tolist()) for one in best]


def timed(work: Callable[[], object]) -> float:
    """Milliseconds of one call."""
    begin = ticks_ms()
    work()
    return ticks_ms() - begin


def apart(work: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """What a function returns that runs in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def _memory() -> dict[str, int]:
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    own = int(lines["RssAnon"].split()[0]) * 1024
    return {"anonymous": own, "memory": own + int(lines["RssFile"].split()[0]) * 1024}


def _open_ours(folder: Path, vector: np.ndarray) -> dict[str, Any]:
    import faiss

    faiss.IndexFlatIP(4)
    before, begin = _memory(), ticks_ms()
    store = LocalBaseStore(folder)
    hits = store.search(vector, TOP_K)
    assert len(store.chunks([hit.chunk_id for hit in hits])) == TOP_K
    return {"ms": ticks_ms() - begin, **{name: now - before[name] for name, now in _memory().items()}}


def _langchain() -> tuple[Any, Any]:
    from langchain_community.vectorstores import FAISS
    from langchain_core.embeddings import DeterministicFakeEmbedding

    return FAISS, DeterministicFakeEmbedding(size=384)


def _write_langchain(folder: Path, of: Source, size: int) -> dict[str, Any]:
    kind, embedding = _langchain()
    store = None
    for start in range(0, size, 1000):
        texts, vectors = of.rows(start, min(1000, size - start))
        pairs = list(zip(texts, vectors, strict=True))
        if store is None:
            store = kind.from_embeddings(pairs, embedding)
        else:
            store.add_embeddings(pairs)
    store.save_local(str(folder))
    return {}


def _loaded(folder: Path) -> Any:
    kind, embedding = _langchain()
    return kind.load_local(str(folder), embedding, allow_dangerous_deserialization=True)


def _open_theirs(folder: Path, vector: np.ndarray) -> dict[str, Any]:
    _langchain()
    before, begin = _memory(), ticks_ms()
    store = _loaded(folder)  # kept, for its memory is measured
    assert len(store.similarity_search_by_vector(vector.tolist(), TOP_K)) == TOP_K
    return {"ms": ticks_ms() - begin, **{name: now - before[name] for name, now in _memory().items()}}


def _add_ours(folder: Path, of: Source, number: int) -> dict[str, Any]:
    texts, vectors = of.rows(10**8 + number, ADDED)
    store = LocalBaseStore(folder)
    take_in(store, f"warm {ticks_ms()}", *of.rows(2 * 10**8 + number, 1))  # a worker has its dictionary loaded
    store.search(vectors[0], 1)
    begin = ticks_ms()
    take_in(store, f"added {number} {ticks_ms()}", texts, vectors)
    assert store.search(vectors[3], 1)[0].score > 0.9999
    return {"ms": ticks_ms() - begin}


def _add_theirs(folder: Path, of: Source) -> dict[str, Any]:
    texts, vectors = of.rows(10**8, ADDED)
    store = _loaded(folder)
    begin = ticks_ms()
    store.add_embeddings(list(zip(texts, vectors, strict=True)))
    store.save_local(str(folder))
    assert store.similarity_search_with_score_by_vector(vectors[3].tolist(), 1)[0][1] < 1e-4
    return {"ms": ticks_ms() - begin}


if __name__ == "__main__":
    main()
