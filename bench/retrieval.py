"""How well searches find what people judged relevant: nDCG@10 and recall@10 by meaning, by words and by both.

    python bench/retrieval.py --collection FOLDER [--collection FOLDER …] [--work FOLDER]

A collection is a folder in BEIR's form: corpus.jsonl, queries.jsonl, qrels.tsv. Each gets a base of its own, filled and
searched by the services that the product uses, with the settings that a new base has. A document ranks where its best
chunk does. The gain is the grade itself, a grade above 0 is relevant, and questions without a relevant document, or
without a word, are left out. With `--work` vectors are kept, so that a second run encodes nothing but questions.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from services.core.settings import load
from services.knowledge.embedders.fingerprint import fingerprint
from services.knowledge.embedders.protocol import Embedder, Vectors
from services.knowledge.embedders.registry import NANO, Embedders, make_encoder
from services.knowledge.index.local import LocalBaseStore
from services.knowledge.index.local.vector_cache import VectorCache
from services.knowledge.loaders.record import Record
from services.knowledge.search_types import Fusion, SearchMode, SearchOptions
from services.knowledge.service import KnowledgeService
from services.knowledge.stores import Stores
from services.knowledge.texts import name_of
from services.store import StateStore
from services.store.bases import BaseRecord

AT, MOST_QUERIES, ADDED_AT_ONCE = 10, 1000, 64
CHUNKS = 50
"""Hits asked for, so that ten documents are among them although each may have several."""
WAYS = {
    "by meaning": SearchOptions(mode=SearchMode.DENSE, top_k=CHUNKS),
    "by words": SearchOptions(mode=SearchMode.LEXICAL, top_k=CHUNKS),
    "both": SearchOptions(top_k=CHUNKS),
    "both by rank": SearchOptions(top_k=CHUNKS, fusion=Fusion.RRF),
}

Grades = Mapping[str, Mapping[str, int]]
"""Of each question, its relevant documents with their grades."""


class Figures(NamedTuple):
    """The means over the questions of a collection."""

    ndcg: float
    recall: float


class Remembering:
    """An embedder whose passages are looked up before they are encoded."""

    def __init__(self, embedder: Embedder, cache: VectorCache) -> None:
        self.spec, self._embedder, self._cache = embedder.spec, embedder, cache
        self.encode_queries, self.count_tokens = embedder.encode_queries, embedder.count_tokens
        self._maker = fingerprint(embedder)

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        """Vectors of passages."""
        found = self._cache.known(self._maker, texts)
        new = [text for text, vector in zip(texts, found, strict=True) if vector is None]
        encoded = self._embedder.encode_passages(new)
        self._cache.keep(self._maker, new, encoded)
        rest = iter(encoded)
        rows = [next(rest) if vector is None else vector for vector in found]
        return np.stack(rows) if rows else encoded


def main() -> None:
    """Measure each collection and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--collection", type=Path, action="append", default=[])
    parser.add_argument("--work", type=Path)
    chosen = parser.parse_args()
    if not chosen.collection:
        print("nothing to search: name folders with corpus.jsonl, queries.jsonl and qrels.tsv by --collection")
        return
    work = chosen.work or Path(tempfile.mkdtemp(prefix="lectern-bench-"))
    work.mkdir(parents=True, exist_ok=True)
    embedder = Remembering(make_encoder(NANO), VectorCache(work / "vectors.sqlite3"))
    print(f"| nDCG@{AT} / recall@{AT} | {' | '.join(WAYS)} |\n|---|{'---|' * len(WAYS)}")
    for folder in chosen.collection:
        found = measured(folder, work / "homes" / folder.name, embedder)
        cells = [f"{figures.ndcg:.3f} / {figures.recall:.3f}" for figures in found.values()]
        print(f"| {folder.name} | {' | '.join(cells)} |", flush=True)
    if not chosen.work:
        shutil.rmtree(work)


def measured(
    folder: Path, home: Path, embedder: Embedder, ways: Mapping[str, SearchOptions] = WAYS
) -> dict[str, Figures]:
    """The figures of a collection by each way, in a home of its own that is made anew."""
    shutil.rmtree(home, ignore_errors=True)
    settings = load(home=home)
    settings.layout.create()
    state, stores = StateStore(settings.state_url), Stores(settings.layout, LocalBaseStore)
    embedders = Embedders(lambda key: embedder)
    knowledge = KnowledgeService(state.bases, stores, embedders, settings=settings, machine_id="bench")
    base = filled(knowledge, stores, folder)
    grades = graded(folder)
    asked = [(key, text) for key, text in texts(folder / "queries.jsonl") if text and key in grades][:MOST_QUERIES]
    ids = {name_of(key): key for key, _ in texts(folder / "corpus.jsonl")}
    found = {}
    for way, options in ways.items():
        figures = []
        for key, question in asked:
            hits = knowledge.search(base, question, options).hits
            ranked = list(dict.fromkeys(ids[hit.chunk.document] for hit in hits))
            figures.append(scored(ranked, grades[key]))
        found[way] = Figures(*(float(np.mean(column)) for column in zip(*figures, strict=True)))
    stores.close()
    state.close()
    return found


def filled(knowledge: KnowledgeService, stores: Stores, folder: Path) -> BaseRecord:
    """A base with the documents of a collection, and the snapshot that the worker would have made."""
    base = knowledge.create(folder.name)
    records = [Record(key, text, {}) for key, text in texts(folder / "corpus.jsonl") if text]
    for begin in range(0, len(records), ADDED_AT_ONCE):
        knowledge.texts.add(base, records[begin : begin + ADDED_AT_ONCE])
    store = stores.of(base)
    if store.compaction_due():
        store.compact()
    return base


def texts(path: Path) -> Iterator[tuple[str, str]]:
    """Ids and texts; a title stands in front of its text, unless the text begins with it."""
    for line in path.read_text("utf-8").split("\n"):
        if line:
            row = json.loads(line)
            title, text = (row.get("title") or "").strip(), row["text"].strip()
            yield row["_id"], text if text.startswith(title) else f"{title}\n\n{text}"


def graded(folder: Path) -> Grades:
    """The judgements of a collection, as far as they say that something is relevant."""
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for line in (folder / "qrels.tsv").read_text("utf-8").splitlines()[1:]:
        question, document, grade = line.split("\t")
        if int(grade) > 0:
            found[question][document] = int(grade)
    return found


def scored(ranked: Sequence[str], grades: Mapping[str, int]) -> Figures:
    """One question: its documents, best first, against the judgements."""
    worth = [1 / math.log2(rank + 2) for rank in range(AT)]
    gained = sum(grades.get(document, 0) * share for document, share in zip(ranked, worth, strict=False))
    most = sum(grade * share for grade, share in zip(sorted(grades.values(), reverse=True), worth, strict=False))
    return Figures(gained / most, len(set(ranked[:AT]) & set(grades)) / len(grades))


if __name__ == "__main__":
    main()
