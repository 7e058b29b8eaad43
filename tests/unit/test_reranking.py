"""The best candidates in a reranker's order: how many it reads, what it reads of each, and what happens without it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.core.vector_errors import NoReranker
from services.knowledge.index.local import LocalBaseStore
from services.knowledge.notices import render
from services.knowledge.reranking import MOST_CHARACTERS, RERANKED, Reranker, no_reranker, reranked
from services.knowledge.retrieval import retrieve
from services.knowledge.search_types import SearchMode, SearchOptions
from services.knowledge.types import SearchResult, StoredChunk
from services.llm.protocol import Endpoint
from services.llm.rerank import RerankModel
from tests.contract.base_store_steps import EMBEDDER, filled, ingest
from tests.fakes.rerank_server import RerankServer, running_rerank_server

QUESTION = "the pump hums loudly"
TEXTS = {
    "all.txt": "the pump hums loudly",
    "three.txt": "a pump hums loudly",
    "two.txt": "the pump leaks",
    "one.txt": "buy a pump",
    "none.txt": "rent is due",
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalBaseStore]:
    with filled(tmp_path / "base", TEXTS) as opened:
        yield opened


@pytest.fixture
def server() -> Iterator[RerankServer]:
    with running_rerank_server() as running:
        yield running


@pytest.fixture
def reranker(server: RerankServer) -> RerankModel:
    return RerankModel(Endpoint("order", server.url, "bge"), timeout_s=0.5)


def ask(store: LocalBaseStore, reranker: Reranker | None, options: SearchOptions) -> SearchResult:
    return retrieve(store, lambda: EMBEDDER, QUESTION, options, lambda: reranker)


def names(result: SearchResult) -> list[str]:
    return [hit.chunk.document for hit in result.hits]


@pytest.mark.parametrize("mode", list(SearchMode))
def test_hits_come_in_the_order_of_the_reranker(store: LocalBaseStore, reranker: RerankModel, mode: SearchMode) -> None:
    plain = ask(store, reranker, SearchOptions(mode))
    assert names(plain)[0] == "all.txt" and "rerank" not in plain.timings_ms
    assert all(hit.rerank_score is None for hit in plain.hits)
    ordered = ask(store, reranker, SearchOptions(mode, rerank=True))
    assert names(ordered)[-2:] == ["three.txt", "all.txt"] and names(ordered)[0] != "all.txt"
    scores = [hit.rerank_score for hit in ordered.hits if hit.rerank_score is not None]
    assert len(scores) == len(ordered.hits)
    assert scores[-2:] == [-3.0, -4.0] and scores == sorted(scores, reverse=True)
    assert {hit.chunk.document: hit.score for hit in ordered.hits} == pytest.approx(
        {hit.chunk.document: hit.score for hit in plain.hits}
    )
    assert "rerank" in ordered.timings_ms and ordered.notices == ()


def test_what_few_hits_would_not_have_shown_is_read_too(store: LocalBaseStore, reranker: RerankModel) -> None:
    options = SearchOptions(SearchMode.DENSE, top_k=1, rerank=True)
    assert names(ask(store, reranker, options)) == ["none.txt"]


def test_only_the_best_are_read_and_the_others_follow_them(
    store: LocalBaseStore, server: RerankServer, reranker: RerankModel
) -> None:
    for number in range(RERANKED):
        ingest(store, f"{number}.txt", f"pump {number}")
    plain = names(ask(store, reranker, SearchOptions(top_k=100)))
    ordered = ask(store, reranker, SearchOptions(top_k=100, rerank=True))
    assert len(server.asked[0]["documents"]) == RERANKED < len(plain)
    assert set(names(ordered)[:RERANKED]) == set(plain[:RERANKED])
    assert names(ordered)[RERANKED:] == plain[RERANKED:]
    assert all(hit.rerank_score is None for hit in ordered.hits[RERANKED:])


def test_equals_keep_their_order(store: LocalBaseStore, reranker: RerankModel) -> None:
    for number in range(4):
        ingest(store, f"{number}.txt", f"tulips {number}")
    plain = [name for name in names(ask(store, reranker, SearchOptions(top_k=100))) if name[0].isdigit()]
    ordered = names(ask(store, reranker, SearchOptions(top_k=100, rerank=True)))
    assert [name for name in ordered if name[0].isdigit()] == plain


def test_room_for_what_differs_is_made_in_the_order_of_the_reranker(
    store: LocalBaseStore, reranker: RerankModel
) -> None:
    relevant = ask(store, reranker, SearchOptions(top_k=5, mmr=True, mmr_lambda=1.0, rerank=True))
    assert names(relevant) == names(ask(store, reranker, SearchOptions(top_k=5, rerank=True)))
    ingest(store, "again.txt", "rent is due!")
    varied = names(ask(store, reranker, SearchOptions(top_k=2, mmr=True, mmr_lambda=0.3, rerank=True)))
    plain = names(ask(store, reranker, SearchOptions(top_k=2, rerank=True)))
    assert set(plain) == {"none.txt", "again.txt"}
    assert varied[0] == plain[0] and varied[1] not in plain


@pytest.mark.parametrize("mode", ["gone", "hangs", "nonsense", "missing", "server_error"])
def test_without_the_reranker_the_fused_order_stands_and_it_is_said(
    store: LocalBaseStore, server: RerankServer, reranker: RerankModel, mode: str
) -> None:
    plain = names(ask(store, reranker, SearchOptions()))
    if mode == "gone":
        server.stop()
    else:
        server.set(mode)
    result = ask(store, reranker, SearchOptions(rerank=True))
    assert names(result) == plain and all(hit.rerank_score is None for hit in result.hits)
    (notice,) = result.notices
    assert notice.code == "not_reranked" and "“order”" in render(notice) and "?" not in render(notice)
    assert render(notice, "zh_CN").startswith("未重排") and "rerank" in result.timings_ms


def test_a_search_that_asks_for_a_reranker_where_none_is_chosen_is_refused(
    store: LocalBaseStore, tmp_path: Path
) -> None:
    empty = LocalBaseStore(tmp_path / "empty")
    for each in (store, empty):
        with pytest.raises(NoReranker, match="No server that reranks is chosen"):
            retrieve(each, lambda: EMBEDDER, QUESTION, SearchOptions(rerank=True), no_reranker)
    empty.close()


def test_nothing_is_asked_of_a_reranker_where_nothing_was_found(
    store: LocalBaseStore, server: RerankServer, reranker: RerankModel
) -> None:
    result = retrieve(
        store, lambda: EMBEDDER, "tulips", SearchOptions(SearchMode.LEXICAL, rerank=True), lambda: reranker
    )
    assert result.hits == () and server.asked == [] and result.notices == ()


def test_a_chunk_is_read_below_what_a_reader_needs_to_know_and_not_without_end(
    server: RerankServer, reranker: RerankModel
) -> None:
    def chunk(text: str, context: str) -> StoredChunk:
        return StoredChunk(1, "d", "d.csv", 1, 0, 0, 1, text, None, "", context, 0, 1, text)

    found = [chunk("tube | 7", "part | price"), chunk("pump " * 1000, ""), chunk("a\0b\ud800", "")]
    assert len(reranked(reranker, "pump\ud800", found, lambda each: each)) == 3
    asked = server.asked[0]
    assert asked["documents"][0] == "part | price\ntube | 7"
    assert len(asked["documents"][1]) == MOST_CHARACTERS
    assert "\0" not in asked["documents"][2] and asked["query"].startswith("pump")
