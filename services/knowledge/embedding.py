"""Staged chunks get their vectors: what was encoded before is taken from the cache, the rest goes out in batches.

Batches hold texts of like length, and take about half a second each, whatever the encoder: between two of them it is
looked whether the work is still wanted. Memory holds one stretch of chunks at a time, however long the document is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np

from services.core.clock import ticks_ms
from services.knowledge.embedders.fingerprint import encoded, fingerprint
from services.knowledge.embedders.protocol import Embedder, Vectors
from services.knowledge.index.protocol import BaseStore
from services.knowledge.types import RevisionKey, StagedChunk

STRETCH_CHUNKS = 256
FIRST_BATCH = 4
BATCH_MS = 400.0


class Cache(Protocol):
    """Remembers vectors by fingerprint and text."""

    def known(self, fingerprint: str, texts: Sequence[str]) -> list[Vectors | None]: ...

    def keep(self, fingerprint: str, texts: Sequence[str], vectors: Vectors) -> None: ...


class Embedding:
    """Embeds staged chunks, and learns how many the encoder manages in a batch's time. Thread-safe."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._sizes: dict[str, int] = {}
        """Chunks of a batch, by the embedder's fingerprint."""

    def embed(self, store: BaseStore, key: RevisionKey, embedder: Embedder) -> bool:
        """Give every staged chunk its vector; False when the work is not wanted any more."""
        maker = fingerprint(embedder)
        while stretch := store.unembedded(key, STRETCH_CHUNKS):
            of_text: dict[str, list[StagedChunk]] = {}
            for chunk in stretch:
                of_text.setdefault(chunk.text, []).append(chunk)
            texts = list(of_text)
            known = dict(zip(texts, self._cache.known(maker, texts), strict=True))
            found = {text: vector for text, vector in known.items() if vector is not None}
            if found and not _store(store, key, of_text, list(found), np.stack(list(found.values()))):
                return False
            new = sorted((text for text in texts if text not in found), key=len, reverse=True)
            for batch, vectors in self._encoded(embedder, maker, new):
                if not _store(store, key, of_text, batch, vectors):
                    return False
                # Only now: what the store refuses would come out of the cache at each further attempt.
                self._cache.keep(maker, batch, vectors)
        return store.current(key)

    def _encoded(self, embedder: Embedder, maker: str, texts: list[str]) -> Iterator[tuple[list[str], Vectors]]:
        while texts:
            size = self._sizes.get(maker, FIRST_BATCH)
            batch, texts = texts[:size], texts[size:]
            begun = ticks_ms()
            vectors = encoded(embedder, batch, maker)
            self._sizes[maker] = _next_size(len(batch), ticks_ms() - begun)
            yield batch, vectors


def _store(
    store: BaseStore, key: RevisionKey, of_text: Mapping[str, list[StagedChunk]], texts: Sequence[str], vectors: Vectors
) -> bool:
    """Store the vector of each text for every chunk that has it."""
    pairs = [(chunk.chunk_id, row) for row, text in enumerate(texts) for chunk in of_text[text]]
    return store.store_vectors(key, [chunk_id for chunk_id, _ in pairs], vectors[[row for _, row in pairs]])


def _next_size(encoded: int, took_ms: float) -> int:
    """How many chunks fit into a batch's time, growing at most twofold at once."""
    fitting = int(encoded * BATCH_MS / max(took_ms, 0.1))
    return max(1, min(fitting, 2 * encoded, STRETCH_CHUNKS))
