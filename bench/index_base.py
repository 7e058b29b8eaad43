"""Bases of any size for the measurements of the index: real embeddings, repeated with neighbours of their own."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from services.knowledge.embedders.registry import make_embedder
from services.knowledge.index.local import LocalBaseStore
from services.knowledge.samples import sample_files
from services.knowledge.types import Chunk, Extracted, Original, RevisionKey

DOCUMENT_CHUNKS = 1000
NEIGHBOUR_NOISE = 0.35
"""Length of what is added to a vector of length 1: neighbours are at a cosine of about 0.94, as near passages are."""
SHOWN_WORDS = 24
COLLECTION_TEXTS = 400


class Source:
    """Texts with their vectors, and questions with theirs."""

    def __init__(self, texts: list[str], vectors: np.ndarray, questions: list[str], asked: np.ndarray) -> None:
        self.texts, self.vectors, self.questions, self.asked = texts, vectors, questions, asked

    def rows(self, start: int, count: int) -> tuple[list[str], np.ndarray]:
        """Rows of an endless base: each a neighbour of a real passage, in text and in vector."""
        chance = np.random.default_rng(start)
        places = chance.integers(0, len(self.texts), count)
        noise = chance.standard_normal((count, self.vectors.shape[1])).astype(np.float32)
        noise *= NEIGHBOUR_NOISE / np.linalg.norm(noise, axis=1, keepdims=True)
        vectors = self.vectors[places] + noise
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return [_neighbour(self.texts[place], chance) for place in places], vectors


def source(collection: Path | None, cache: Path) -> Source:
    """The texts of a collection (BEIR form), or else the sample documents; encoded once."""
    texts, questions = _of_collection(collection) if collection else _of_samples()
    kept = cache / f"vectors-{collection.name if collection else 'samples'}.npz"
    if not kept.exists():
        embedder = make_embedder()
        np.savez(kept, texts=embedder.encode_passages(texts), questions=embedder.encode_queries(questions))
    stored = np.load(kept)
    return Source(texts, stored["texts"], questions, stored["questions"])


def filled(folder: Path, of: Source, count: int) -> LocalBaseStore:
    """A base of so many chunks with its snapshot, made as documents are taken in."""
    store = LocalBaseStore(folder)
    for start in range(0, count, DOCUMENT_CHUNKS):
        take_in(store, f"{start}.txt", *of.rows(start, min(DOCUMENT_CHUNKS, count - start)))
    store.compact()
    store.tidy()
    return store


def take_in(store: LocalBaseStore, name: str, texts: list[str], vectors: np.ndarray) -> RevisionKey:
    """One document, from its row to ready."""
    row = store.add(name, Original(f"{hash(name) & (2**64 - 1):064x}", 1))
    key = RevisionKey(row.document_id, row.revision, row.attempt)
    store.write_text(key, Extracted("\n".join(texts), "text/plain"))
    store.stage(key, list(chunks_of(texts)), [])
    ids = [chunk.chunk_id for chunk in store.unembedded(key, len(texts))]
    store.store_vectors(key, ids, vectors)
    store.publish(key)
    return key


def chunks_of(texts: list[str]) -> Iterator[Chunk]:
    """Texts that stand one after another as chunks of one text."""
    start = 0
    for ordinal, text in enumerate(texts):
        yield Chunk(ordinal, start, start + len(text), text, None, "")
        start += len(text) + 1


def _neighbour(text: str, chance: np.random.Generator) -> str:
    words = text.split() if " " in text else list(text)
    first = int(chance.integers(0, max(1, len(words) - SHOWN_WORDS)))
    return (" " if " " in text else "").join(words[first : first + SHOWN_WORDS])


def _of_collection(folder: Path) -> tuple[list[str], list[str]]:
    def lines(name: str) -> list[str]:
        rows = [json.loads(line) for line in (folder / name).read_text("utf-8").split("\n") if line]
        return [f"{row.get('title') or ''} {row['text']}".strip()[:1200] for row in rows[:COLLECTION_TEXTS]]

    return lines("corpus.jsonl"), lines("queries.jsonl")


def _of_samples() -> tuple[list[str], list[str]]:
    texts = [path.read_text("utf-8") for path in sample_files() if path.suffix in (".md", ".txt")]
    lines = [line.strip("# ") for text in texts for line in text.splitlines() if len(line) > 20]
    return lines[:COLLECTION_TEXTS], [line[:40] for line in lines[:100]]
