"""Small steps that tests of base stores walk with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.knowledge.embedders.fingerprint import fingerprint
from services.knowledge.index.local import LocalBaseStore
from services.knowledge.index.protocol import BaseStore
from services.knowledge.types import Chunk, DocumentRow, DocumentState, Extracted, Original, RevisionKey
from tests.fakes.embedder import HashEmbedder

EMBEDDER = HashEmbedder()


def content(text: str) -> Original:
    """The original of a text."""
    raw = text.encode("utf-8", "surrogatepass")
    return Original(hashlib.sha256(raw).hexdigest(), len(raw))


def key_of(row: DocumentRow) -> RevisionKey:
    """The newest revision of a document."""
    return RevisionKey(row.document_id, row.revision, row.attempt)


def pieces(text: str, size: int = 20) -> list[Chunk]:
    """A text cut into chunks of equal size."""
    starts = range(0, len(text), size)
    return [
        Chunk(ordinal, start, min(start + size, len(text)), text[start : start + size], None, "")
        for ordinal, start in enumerate(starts)
    ]


def prepare(store: BaseStore, key: RevisionKey, text: str) -> None:
    """Walk a revision up to the moment before it is published."""
    assert store.set_state(key, DocumentState.READING)
    assert store.write_text(key, Extracted(text, "text/plain"))
    assert store.set_state(key, DocumentState.SPLITTING)
    assert store.stage(key, pieces(text), ())
    assert store.set_state(key, DocumentState.EMBEDDING)
    while batch := store.unembedded(key, 3):
        vectors = EMBEDDER.encode_passages([chunk.text for chunk in batch])
        assert store.store_vectors(key, [chunk.chunk_id for chunk in batch], vectors)


def ingest(store: BaseStore, name: str, text: str) -> DocumentRow:
    """Add a text under a name and make it ready."""
    row = store.add(name, content(text))
    if not row.state.settled:
        prepare(store, key_of(row), text)
        assert store.publish(key_of(row))
    return known(store, row.document_id)


def known(store: BaseStore, reference: str) -> DocumentRow:
    """A document that is there."""
    row = store.document(reference)
    assert row is not None
    return row


def found(store: BaseStore, query: str, top_k: int = 1000) -> list[tuple[str, str]]:
    """Name and text of everything that a search finds, best first."""
    hits = store.search(EMBEDDER.encode_queries([query])[0], top_k)
    return [(chunk.document, chunk.text) for chunk in store.chunks([hit.chunk_id for hit in hits])]


def names_found(store: BaseStore) -> set[str]:
    """The documents that searches find."""
    return {name for name, _ in found(store, "anything")}


class Suite:
    """After each test the store's own count must find every law kept."""

    @pytest.fixture(autouse=True)
    def laws_hold_afterwards(self, store: BaseStore):
        yield
        assert store.verify().problems == ()


@contextmanager
def filled(folder: Path, texts: Mapping[str, str]) -> Iterator[LocalBaseStore]:
    """A local store that has these texts by their names."""
    opened = LocalBaseStore(folder)
    opened.bind(fingerprint(EMBEDDER))
    for name, text in texts.items():
        ingest(opened, name, text)
    yield opened
    opened.close()
