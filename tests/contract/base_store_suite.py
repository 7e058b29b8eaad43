"""What every `BaseStore` keeps. A test module subclasses `BaseStoreSuite` and gives a `store` fixture of its own."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from services.core.errors import CountMismatch, EmbedderMismatch, InvalidValue
from services.knowledge.index.protocol import BaseStore
from services.knowledge.positions import Box, Boxes
from services.knowledge.types import Chunk, DocumentState, Extracted, Heading, Notice, PageSpan, RevisionKey
from tests.contract.base_store_at_once import AtOnce
from tests.contract.base_store_names import NamesAndContents
from tests.contract.base_store_search import SearchingByWords, SearchingSomeDocuments
from tests.contract.base_store_steps import (
    EMBEDDER,
    Suite,
    content,
    found,
    ingest,
    key_of,
    known,
    names_found,
    pieces,
    prepare,
)
from tests.contract.base_store_waiting import Waiting
from tests.fakes.embedder import DIMENSIONS

STRANGE = "a\0b \ud800 “c”\r\n中文 👩‍👧\u2028 e\u0301"


class FromFileToVectors(Suite):
    """The steps of one revision, each of which may be repeated."""

    def test_everything_that_was_read_comes_back_as_it_was(self, store: BaseStore) -> None:
        key = key_of(store.add("a.pdf", content("x")))
        extracted = Extracted(
            STRANGE,
            "application/pdf",
            (PageSpan(1, 0, 5), PageSpan(2, 5, len(STRANGE))),
            (Heading(0, 1, "Über\ud800"), Heading(7, 2, "二")),
            (Notice("page_skipped", {"page": 3}),),
        )
        assert store.write_text(key, extracted)
        assert store.text(key.document_id, key.revision) == extracted
        row = known(store, "a.pdf")
        assert (row.media_type, row.pages, row.notices) == ("application/pdf", 2, extracted.notices)

    def test_the_boxes_of_the_lines_that_a_span_touches_come_back(self, store: BaseStore) -> None:
        key = key_of(store.add("a.pdf", content("x")))
        lines = [Box(start, start + 5, page, 0.0, 0.0, 1.0, 1.0) for start, page in ((0, 1), (6, 1), (12, 3))]
        for boxes in (Boxes.of([Box(0, 99, 1, 0.0, 0.0, 1.0, 1.0)]), Boxes.of(lines)):
            assert store.write_text(key, Extracted("x" * 99, "application/pdf", boxes=boxes))
        place = (key.document_id, key.revision)
        assert store.boxes(*place, 0, 99) == lines
        assert store.boxes(*place, 7, 13) == lines[1:]
        assert store.boxes(*place, 5, 6) == store.boxes("nobody", 1, 0, 99) == []
        assert store.remove(key.document_id) and store.boxes(*place, 0, 99) == []

    def test_chunks_come_back_as_they_were(self, store: BaseStore) -> None:
        key = key_of(store.add("a.pdf", content("x")))
        chunk = Chunk(0, 2, 8, STRANGE[2:8], 4, "Über\ud800 › 二")
        store.write_text(key, Extracted(STRANGE, "text/plain"))
        assert store.stage(key, [chunk], ())
        (staged,) = store.unembedded(key, 10)
        assert staged.text == chunk.text
        store.store_vectors(key, [staged.chunk_id], EMBEDDER.encode_passages([staged.text]))
        assert store.chunks([staged.chunk_id]) == []
        assert store.publish(key)
        (stored,) = store.chunks([staged.chunk_id])
        assert (stored.document_id, stored.document, stored.revision) == (key.document_id, "a.pdf", 1)
        assert (stored.ordinal, stored.start, stored.end, stored.text) == (0, 2, 8, chunk.text)
        assert (stored.page, stored.heading) == (chunk.page, chunk.heading)
        assert (stored.context, stored.shown_start, stored.shown_end, stored.shown_text) == ("", 2, 8, chunk.text)

    def test_a_chunk_is_embedded_as_one_text_and_shown_as_another(self, store: BaseStore) -> None:
        key = key_of(store.add("a.csv", content("x")))
        text = STRANGE + "name | price\npump | 5"
        chunk = Chunk(
            0, len(text) - 8, len(text), "pump | 5", None, "", "name | price", "name\ud800 pump", 2, len(text)
        )
        store.write_text(key, Extracted(text, "text/csv"))
        store.stage(key, [chunk], ())
        (staged,) = store.unembedded(key, 10)
        assert staged.text == chunk.indexed_text == "name\ud800 pump"
        store.store_vectors(key, [staged.chunk_id], EMBEDDER.encode_passages([staged.text]))
        assert store.publish(key)
        (stored,) = store.chunks([staged.chunk_id])
        assert (stored.text, stored.context) == ("pump | 5", "name | price")
        assert (stored.shown_start, stored.shown_end, stored.shown_text) == (2, len(text), text[2:])
        assert store.chunks_of(key.document_id, 1) == [chunk] and store.chunks_of(key.document_id, 2) == []

    def test_what_was_made_of_passages_is_kept_with_the_revision(self, store: BaseStore) -> None:
        key = key_of(store.add("a.txt", content("x")))
        assert store.rewritten(key) == {}
        assert store.keep_rewritten(key, {"p1": "one", "p2": STRANGE}) and store.keep_rewritten(key, {"p1": "uno"})
        assert store.rewritten(key) == {"p1": "uno", "p2": STRANGE}
        assert store.remove(key.document_id)
        assert store.rewritten(key) == {} and not store.keep_rewritten(key, {"p1": "late"})

    def test_a_step_that_is_repeated_replaces_what_it_made_before(self, store: BaseStore) -> None:
        key = key_of(store.add("a.txt", content("x")))
        text = "words " * 20
        for notice in ("first", "second"):
            store.write_text(key, Extracted(text, "text/plain", notices=(Notice(f"{notice}_read"),)))
            store.stage(key, pieces(text), [Notice(f"{notice}_split")])
            ids = [chunk.chunk_id for chunk in store.unembedded(key, 100)]
            vectors = EMBEDDER.encode_passages(["x"] * len(ids))
            assert store.store_vectors(key, ids, vectors) and store.store_vectors(key, ids, vectors)
        assert store.publish(key) and store.publish(key)
        row = known(store, "a.txt")
        assert row.chunks == row.chunks_done == store.counts().vectors == len(pieces(text)) == len(found(store, "x"))
        assert [notice.code for notice in row.notices] == ["second_read", "second_split"]

    def test_chunks_without_vector_come_in_order_and_progress_is_counted(self, store: BaseStore) -> None:
        key = key_of(store.add("a.txt", content("x")))
        text = "0123456789" * 10
        store.write_text(key, Extracted(text, "text/plain"))
        store.stage(key, pieces(text), ())
        first, second = store.unembedded(key, 2)
        assert first.text == text[:20]
        store.store_vectors(key, [second.chunk_id], EMBEDDER.encode_passages([second.text]))
        assert [chunk.text for chunk in store.unembedded(key, 2)] == [text[:20], text[40:60]]
        assert (known(store, "a.txt").chunks, known(store, "a.txt").chunks_done) == (5, 1)

    def test_ids_of_chunks_never_come_back(self, store: BaseStore) -> None:
        text = "0123456789" * 10
        first = ingest(store, "a.txt", text)
        before = {hit.chunk_id for hit in store.search(EMBEDDER.encode_queries(["0"])[0], 100)}
        store.remove(first.document_id)
        ingest(store, "b.txt", text)
        after = {hit.chunk_id for hit in store.search(EMBEDDER.encode_queries(["0"])[0], 100)}
        assert len(before) == len(after) == 5 and not before & after

    @pytest.mark.parametrize("missing", ["vector", "chunks", "stage"])
    def test_ready_is_said_only_when_the_counts_agree(self, store: BaseStore, missing: str) -> None:
        text = "0123456789" * 10
        key = key_of(store.add("a.txt", content("x")))
        store.write_text(key, Extracted(text, "text/plain"))
        if missing != "stage":
            store.stage(key, pieces(text) if missing == "vector" else (), ())
        for chunk in store.unembedded(key, 4):
            store.store_vectors(key, [chunk.chunk_id], EMBEDDER.encode_passages([chunk.text]))
        with pytest.raises(CountMismatch) as caught:
            store.publish(key)
        counted = (
            {"made": 5, "stored": 5, "vectors": 4}
            if missing == "vector"
            else dict.fromkeys(("made", "stored", "vectors"), 0)
        )
        assert caught.value.params == {"name": "a.txt", **counted}
        assert known(store, "a.txt").answering_revision is None and found(store, "x") == []

    def test_a_failure_drops_what_was_staged_and_an_older_revision_goes_on(self, store: BaseStore) -> None:
        ingest(store, "a.txt", "one")
        key = key_of(store.add("a.txt", content("two")))
        prepare(store, key, "two")
        assert store.fail(key, Notice("damaged", {"name": "a.txt", "reason": "\ud800"}))
        row = known(store, "a.txt")
        assert (row.state, row.chunks_done, row.answering_revision) == (DocumentState.FAILED, 0, 1)
        assert row.error == Notice("damaged", {"name": "a.txt", "reason": "\ud800"})
        assert found(store, "x") == [("a.txt", "one")]
        assert store.counts().failed == store.counts().settled == 1
        assert not store.fail(key, Notice("again"))

    def test_documents_are_counted_by_state(self, store: BaseStore) -> None:
        assert store.states() == {}
        failed = store.add("a.txt", content("one"))
        assert store.fail(key_of(failed), Notice("damaged"))
        store.add("b.txt", content("two"))
        store.add("c.txt", content("three"))
        assert store.states() == {DocumentState.FAILED: 1, DocumentState.QUEUED: 2}
        store.remove(failed.document_id)
        assert store.states() == {DocumentState.QUEUED: 2}

    @pytest.mark.parametrize("end", ["fail", "cancel"])
    @pytest.mark.parametrize("again", ["retry", "add"])
    def test_what_failed_or_was_cancelled_can_be_tried_again(self, store: BaseStore, end: str, again: str) -> None:
        row = store.add("a.txt", content("one"))
        prepare(store, key_of(row), "one")
        assert store.fail(key_of(row), Notice("damaged")) if end == "fail" else store.cancel(row.document_id)
        assert store.pending() == [] and not store.cancel(row.document_id)
        if again == "retry":
            assert store.retry(row.document_id) and not store.retry(row.document_id)
        else:
            store.add("b.txt", content("one"))
        tried = known(store, "a.txt")
        assert (tried.revision, tried.attempt, tried.state, tried.error) == (1, 2, DocumentState.QUEUED, None)
        assert not store.current(key_of(row)) and store.current(key_of(tried))
        prepare(store, key_of(tried), "one")
        assert store.publish(key_of(tried))
        assert len(found(store, "one")) == 1 and not store.retry(row.document_id)

    def test_a_call_about_work_that_is_not_wanted_changes_nothing(self, store: BaseStore) -> None:
        ready = ingest(store, "a.txt", "one")
        ready_chunk = store.search(EMBEDDER.encode_queries(["one"])[0], 1)[0].chunk_id
        cancelled = store.add("b.txt", content("two"))
        store.cancel(cancelled.document_id)
        running = store.add("c.txt", content("three"))
        before = store.documents()
        gone = [
            key_of(ready),
            key_of(cancelled),
            RevisionKey(running.document_id, 1, 2),
            RevisionKey(running.document_id, 2, 1),
            RevisionKey("nobody", 1, 1),
        ]
        for key in gone:
            assert not store.current(key)
            assert not store.set_state(key, DocumentState.READING)
            assert not store.write_text(key, Extracted("other", "text/plain"))
            assert not store.stage(key, pieces("other"), ())
            assert store.unembedded(key, 10) == []
            assert not store.store_vectors(key, [ready_chunk], EMBEDDER.encode_passages(["other"]))
            assert not store.fail(key, Notice("damaged"))
            assert store.publish(key) is (key == key_of(ready))
        assert not store.store_vectors(key_of(running), [ready_chunk], EMBEDDER.encode_passages(["other"]))
        assert store.text("nobody", 1) is None and store.document("nobody") is None
        assert store.documents() == before and found(store, "x") == [("a.txt", "one")]

    def test_a_settled_state_is_not_set_as_a_state_of_work(self, store: BaseStore) -> None:
        row = store.add("a.txt", content("one"))
        with pytest.raises(ValueError):
            store.set_state(key_of(row), DocumentState.READY)

    def test_the_fingerprint_is_set_once(self, store: BaseStore) -> None:
        assert store.fingerprint() is None
        store.bind("first")
        store.bind("second")
        assert store.fingerprint() == "first"


class Searching(Suite):
    """What searches find."""

    def test_an_empty_base_finds_nothing(self, store: BaseStore) -> None:
        assert store.search(EMBEDDER.encode_queries(["x"])[0], 5) == []
        assert store.chunks([]) == store.chunks([1, 2]) == []
        counts = store.counts()
        assert (counts.documents, counts.chunks, counts.vectors, counts.settled, counts.failed) == (0, 0, 0, 0, 0)

    def test_hits_are_the_nearest_by_cosine_best_first(self, store: BaseStore) -> None:
        texts = [f"sentence number {number} about {word}" for number, word in enumerate(("pumps", "泵", "rent") * 20)]
        for number, text in enumerate(texts):
            ingest(store, f"{number}.txt", text[:20])
        query = EMBEDDER.encode_queries(["sentence number 7 "])[0]
        hits = store.search(query, 10)
        cosines = EMBEDDER.encode_passages([text[:20] for text in texts]) @ query
        assert np.allclose([hit.score for hit in hits], np.sort(cosines)[::-1][:10], atol=1e-5)
        assert len({hit.chunk_id for hit in hits}) == 10
        best = store.chunks([hits[0].chunk_id])[0]
        assert best.text == texts[int(np.argmax(cosines))][:20]

    def test_a_query_of_any_length_and_any_count_is_fine(self, store: BaseStore) -> None:
        ingest(store, "a.txt", "0123456789" * 10)
        query = EMBEDDER.encode_queries(["0"])[0]
        assert len(store.search(query, 1000)) == 5
        longer = [hit.score for hit in store.search(query * 7, 3)]
        assert np.allclose(longer, [hit.score for hit in store.search(query, 3)], atol=1e-6)
        assert all(-1 <= hit.score <= 1 for hit in store.search(query, 5))

    def test_chunks_come_in_the_order_asked(self, store: BaseStore) -> None:
        ingest(store, "a.txt", "0123456789" * 10)
        ids = [hit.chunk_id for hit in store.search(EMBEDDER.encode_queries(["0"])[0], 5)]
        asked = [ids[3], 10**9, ids[0], ids[4]]
        assert [chunk.chunk_id for chunk in store.chunks(asked)] == [ids[3], ids[0], ids[4]]

    def test_every_change_is_seen_by_the_next_search(self, store: BaseStore) -> None:
        for step in range(6):
            ingest(store, f"{step}.txt", f"content of {step}")
            assert names_found(store) == {f"{number}.txt" for number in range(step + 1)}
        store.remove(known(store, "2.txt").document_id)
        ingest(store, "3.txt", "other content")
        assert names_found(store) == {"0.txt", "1.txt", "3.txt", "4.txt", "5.txt"}
        assert ("3.txt", "other content") in found(store, "x") and len(found(store, "x")) == 5
        for row in store.documents():
            store.remove(row.document_id)
        assert found(store, "x") == []

    def test_vectors_of_other_dimensions_are_refused(self, store: BaseStore) -> None:
        ingest(store, "a.txt", "one")
        key = key_of(store.add("b.txt", content("two")))
        store.write_text(key, Extracted("two", "text/plain"))
        store.stage(key, pieces("two"), ())
        ids = [chunk.chunk_id for chunk in store.unembedded(key, 1)]
        with pytest.raises(EmbedderMismatch):
            store.store_vectors(key, ids, np.ones((1, DIMENSIONS + 1), np.float32))
        with pytest.raises(EmbedderMismatch):
            store.search(np.ones(DIMENSIONS - 1, np.float32), 1)
        assert known(store, "b.txt").chunks_done == 0

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0])
    def test_vectors_without_direction_are_refused(self, store: BaseStore, value: float) -> None:
        ingest(store, "a.txt", "one")
        key = key_of(store.add("b.txt", content("two")))
        store.stage(key, pieces("two"), ())
        store.write_text(key, Extracted("two", "text/plain"))
        ids = [chunk.chunk_id for chunk in store.unembedded(key, 1)]
        broken = np.zeros((1, DIMENSIONS), np.float32)
        broken[0, 3] = value
        with pytest.raises(InvalidValue):
            store.store_vectors(key, ids, broken)
        with pytest.raises(InvalidValue):
            store.search(broken[0], 1)

    def test_a_vector_for_each_chunk_or_none(self, store: BaseStore) -> None:
        key = key_of(store.add("b.txt", content("two")))
        with pytest.raises(ValueError):
            store.store_vectors(key, [1, 2], np.ones((1, DIMENSIONS), np.float32))

    def test_readers_see_whole_documents_while_a_writer_replaces_them(self, store: BaseStore) -> None:
        texts = ["a" * 100, "b" * 100]
        ingest(store, "x.txt", texts[0])
        done = threading.Event()

        def read() -> list[set[str]]:
            seen = []
            while not done.is_set():
                hits = store.search(EMBEDDER.encode_queries(["a"])[0], 100)
                seen.append({str(len(hits)), *(chunk.text for chunk in store.chunks([hit.chunk_id for hit in hits]))})
            return seen

        with ThreadPoolExecutor(3) as threads:
            readers = [threads.submit(read) for _ in range(3)]
            try:
                for turn in range(1, 12):
                    ingest(store, "x.txt", texts[turn % 2])
            finally:
                done.set()
            seen = [part for reader in readers for part in reader.result()]
        allowed = [{"5", "a" * 20}, {"5", "b" * 20}, {"5"}]
        assert seen and all(part in allowed for part in seen)

    def test_many_threads_may_add_at_once(self, store: BaseStore) -> None:
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda number: ingest(store, f"{number % 6}.txt", f"text {number % 6}"), range(6)))
            list(threads.map(lambda number: store.add(f"{number}.txt", content("same")), range(16)))
        assert len(store.documents()) == 1
        assert len(store.documents()[0].names) == 16


class BaseStoreSuite(
    NamesAndContents, FromFileToVectors, Waiting, AtOnce, Searching, SearchingByWords, SearchingSomeDocuments
):
    """All of it."""
