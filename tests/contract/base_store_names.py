"""Names and contents: which content a name has in a base store, and who answers meanwhile."""

from __future__ import annotations

import unicodedata

from services.knowledge.index.protocol import BaseStore
from services.knowledge.types import DocumentState, Notice
from tests.contract.base_store_steps import Suite, content, found, ingest, key_of, known, names_found, prepare


class NamesAndContents(Suite):
    """Which content a name has, and who answers meanwhile."""

    def test_a_new_name_with_new_content_is_a_queued_document(self, store: BaseStore) -> None:
        row = store.add("a.txt", content("one"))
        assert (row.name, row.names, row.revision, row.attempt) == ("a.txt", ("a.txt",), 1, 1)
        assert (row.state, row.sha256, row.size_bytes) == (DocumentState.QUEUED, content("one").sha256, 3)
        assert (row.media_type, row.pages, row.chunks, row.chunks_done) == (None, None, None, 0)
        assert (row.answering_revision, row.notices, row.error) == (None, (), None)
        assert store.pending() == [key_of(row)]
        assert store.documents() == [row] == [known(store, "a.txt")] == [known(store, row.document_id)]

    def test_the_same_again_is_nothing_new(self, store: BaseStore) -> None:
        first = ingest(store, "a.txt", "one")
        assert store.add("a.txt", content("one")) == first
        assert store.pending() == []

    def test_names_are_the_same_in_every_normal_form_and_differ_in_case(self, store: BaseStore) -> None:
        first = store.add(unicodedata.normalize("NFD", "Prüfbericht.txt"), content("one"))
        assert first.name == unicodedata.normalize("NFC", "Prüfbericht.txt")
        assert store.add("Prüfbericht.txt", content("one")).document_id == first.document_id
        assert known(store, unicodedata.normalize("NFD", "Prüfbericht.txt")) == first
        assert store.document("prüfbericht.txt") is None
        assert store.document("\udcff") is None

    def test_the_same_content_under_two_names_is_one_document_with_two_names(self, store: BaseStore) -> None:
        first = ingest(store, "a.txt", "one")
        second = store.add("b.txt", content("one"))
        assert second.document_id == first.document_id
        assert (second.name, second.names) == ("a.txt", ("a.txt", "b.txt"))
        assert known(store, "b.txt") == second
        assert len(store.documents()) == store.counts().documents == 1

    def test_the_types_are_those_of_what_answers_each_once(self, store: BaseStore) -> None:
        assert store.media_types() == []
        ingest(store, "a.txt", "one")
        ingest(store, "b.txt", "two")
        store.add("c.txt", content("three"))
        assert store.media_types() == ["text/plain"]

    def test_an_older_revision_answers_until_the_newer_one_is_published(self, store: BaseStore) -> None:
        first = ingest(store, "a.txt", "the old text")
        second = store.add("a.txt", content("the new text"))
        assert (second.document_id, second.revision, second.answering_revision) == (first.document_id, 2, 1)
        prepare(store, key_of(second), "the new text")
        assert found(store, "text") == [("a.txt", "the old text")]
        assert store.text(first.document_id, 1) is not None
        assert store.originals() == {content("the old text").sha256, content("the new text").sha256}
        assert store.publish(key_of(second))
        assert found(store, "text") == [("a.txt", "the new text")]
        assert store.text(first.document_id, 1) is None
        assert store.originals() == {content("the new text").sha256}

    def test_each_revision_has_its_original_until_it_is_replaced(self, store: BaseStore) -> None:
        first = ingest(store, "a.txt", "one")
        second = store.add("a.txt", content("two"))
        originals = [store.original(first.document_id, revision) for revision in (1, 2, 3)]
        assert originals == [content("one").sha256, content("two").sha256, None]
        prepare(store, key_of(second), "two")
        store.publish(key_of(second))
        assert store.original(first.document_id, 1) is None
        store.remove(first.document_id)
        assert store.original(first.document_id, 2) is None

    def test_a_newer_revision_drops_an_unsettled_one(self, store: BaseStore) -> None:
        ingest(store, "a.txt", "one")
        second = store.add("a.txt", content("two"))
        prepare(store, key_of(second), "two")
        third = store.add("a.txt", content("three"))
        assert third.revision == 3
        assert store.pending() == [key_of(third)]
        assert not store.current(key_of(second))
        assert not store.publish(key_of(second))
        assert names_found(store) == {"a.txt"}
        assert store.originals() == {content("one").sha256, content("three").sha256}

    def test_going_back_to_the_content_that_answers_drops_the_newer_one_and_its_number(self, store: BaseStore) -> None:
        first = ingest(store, "a.txt", "one")
        second = store.add("a.txt", content("two"))
        back = store.add("a.txt", content("one"))
        assert (back.revision, back.state, back.attempt) == (first.revision, DocumentState.READY, 1)
        assert store.pending() == [] and not store.current(key_of(second))
        assert store.add("a.txt", content("three")).revision == 3

    def test_a_name_that_shares_its_document_splits_off_with_new_content(self, store: BaseStore) -> None:
        first = ingest(store, "a.txt", "one")
        store.add("b.txt", content("one"))
        split = store.add("b.txt", content("two"))
        assert split.document_id != first.document_id
        assert (split.names, known(store, "a.txt").names) == (("b.txt",), ("a.txt",))
        assert found(store, "one") == [("a.txt", "one")]

    def test_a_name_that_moves_to_content_of_a_ready_document_leaves_nothing_behind(self, store: BaseStore) -> None:
        ingest(store, "a.txt", "one")
        other = ingest(store, "b.txt", "two")
        moved = store.add("a.txt", content("two"))
        assert moved.document_id == other.document_id
        assert moved.names == ("b.txt", "a.txt")
        assert found(store, "one") == [("b.txt", "two")]
        assert store.originals() == {content("two").sha256}

    def test_a_document_without_name_answers_until_its_successor_is_ready(self, store: BaseStore) -> None:
        left = ingest(store, "a.txt", "one")
        other = store.add("b.txt", content("two"))
        store.add("a.txt", content("two"))
        assert [row.document_id for row in store.documents()] == [other.document_id]
        assert store.counts().documents == 1
        assert found(store, "one") == [("a.txt", "one")]
        assert (known(store, left.document_id).name, known(store, left.document_id).names) == ("a.txt", ())
        prepare(store, key_of(other), "two")
        assert store.publish(key_of(other))
        assert found(store, "one") == [("b.txt", "two")]
        assert store.document(left.document_id) is None

    def test_a_document_without_name_waits_for_the_last_of_its_successors(self, store: BaseStore) -> None:
        ingest(store, "a.txt", "one")
        second, third = store.add("b.txt", content("two")), store.add("c.txt", content("three"))
        store.add("a.txt", content("two"))
        store.add("b.txt", content("three"))
        assert store.add("a.txt", content("three")).document_id == third.document_id
        assert store.document(second.document_id) is None
        assert names_found(store) == {"a.txt"}
        prepare(store, key_of(third), "three")
        assert store.publish(key_of(third))
        assert found(store, "one") == [("c.txt", "three")]

    def test_a_document_that_lost_its_name_is_taken_up_again_with_its_content(self, store: BaseStore) -> None:
        first = ingest(store, "a.txt", "one")
        other = store.add("b.txt", content("two"))
        store.add("a.txt", content("two"))
        back = store.add("a.txt", content("one"))
        assert (back.document_id, back.state, back.names) == (first.document_id, DocumentState.READY, ("a.txt",))
        prepare(store, key_of(other), "two")
        assert store.publish(key_of(other))
        assert names_found(store) == {"a.txt", "b.txt"}

    def test_work_on_a_document_whose_name_went_elsewhere_is_dropped(self, store: BaseStore) -> None:
        ingest(store, "b.txt", "two")
        first = store.add("a.txt", content("one"))
        store.add("a.txt", content("two"))
        assert store.document(first.document_id) is None
        assert not store.current(key_of(first)) and store.pending() == []

    def test_removing_takes_the_document_and_all_that_answered_in_its_place(self, store: BaseStore) -> None:
        ingest(store, "a.txt", "one")
        other = store.add("b.txt", content("two"))
        store.add("a.txt", content("two"))
        assert store.remove(other.document_id)
        assert not store.remove(other.document_id)
        assert store.documents() == [] and found(store, "one") == [] and store.originals() == set()

    def test_the_list_has_what_is_not_ready_first_and_comes_in_pages(self, store: BaseStore) -> None:
        for name in ("Zebra", "apple", "Élan", "文件"):
            ingest(store, name, f"about {name}")
        cancelled, failed = (store.add(name, content(name)) for name in ("kiwi", "lime"))
        assert store.cancel(cancelled.document_id) and store.fail(key_of(failed), Notice("damaged"))
        store.add("waits", content("waits"))
        names = ["waits", "lime", "kiwi", "apple", "Zebra", "Élan", "文件"]
        every = store.listed(10)
        assert ([row.name for row in every.documents], every.found) == (names, 7)
        assert sorted(every.documents, key=lambda row: row.name) == store.documents()
        pages = [store.listed(3, offset) for offset in (0, 3, 6, 9)]
        assert [row.name for page in pages for row in page.documents] == names and {page.found for page in pages} == {7}
        assert store.listed(0).documents == () and store.listed(0).found == 7

    def test_the_list_is_narrowed_by_a_part_of_the_name_in_any_case(self, store: BaseStore) -> None:
        for name in ("Straße 1.txt", "STRASSE 2.txt", "Élan_100%.txt", "plain.txt"):
            ingest(store, name, f"about {name}")

        def names(part: str) -> list[str]:
            listing = store.listed(10, part=part)
            assert listing.found == len(listing.documents)
            return [row.name for row in listing.documents]

        assert names("strasse") == ["Straße 1.txt", "STRASSE 2.txt"] and names("_100%") == ["Élan_100%.txt"]
        assert names("e\u0301LAN") == ["Élan_100%.txt"] and names("%") == ["Élan_100%.txt"]
        assert names("a_n") == names("nowhere") == []
        page = store.listed(1, 1, "strasse")
        assert ([row.name for row in page.documents], page.found) == (["STRASSE 2.txt"], 2)

    def test_the_list_of_what_answers_is_by_name_alone(self, store: BaseStore) -> None:
        ingest(store, "b", "old")
        ingest(store, "a", "one")
        store.add("b", content("new"))
        store.add("c", content("two"))
        listing = store.listed(10, answering=True)
        assert ([row.name for row in listing.documents], listing.found) == (["a", "b"], 2)
        assert [row.name for row in store.listed(10).documents] == ["b", "c", "a"]
        assert store.listed(10, part="c", answering=True).found == 0

    def test_a_document_is_listed_once_under_its_first_name(self, store: BaseStore) -> None:
        ingest(store, "one", "shared")
        row = ingest(store, "a second name", "shared")
        assert row.names == ("one", "a second name")
        assert [row.name for row in store.listed(10).documents] == ["one"]
        assert store.listed(10, part="second").found == 0
        store.add("one", content("another"))  # the name goes elsewhere, the content keeps the other
        assert [row.name for row in store.listed(10).documents] == ["one", "a second name"]
        store.add("a second name", content("another"))
        assert [row.names for row in store.listed(10).documents] == [("one", "a second name")]
        assert store.listed(10).found == store.counts().documents == 1

    def test_documents_come_by_name_and_pending_ones_oldest_first(self, store: BaseStore) -> None:
        rows = [store.add(name, content(name)) for name in ("c", "a", "文件", "b")]
        assert [row.name for row in store.documents()] == ["a", "b", "c", "文件"]
        assert store.pending() == [key_of(row) for row in rows]
