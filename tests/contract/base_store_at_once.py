"""What every `BaseStore` keeps of documents that are written at once, without a worker."""

from __future__ import annotations

import pytest

from services.core.errors import CountMismatch
from services.knowledge.index.protocol import BaseStore
from services.knowledge.types import DocumentRow, DocumentState, Extracted
from tests.contract.base_store_steps import EMBEDDER, Suite, content, names_found, pieces

FIRST, SECOND = "The pond holds koi and some carp.", "The gate closes at six in the evening."


def write(store: BaseStore, name: str, text: str, vectors_of: str = "") -> DocumentRow:
    """Write a text with the vectors of its pieces, or with those of another text."""
    vectors = EMBEDDER.encode_passages([chunk.text for chunk in pieces(vectors_of or text)])
    return store.write(name, content(text), Extracted(text, "text/plain"), pieces(text), (), vectors)


class AtOnce(Suite):
    """Written, counted and found in one transaction."""

    def test_a_document_that_is_written_at_once_is_ready_and_found(self, store: BaseStore) -> None:
        row = write(store, "pond.txt", FIRST)
        assert (row.state, row.answering_revision, row.chunks) == (DocumentState.READY, 1, len(pieces(FIRST)))
        assert store.pending() == [] and "pond.txt" in names_found(store)
        assert store.verify().problems == ()

    def test_new_content_takes_the_place_of_the_older_and_the_same_changes_nothing(self, store: BaseStore) -> None:
        write(store, "a.txt", FIRST)
        row = write(store, "a.txt", SECOND)
        assert (row.revision, row.answering_revision) == (2, 2)
        assert write(store, "a.txt", SECOND) == row
        assert store.counts().chunks == len(pieces(SECOND)) and store.verify().problems == ()

    def test_vectors_that_are_not_one_for_each_chunk_leave_no_trace(self, store: BaseStore) -> None:
        with pytest.raises((ValueError, CountMismatch)):
            write(store, "a.txt", FIRST, vectors_of=FIRST * 3)
        assert store.documents() == [] and store.counts().vectors == 0
