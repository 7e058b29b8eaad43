"""Kills at random moments of ingest, removal, compaction and rebuild; after each, nothing is lost and nothing doubled.

python bench/kills.py [--rounds 200]
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from services.knowledge.index.local import LocalBaseStore, compaction
from services.knowledge.index.local.connections import Connections
from services.knowledge.index.local.vectors import unit_rows
from services.knowledge.types import Chunk, Extracted, Original, RevisionKey

CHUNKS, DIMENSIONS, DOCUMENTS = 40, 32, 12
LONGEST_S = 2.0


def main() -> None:
    """Kill so many times, and say what was found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="lectern-kills-") as folder:
        problems = kill_often(Path(folder), rounds, seed=7)
        store = LocalBaseStore(Path(folder))
        counts, state = store.counts(), store.index_state()
        store.close()
    print(f"{rounds} kills: {len(problems)} problems; {counts.documents} documents, snapshot {state.generation}")
    for problem in problems:
        print(problem)
    sys.exit(bool(problems))


def kill_often(folder: Path, rounds: int, seed: int) -> list[str]:
    """What was lost, doubled or found wrong after each kill."""
    chance = random.Random(seed)
    problems: list[str] = []
    for number in range(rounds):
        # Forked, so that the kill meets work and not the start of Python; nothing here has threads of its own.
        child = multiprocessing.get_context("fork").Process(target=work, args=(folder, chance.random()))
        child.start()
        time.sleep(chance.random() * LONGEST_S)
        os.kill(child.pid or 0, signal.SIGKILL)
        child.join()
        problems += [f"after kill {number}: {problem}" for problem in wrong(folder)]
    return problems


def work(folder: Path, seed: float) -> None:
    """Take in, replace, remove, compact and rebuild without end."""
    chance = random.Random(seed)
    compaction.EXACT_VECTORS, compaction.LEAST_CELLS = 200, 4
    store = LocalBaseStore(folder)
    connections = Connections(folder / "base.sqlite3")
    finish(store)
    while True:
        turn = chance.randrange(10)
        if turn < 5:
            name = f"{chance.randrange(DOCUMENTS)}.txt"
            store.add(name, Original(f"{chance.randrange(2**32):064x}", 1))
            finish(store)
        elif turn < 7:
            rows = store.documents()
            if rows:
                store.remove(chance.choice(rows).document_id)
        elif turn < 9:
            compaction.compact(connections, folder)
            store.tidy()
        else:
            store.rebuild(lambda *_: None)


def finish(store: LocalBaseStore) -> None:
    """Walk every wish to its end, as a worker does that was started again."""
    for key in store.pending():
        text = f"{key.document_id} " * CHUNKS
        size = len(text) // CHUNKS
        store.write_text(key, Extracted(text, "text/plain"))
        chunks = [
            Chunk(n, n * size, n * size + size, text[n * size : n * size + size], None, "") for n in range(CHUNKS)
        ]
        store.stage(key, chunks, [])
        while batch := store.unembedded(key, 16):
            store.store_vectors(key, [chunk.chunk_id for chunk in batch], vectors_of(key, len(batch)))
        store.publish(key)


def vectors_of(key: RevisionKey, count: int) -> np.ndarray:
    """Vectors that belong to a revision."""
    seed = abs(hash((key.document_id, key.revision))) % 2**32
    return unit_rows(np.random.default_rng(seed).standard_normal((count, DIMENSIONS)).astype(np.float32))


def wrong(folder: Path) -> list[str]:
    """What a fresh process finds wrong: laws that do not hold, and documents that are not there once and whole."""
    store = LocalBaseStore(folder)
    found = list(store.verify().problems)
    finish(store)
    found += [f"after going on: {problem}" for problem in store.verify().problems]
    rows = store.documents()
    hits = store.search(np.ones(DIMENSIONS, np.float32), 1000)
    expected = CHUNKS * len(rows)
    if len(hits) != expected or len({hit.chunk_id for hit in hits}) != expected:
        found.append(f"searches find {len(hits)} chunks of {expected}")
    if sorted({row.name for row in rows}) != sorted(row.name for row in rows):
        found.append("a document is there twice")
    store.close()
    return found


if __name__ == "__main__":
    main()
