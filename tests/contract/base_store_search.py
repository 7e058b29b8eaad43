"""Searching by words and among some documents only, as every base store must do it."""

from __future__ import annotations

import numpy as np
import pytest

from services.knowledge.index.protocol import BaseStore
from services.knowledge.search_types import SearchFilter
from services.knowledge.types import Extracted
from tests.contract.base_store_steps import EMBEDDER, Suite, content, ingest, key_of, known, pieces, prepare


def words_found(store: BaseStore, query: str, wanted: SearchFilter | None = None) -> list[str]:
    """The documents that have a question's words, best first."""
    hits = store.search_words(query, 100, wanted or SearchFilter()).hits
    return [chunk.document for chunk in store.chunks([hit.chunk_id for hit in hits])]


class SearchingByWords(Suite):
    """The lexical index."""

    @pytest.mark.parametrize(
        ("text", "query"),
        [
            ("the pump hums", "PUMPS"),
            ("错误代码 E-15", "e-15"),
            ("错误代码 E-15", "E15"),
            ("错误代码Ｅ－１５", "E 15"),
            ("weighs 15kg", "15 kg"),
            ("weighs 15 ㎏", "15kg"),
            ("costs 1,250,000", "1250000"),
            ("wide ＡＢＣ１２３", "abc123"),
            ("水泵的保修期为两年", "保修期"),
            ("水泵的保修期为两年", "泵"),
            ("Prüfbericht", "prufbericht"),
            ("write C++ here", "c++"),
            ("3.5mm wide", "3.5 mm"),
        ],
    )
    def test_a_word_is_found_however_it_is_written(self, store: BaseStore, text: str, query: str) -> None:
        ingest(store, "a.txt", text)
        ingest(store, "b.txt", "something else")
        ingest(store, "c.txt", "别的内容")
        assert words_found(store, query) == ["a.txt"]

    @pytest.mark.parametrize("query", ["", "?!", '"', "NEAR(a b)", "a AND", "*", "-", "\0", "\ud800", "zebra"])
    def test_a_question_without_known_words_finds_nothing(self, store: BaseStore, query: str) -> None:
        ingest(store, "x.txt", "one two three")
        assert store.search_words(query, 10).hits == ()

    def test_the_chunk_with_the_rarer_word_is_first_and_scores_are_shares(self, store: BaseStore) -> None:
        for number in range(6):
            ingest(store, f"{number}.txt", f"pump {number}")
        ingest(store, "rare.txt", "pump cavitation")
        hits = store.search_words("cavitation of the pump", 3).hits
        assert [chunk.document for chunk in store.chunks([hits[0].chunk_id])] == ["rare.txt"]
        assert len(hits) == 3 and all(0 < hit.score <= 1 for hit in hits)
        assert hits[0].score > 0.3 > hits[1].score

    def test_the_scores_of_other_chunks_can_be_asked_for(self, store: BaseStore) -> None:
        for number in range(1, 4):
            ingest(store, f"{number}.txt", "pump " * number)
        ingest(store, "other.txt", "seal")
        best = [hit.chunk_id for hit in store.search_words("pump", 3).hits]
        other = store.search_words("seal", 1).hits[0].chunk_id
        asked = store.search_words("pump", 1, also=[best[2], other, 10**9]).hits
        assert {best[0], best[2]} <= {hit.chunk_id for hit in asked} <= set(best)

    def test_only_what_answers_is_found(self, store: BaseStore) -> None:
        row = ingest(store, "a.txt", "first wording")
        newer = store.add("a.txt", content("second"))
        prepare(store, key_of(newer), "second wording")
        assert words_found(store, "first") == ["a.txt"] and words_found(store, "second") == []
        store.publish(key_of(newer))
        assert words_found(store, "first") == [] and words_found(store, "second") == ["a.txt"]
        store.remove(row.document_id)
        assert words_found(store, "second wording") == []

    def test_headings_are_found_too(self, store: BaseStore) -> None:
        key = key_of(store.add("a.txt", content("x")))
        (chunk,) = pieces("short text")
        store.write_text(key, Extracted("short text", "text/plain"))
        store.stage(key, [type(chunk)(0, 0, 10, "short text", None, "Maintenance › 保养")], ())
        (staged,) = store.unembedded(key, 5)
        store.store_vectors(key, [staged.chunk_id], EMBEDDER.encode_passages([staged.text]))
        store.publish(key)
        assert words_found(store, "maintenance") == words_found(store, "保养") == ["a.txt"]

    def test_vectors_of_chunks_come_back(self, store: BaseStore) -> None:
        ingest(store, "a.txt", "one")
        hit = store.search(EMBEDDER.encode_queries(["one"])[0], 1)[0]
        found = store.vectors([hit.chunk_id, 10**9])
        assert list(found) == [hit.chunk_id]
        assert np.allclose(found[hit.chunk_id], EMBEDDER.encode_passages(["one"])[0], atol=1e-6)
        assert store.vectors([]) == {}


class SearchingSomeDocuments(Suite):
    """Filters hold while searching: what they leave in is found, however many better ones they leave out."""

    def test_a_filter_on_one_document_finds_all_of_it(self, store: BaseStore) -> None:
        for number in range(20):
            ingest(store, f"{number}.txt", f"the same text {number}")
        far = ingest(store, "far.txt", "zzzz qqqq the")
        only = SearchFilter(document_ids=(far.document_id,))
        query = EMBEDDER.encode_queries(["the same text 1"])[0]
        hits = store.search(query, 3, only)
        assert [chunk.document for chunk in store.chunks([hit.chunk_id for hit in hits])] == ["far.txt"]
        assert words_found(store, "the same text", only) == ["far.txt"]
        assert store.search(query, 3, SearchFilter(document_ids=("nobody",))) == []
        assert words_found(store, "the same text", SearchFilter(document_ids=("nobody",))) == []

    def test_documents_are_chosen_by_type_and_by_when_they_were_added(self, store: BaseStore) -> None:
        rows = [ingest(store, f"{number}.txt", f"text {number}") for number in range(3)]
        key = key_of(store.add("page.html", content("page")))
        store.write_text(key, Extracted("text page", "text/html"))
        store.stage(key, pieces("text page"), ())
        ids = [chunk.chunk_id for chunk in store.unembedded(key, 5)]
        store.store_vectors(key, ids, EMBEDDER.encode_passages(["text page"]))
        store.publish(key)
        times = [row.created_at_ms for row in rows]
        page = known(store, "page.html")
        cases = [
            (SearchFilter(media_types=("text/html",)), {"page.html"}),
            (SearchFilter(media_types=("text/plain", "text/html")), {"0.txt", "1.txt", "2.txt", "page.html"}),
            (SearchFilter(media_types=("text/plain",), document_ids=(page.document_id,)), set()),
            (SearchFilter(added_to_ms=times[0] - 1), set()),
            (SearchFilter(added_from_ms=page.created_at_ms + 1), set()),
            (
                SearchFilter(added_from_ms=times[0], added_to_ms=page.created_at_ms),
                {"0.txt", "1.txt", "2.txt", "page.html"},
            ),
        ]
        query = EMBEDDER.encode_queries(["text"])[0]
        for wanted, names in cases:
            dense = store.chunks([hit.chunk_id for hit in store.search(query, 10, wanted)])
            assert {chunk.document for chunk in dense} == names
            assert set(words_found(store, "text", wanted)) == names
