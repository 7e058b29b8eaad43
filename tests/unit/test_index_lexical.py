"""What is looked for of a question where a base is too large to score every chunk that has one of its words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.knowledge.embedders.fingerprint import fingerprint
from services.knowledge.index.local import LocalBaseStore, lexical
from services.knowledge.notices import render
from services.knowledge.retrieval import retrieve
from services.knowledge.search_types import SearchFilter, SearchMode, SearchOptions
from services.knowledge.types import LexicalHits
from tests.contract.base_store_steps import EMBEDDER, ingest

CHUNKS = 60
AFFORDABLE = 9


def written(number: int) -> str:
    """A text, short enough to be one chunk: "c" is in every third one, "e" in every fifth …, "x" and "y" in all."""
    every = {2: "b", 3: "c", 5: "e", 10: "t", 30: "z"}
    return " ".join(["x", "y", *(word for step, word in every.items() if number % step == 0), str(number)])


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalBaseStore]:
    monkeypatch.setattr(lexical, "FEW_CHUNKS", 1)
    monkeypatch.setattr(lexical, "SCORED_CHUNKS", AFFORDABLE)
    opened = LocalBaseStore(tmp_path / "base")
    opened.bind(fingerprint(EMBEDDER))
    for number in range(CHUNKS):
        ingest(opened, f"{number}.txt", written(number))
    yield opened
    opened.close()


def names(store: LocalBaseStore, found: LexicalHits) -> list[str]:
    return [chunk.document for chunk in store.chunks([hit.chunk_id for hit in found.hits])]


def test_the_rarest_words_are_looked_for(store: LocalBaseStore) -> None:
    found = store.search_words("31 30 z t e of x y", 60)
    assert names(store, found) == ["30.txt", "31.txt", "0.txt"], "z is in 0.txt and 30.txt; t is not affordable"
    assert not found.cut


def test_common_words_alone_have_to_stand_together(store: LocalBaseStore) -> None:
    found = store.search_words("x b c e", 2)
    assert sorted(names(store, found)) == ["0.txt", "30.txt"] and not found.cut


def test_fewer_of_them_do_where_too_few_chunks_have_all(store: LocalBaseStore) -> None:
    found = store.search_words("x b c e", 4)
    assert sorted(names(store, found)) == ["0.txt", "15.txt", "30.txt", "45.txt"] and not found.cut


def test_words_that_tell_nothing_have_no_say_beside_meaning_and_it_is_said(store: LocalBaseStore) -> None:
    assert store.search_words("x y", 5).cut
    by_words = retrieve(store, lambda: EMBEDDER, "x y", SearchOptions(SearchMode.LEXICAL, 5))
    assert len(by_words.hits) == 5 and [notice.code for notice in by_words.notices] == ["words_too_common"]
    both = retrieve(store, lambda: EMBEDDER, "x y", SearchOptions(top_k=5))
    meaning = retrieve(store, lambda: EMBEDDER, "x y", SearchOptions(SearchMode.DENSE, top_k=5))
    assert [hit.chunk for hit in both.hits] == [hit.chunk for hit in meaning.hits]
    assert [hit.lexical_rank for hit in both.hits] == [None] * 5
    assert "tell nothing" in render(both.notices[0])


def test_where_the_wanted_documents_lack_the_rare_words_the_others_are_looked_for(store: LocalBaseStore) -> None:
    ids = [row.document_id for row in store.documents() if int(row.name[:-4]) % 2]
    wanted = SearchFilter(document_ids=tuple(ids))
    found = names(store, store.search_words("30 z e", 100, wanted))
    assert found and all(int(name[:-4]) % 10 == 5 for name in found)


def test_in_a_small_base_or_part_of_one_every_word_counts(
    store: LocalBaseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = store.document("3.txt")
    assert row is not None
    found = store.search_words("30 x y", 100, SearchFilter(document_ids=(row.document_id,)))
    assert names(store, found) == ["3.txt"] and not found.cut
    monkeypatch.setattr(lexical, "SCORED_CHUNKS", CHUNKS)
    assert names(store, store.search_words("30 x y", 100)) == ["30.txt"], "x and y tell nothing"
    assert len(store.search_words("x y", 100).hits) == CHUNKS, "but they are all there is"
    monkeypatch.setattr(lexical, "FEW_CHUNKS", CHUNKS)
    assert len(store.search_words("30 x y", 100).hits) == CHUNKS
