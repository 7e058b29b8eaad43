"""The one way from a question to hits: modes, fusion, room for what differs, and what happens without an embedder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from services.core.errors import EmbedderMismatch, EmptyQuestion, InvalidValue
from services.knowledge.embedders.protocol import Embedder
from services.knowledge.fusion import Candidate, diverse, fused
from services.knowledge.index.local import LocalBaseStore
from services.knowledge.notices import render
from services.knowledge.retrieval import retrieve
from services.knowledge.search_types import CosineScale, Fusion, SearchFilter, SearchMode, SearchOptions
from services.knowledge.types import SearchResult
from tests.contract.base_store_steps import EMBEDDER, filled
from tests.fakes.embedder import HashEmbedder, OtherHashEmbedder

TEXTS = {
    "pump.txt": "the pump hums loudly",
    "pumps.txt": "the pump hums loudly!",
    "rent.txt": "rent is due in May",
    "code.txt": "see E-15 for it",
    "泵.txt": "水泵的保修期为两年",
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalBaseStore]:
    with filled(tmp_path / "base", TEXTS) as opened:
        yield opened


def names(result: SearchResult) -> list[str]:
    return [hit.chunk.document for hit in result.hits]


def ask(store: LocalBaseStore, query: str, options: SearchOptions, embedder: Embedder = EMBEDDER) -> SearchResult:
    return retrieve(store, lambda: embedder, query, options)


def test_each_mode_says_what_it_did(store: LocalBaseStore) -> None:
    dense = ask(store, " the pump hums ", SearchOptions(SearchMode.DENSE, 2))
    assert (dense.query, dense.mode, dense.notices) == ("the pump hums", SearchMode.DENSE, ())
    assert set(dense.timings_ms) == {"embed", "dense", "fuse"}
    assert [(hit.rank, hit.dense_rank, hit.lexical_rank) for hit in dense.hits] == [(1, 1, None), (2, 2, None)]
    lexical = ask(store, "E15", SearchOptions(SearchMode.LEXICAL, 2))
    assert names(lexical) == ["code.txt"] and set(lexical.timings_ms) == {"lexical", "fuse"}
    assert [(hit.dense_rank, hit.lexical_rank) for hit in lexical.hits] == [(None, 1)]
    hybrid = ask(store, "保修期", SearchOptions(top_k=5))
    assert names(hybrid)[0] == "泵.txt" and len(hybrid.hits) == 5
    assert set(hybrid.timings_ms) == {"embed", "dense", "lexical", "fuse"}
    assert (hybrid.hits[0].lexical_rank, hybrid.hits[1].lexical_rank) == (1, None)
    assert all(hit.dense_rank for hit in hybrid.hits)


def test_fused_scores_are_the_weighted_sum_of_both(store: LocalBaseStore) -> None:
    query, scale = "the pump hums loudly", store.cosine_scale()
    vector = EMBEDDER.encode_queries([query])[0]
    cosines = {hit.chunk_id: hit.score for hit in store.search(vector, 50)}
    shares = {hit.chunk_id: hit.score for hit in store.search_words(query, 50).hits}
    for hit in ask(store, query, SearchOptions(dense_weight=0.6)).hits:
        share = shares.get(hit.chunk.chunk_id, 0.0)
        expected = 0.6 * (cosines[hit.chunk.chunk_id] - scale.offset) / scale.scale + 0.4 * share
        assert hit.score == pytest.approx(expected, abs=1e-5)


def test_ranks_are_fused_where_that_was_chosen(store: LocalBaseStore) -> None:
    result = ask(store, "the pump hums loudly", SearchOptions(fusion=Fusion.RRF))
    for hit in result.hits:
        assert hit.score == pytest.approx(sum(1 / (60 + rank) for rank in (hit.dense_rank, hit.lexical_rank) if rank))


def test_a_repetition_makes_room_where_that_was_chosen(store: LocalBaseStore) -> None:
    query = "the pump hums loudly"
    plain = ask(store, query, SearchOptions(top_k=2))
    assert set(names(plain)) == {"pump.txt", "pumps.txt"}
    varied = ask(store, query, SearchOptions(top_k=2, mmr=True, mmr_lambda=0.3))
    assert names(varied)[0] == names(plain)[0] and names(varied)[1] not in names(plain)
    assert "mmr" in varied.timings_ms
    relevant = ask(store, query, SearchOptions(top_k=2, mmr=True, mmr_lambda=1.0))
    assert names(relevant) == names(plain)


def test_a_filter_holds_in_every_mode(store: LocalBaseStore) -> None:
    rent = store.document("rent.txt")
    assert rent is not None
    only = SearchFilter(document_ids=(rent.document_id,))
    for mode in (SearchMode.DENSE, SearchMode.HYBRID):
        assert names(ask(store, "pump", SearchOptions(mode, filter=only))) == ["rent.txt"]
    assert names(ask(store, "pump", SearchOptions(SearchMode.LEXICAL, filter=only))) == []


@pytest.mark.parametrize("make", [OtherHashEmbedder, lambda: raising()])
def test_without_the_embedder_words_are_searched_and_it_is_said(
    store: LocalBaseStore, make: Callable[[], Embedder]
) -> None:
    result = retrieve(store, make, "E-15", SearchOptions())
    assert (result.mode, names(result)) == (SearchMode.LEXICAL, ["code.txt"])
    (notice,) = result.notices
    assert notice.code == "words_only" and "embedder" in render(notice) and "?" not in render(notice, "zh")
    with pytest.raises((EmbedderMismatch, InvalidValue)):
        retrieve(store, make, "E-15", SearchOptions(SearchMode.DENSE))


def raising() -> HashEmbedder:
    raise InvalidValue(field="embedder", value="x", reason="there is no such embedder")


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (SearchOptions(top_k=0), "top_k"),
        (SearchOptions(top_k=1001), "top_k"),
        (SearchOptions(dense_weight=1.1), "dense_weight"),
        (SearchOptions(mmr_lambda=-0.1), "mmr_lambda"),
    ],
)
def test_what_cannot_be_meant_is_refused(store: LocalBaseStore, options: SearchOptions, field: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        ask(store, "pump", options)
    assert caught.value.params["field"] == field
    with pytest.raises(EmptyQuestion):
        ask(store, " \n", SearchOptions())


def test_the_order_of_equal_scores_is_always_the_same() -> None:
    candidates = [Candidate(number, 0.5, 0.0) for number in (3, 1, 2)]
    found = fused(candidates, SearchMode.HYBRID, SearchOptions(), CosineScale(), [3, 1, 2], [])
    assert [candidate.chunk_id for candidate in found] == [1, 2, 3]


def test_room_for_what_differs_is_made_among_equals_too() -> None:
    candidates = [Candidate(number, 0.9, 0.0, 0.5) for number in range(3)]
    vectors = {0: np.array([1, 0], np.float32), 1: np.array([1, 0], np.float32), 2: np.array([0, 1], np.float32)}
    found = diverse(candidates, vectors, SearchOptions(top_k=2), CosineScale())
    assert [candidate.chunk_id for candidate in found] == [0, 2]
    assert diverse([], {}, SearchOptions(), CosineScale()) == []
