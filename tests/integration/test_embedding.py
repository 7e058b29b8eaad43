"""Chunks get their vectors: no text twice, at most half a second at a time, and what is not wanted stops."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from services.core.errors import InvalidValue
from services.knowledge import embedding
from services.knowledge.embedders.fingerprint import PROBE_PASSAGES, fingerprint
from services.knowledge.embedders.protocol import Vectors
from services.knowledge.embedding import FIRST_BATCH, STRETCH_CHUNKS, Embedding
from services.knowledge.index.local import LocalBaseStore
from services.knowledge.index.local.vector_cache import ROW_BYTES, VectorCache
from services.knowledge.types import Chunk, Extracted, Original, RevisionKey, StagedChunk
from tests.fakes.clock import Clock
from tests.fakes.embedder import DIMENSIONS, HashEmbedder, OtherHashEmbedder


class Watched(HashEmbedder):
    """Remembers its batches, and calls somebody before each."""

    def __init__(self, before: Callable[[], object] = lambda: None) -> None:
        self.batches: list[list[str]] = []
        self._before = before

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        if tuple(texts) != PROBE_PASSAGES and len(texts):
            self.batches.append(list(texts))
            self._before()
        return super().encode_passages(texts)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        return HashEmbedder().encode_passages(texts)

    @property
    def texts(self) -> list[str]:
        return [text for batch in self.batches for text in batch]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalBaseStore]:
    opened = LocalBaseStore(tmp_path / "base")
    yield opened
    opened.close()


@pytest.fixture
def cache(tmp_path: Path) -> VectorCache:
    return VectorCache(tmp_path / "cache" / "vectors.sqlite3")


def staged(store: LocalBaseStore, name: str, texts: Sequence[str]) -> RevisionKey:
    """A document cut into these texts."""
    added = store.add(name, Original(f"{len(name):064}", 1))
    key = RevisionKey(added.document_id, added.revision, added.attempt)
    store.write_text(key, Extracted("".join(texts), "text/plain"))
    chunks, start = [], 0
    for number, text in enumerate(texts):
        chunks.append(Chunk(number, start, start + len(text), text, None, ""))
        start += len(text)
    store.stage(key, chunks, [])
    return key


def test_no_text_is_encoded_twice_in_a_document_a_base_or_a_home(store, cache) -> None:
    texts = [f"text {number % 7}" for number in range(20)]
    embedder = Watched()
    assert Embedding(cache).embed(store, staged(store, "a", texts), embedder)
    assert sorted(embedder.texts) == sorted(set(texts))
    again = Watched()
    key = staged(store, "another", [*texts, "new"])
    assert Embedding(cache).embed(store, key, again) and store.publish(key)
    assert again.texts == ["new"] and store.verify().problems == ()


def test_vectors_of_one_embedder_are_not_given_to_another(store, cache) -> None:
    cache.keep(fingerprint(HashEmbedder()), ["a"], HashEmbedder().encode_passages(["a"]))
    assert cache.known(fingerprint(OtherHashEmbedder()), ["a"]) == [None]
    (found,) = cache.known(fingerprint(HashEmbedder()), ["a"])
    assert found is not None and np.array_equal(found, HashEmbedder().encode_passages(["a"])[0])


def test_the_cache_forgets_the_oldest(tmp_path: Path) -> None:
    small = VectorCache(tmp_path / "v.sqlite3", most_bytes=3 * (4 * DIMENSIONS + ROW_BYTES))
    maker = fingerprint(HashEmbedder())
    for text in "abcde":
        small.keep(maker, [text], HashEmbedder().encode_passages([text]))
    assert [vector is not None for vector in small.known(maker, list("abcde"))] == [False, False, True, True, True]


def test_a_damaged_cache_costs_nothing_but_its_content(store, tmp_path: Path) -> None:
    path = tmp_path / "cache" / "vectors.sqlite3"
    path.parent.mkdir()
    path.write_bytes(b"no database at all " * 100)
    damaged = VectorCache(path)
    key = staged(store, "a", ["one", "two"])
    assert Embedding(damaged).embed(store, key, Watched()) and store.publish(key)
    found = damaged.known(fingerprint(HashEmbedder()), ["one", "two"])
    assert all(vector is not None for vector in found), "a new file took its place"


class OnceBroken(Watched):
    """An embedder whose first batch has no direction, as that of a server in a bad moment."""

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        vectors = super().encode_passages(texts)
        return vectors * 0 if len(self.batches) == 1 and tuple(texts) != PROBE_PASSAGES else vectors


def test_what_the_base_refuses_is_not_remembered(store, cache) -> None:
    embedder, key = OnceBroken(), staged(store, "a", ["one", "two"])
    with pytest.raises(InvalidValue):
        Embedding(cache).embed(store, key, embedder)
    assert cache.known(fingerprint(HashEmbedder()), ["one", "two"]) == [None, None]
    assert Embedding(cache).embed(store, key, embedder) and store.publish(key)
    assert sorted(embedder.texts) == ["one", "one", "two", "two"] and store.verify().problems == ()


def test_after_a_cancellation_nothing_more_is_encoded(store, cache) -> None:
    key = staged(store, "a", [f"text {number}" for number in range(400)])
    embedder = Watched(before=lambda: store.cancel(key.document_id))
    assert not Embedding(cache).embed(store, key, embedder)
    assert len(embedder.batches) == 1 and store.unembedded(key, 1) == []


def test_a_batch_takes_half_a_second_whatever_the_encoder(store, cache, monkeypatch) -> None:
    clock = Clock()
    monkeypatch.setattr(embedding, "ticks_ms", clock)
    embedder = Watched(before=lambda: clock.pass_seconds(0.05 * len(embedder.batches[-1])))
    assert Embedding(cache).embed(store, staged(store, "a", [f"t {n}" for n in range(60)]), embedder)
    sizes = [len(batch) for batch in embedder.batches]
    assert sizes[0] == FIRST_BATCH and set(sizes[1:-1]) == {8}
    fast = Watched()
    Embedding(cache).embed(store, staged(store, "fast", [f"f {n}" for n in range(600)]), fast)
    assert max(len(batch) for batch in fast.batches) > 64


def test_neighbours_in_a_batch_have_like_lengths(store, cache) -> None:
    texts = [f"{number} " + "x" * (number * 37 % 101) for number in range(100)]
    embedder = Watched()
    Embedding(cache).embed(store, staged(store, "a", texts), embedder)
    lengths = [len(text) for text in embedder.texts]
    assert lengths == sorted(lengths, reverse=True)


def test_a_document_is_never_held_as_a_whole(store, cache, monkeypatch) -> None:
    asked: list[int] = []
    real: Callable[[RevisionKey, int], list[StagedChunk]] = store.unembedded

    def unembedded(key: RevisionKey, limit: int) -> list[StagedChunk]:
        asked.append(limit)
        return real(key, limit)

    monkeypatch.setattr(store, "unembedded", unembedded)
    Embedding(cache).embed(store, staged(store, "a", [f"t {n}" for n in range(700)]), Watched())
    assert asked == [STRETCH_CHUNKS] * 4
