"""A base built anew beside the one that answers: nothing stops answering, and nothing is lost."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from services.core.errors import BeingChanged
from services.core.settings import load
from services.knowledge.chunking.protocol import ChunkerSpec
from services.knowledge.embedders.protocol import Embedder, Vectors
from services.knowledge.embedders.registry import Embedders
from services.knowledge.index.local import LocalBaseStore
from services.knowledge.ingest import Ingest
from services.knowledge.loaders.protocol import Limits
from services.knowledge.loaders.reader import Reader
from services.knowledge.search_types import SearchOptions
from services.knowledge.service import KnowledgeService
from services.knowledge.stores import POINTER, Stores
from services.knowledge.types import DocumentState, Notice
from services.store import StateStore
from services.store.bases import BaseRecord
from tests.fakes.documents import write_pdf
from tests.fakes.embedder import HashEmbedder
from tests.fakes.walk import walk

LINES = "".join(f"Line {number} of the book tells about koi and dogs. " for number in range(30))
SMALL, LARGE = ChunkerSpec(size=100, overlap=0), ChunkerSpec(size=400, overlap=0)


class MirroredEmbedder(HashEmbedder):
    """Other vectors, and a spec that says so."""

    spec = HashEmbedder.spec.model_copy(update={"key": "mirrored"})

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        return np.ascontiguousarray(super().encode_passages(texts)[:, ::-1])


class House:
    """One base, the service over it, and the way that the worker walks."""

    def __init__(self, home: Path, reader: Reader) -> None:
        self.settings = load(home=home)
        self.settings.layout.create()
        self.state = StateStore(self.settings.state_url)
        self.stores = Stores(self.settings.layout, LocalBaseStore)
        made: dict[str, Embedder] = {"hash": HashEmbedder(), "mirrored": MirroredEmbedder()}
        self.embedders = Embedders(lambda spec: made[spec.key])
        self.knowledge = KnowledgeService(
            self.state.bases, self.stores, self.embedders, settings=self.settings, machine_id="m"
        )
        self.ingest = Ingest(self.stores, reader, self.embedders)

    def base(self) -> BaseRecord:
        return self.knowledge.base("House")

    def add(self, name: str, content: str | bytes) -> None:
        raw = content.encode() if isinstance(content, str) else content
        self.knowledge.add(self.base(), name, io.BytesIO(raw))

    def walk(self, *, beside: bool) -> None:
        base = self.base()
        target = base.changed() if beside else base
        assert target is not None
        for key in self.stores.of(target).pending():
            walk(self.ingest, target, key)

    def tick(self) -> None:
        self.knowledge.builds.tick(self.base())

    def found(self, query: str = "koi", top_k: int = 100) -> list[str]:
        return [
            hit.chunk.document for hit in self.knowledge.search(self.base(), query, SearchOptions(top_k=top_k)).hits
        ]

    def chunks(self) -> int:
        report = self.knowledge.verify("House")
        assert report.problems == ()
        return report.chunks

    def close(self) -> None:
        self.stores.close()
        self.state.close()


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    opened = Reader(Limits(pages=50, characters=200_000, timeout_s=60, memory_bytes=4 * 1024**3))
    yield opened
    opened.close()


@pytest.fixture
def house(tmp_path: Path, reader: Reader) -> Iterator[House]:
    opened = House(tmp_path, reader)
    opened.knowledge.create("House", SMALL, HashEmbedder.spec)
    opened.add("book.txt", LINES)
    opened.walk(beside=False)
    yield opened
    opened.close()


def test_another_chunker_takes_over_when_all_is_built_and_the_old_one_answers_until_then(house: House) -> None:
    before = house.chunks()
    house.knowledge.change(house.base(), chunker=LARGE)
    house.tick()
    assert house.found() and house.chunks() == before and house.base().chunk_size == 100
    progress = house.knowledge.builds.progress(house.base())
    assert progress is not None and (progress.documents, progress.ready) == (1, 0)
    house.walk(beside=True)
    assert house.chunks() == before, "not before the tick"
    house.tick()
    assert house.base().chunk_size == 400 and house.base().change is None
    assert 0 < house.chunks() < before and set(house.found()) == {"book.txt"}
    house.add("book.txt", LINES + "A last line.")
    house.walk(beside=False)
    assert house.chunks() < before, "new files are cut as the base is now"


def test_another_embedder_answers_with_its_own_vectors(house: House) -> None:
    house.knowledge.change(house.base(), embedder=MirroredEmbedder.spec)
    house.tick()
    house.walk(beside=True)
    assert house.found(), "questions are still encoded by the old one"
    house.tick()
    assert house.base().embedder == "mirrored"
    hit = house.knowledge.search(
        house.base(), "Line 7 of the book tells about koi and dogs.", SearchOptions(top_k=1)
    ).hits[0]
    assert "Line 7" in hit.chunk.text and hit.score > 0.6


def test_additions_and_removals_reach_both(house: House) -> None:
    house.add("gone.txt", "This one will be removed: koi.")
    house.walk(beside=False)
    house.knowledge.change(house.base(), chunker=LARGE)
    house.tick()
    house.walk(beside=True)
    house.add("new.txt", "A file that comes in between: koi.")
    house.add("book.txt", "The book was written again: koi.")
    house.knowledge.remove(house.base(), "gone.txt")
    house.walk(beside=False)
    assert set(house.found()) == {"book.txt", "new.txt"}
    house.tick()
    assert house.base().change is not None, "what answers now is not built yet"
    house.walk(beside=True)
    house.tick()
    assert house.base().change is None and set(house.found()) == {"book.txt", "new.txt"}
    assert house.chunks() == 2
    assert {row.name for row in house.knowledge.documents(house.base())} == {"book.txt", "new.txt"}


def test_a_file_added_at_the_last_moment_is_not_lost(house: House) -> None:
    house.knowledge.change(house.base(), chunker=LARGE)
    house.tick()
    house.walk(beside=True)
    house.add("late.txt", "Late: koi.")
    house.tick()
    assert house.base().change is None
    house.walk(beside=False)
    assert set(house.found()) == {"book.txt", "late.txt"}


def test_citations_stay_true_and_files_are_not_read_again(house: House, tmp_path: Path) -> None:
    house.add("plan.pdf", write_pdf(tmp_path / "plan.pdf", ["The first page tells about koi."]).read_bytes())
    house.walk(beside=False)
    row = house.knowledge.document(house.base(), "plan.pdf")
    boxes = house.stores.of(house.base()).layout(row.document_id, row.revision)
    text = house.knowledge.text(house.base(), row.document_id, row.revision)
    original = house.knowledge.original(house.base(), row.document_id, row.revision)
    assert original is not None
    os.truncate(original, 0)
    house.knowledge.change(house.base(), chunker=LARGE)
    house.tick()
    house.walk(beside=True)
    house.tick()
    assert house.base().chunk_size == 400
    assert house.knowledge.text(house.base(), row.document_id, row.revision) == text
    assert len(boxes) and house.stores.of(house.base()).layout(row.document_id, row.revision) == boxes


def test_an_older_version_that_answers_for_a_failed_one_answers_after_the_switch(house: House) -> None:
    house.add("book.txt", "  ")
    house.walk(beside=False)
    house.knowledge.change(house.base(), chunker=LARGE)
    for _ in range(3):
        house.tick()
        if house.base().change is None:
            break
        house.walk(beside=True)
    house.tick()
    row = house.knowledge.document(house.base(), "book.txt")
    assert house.base().chunk_size == 400 and house.found()
    assert row.answering_revision == 1
    house.walk(beside=False)
    row = house.knowledge.document(house.base(), "book.txt")
    assert (row.state, row.answering_revision) == (DocumentState.FAILED, 1) and house.found()


def test_a_document_that_cannot_be_built_anew_holds_the_switch_up(house: House) -> None:
    house.add("other.txt", "Another one: koi.")
    house.walk(beside=False)
    house.knowledge.change(house.base(), chunker=LARGE)
    house.tick()
    target = house.base().changed()
    assert target is not None
    store = house.stores.of(target)
    other = house.knowledge.document(house.base(), "other.txt").document_id
    for key in store.pending():
        if key.document_id == other:
            store.fail(key, Notice("encoder_crashed", {"attempts": 3}))
    house.walk(beside=True)
    house.tick()
    progress = house.knowledge.builds.progress(house.base())
    assert progress is not None and (progress.ready, progress.failed) == (1, 1)
    assert house.base().change is not None and set(house.found()) == {"book.txt", "other.txt"}
    assert house.knowledge.builds.retry(house.base()) == 1
    house.walk(beside=True)
    house.tick()
    assert house.base().change is None and set(house.found()) == {"book.txt", "other.txt"}


def test_giving_up_leaves_the_old_one_and_removes_the_new_one(house: House) -> None:
    before = house.chunks()
    house.knowledge.change(house.base(), chunker=LARGE)
    house.tick()
    house.walk(beside=True)
    with pytest.raises(BeingChanged):
        house.knowledge.change(house.base(), chunker=ChunkerSpec(size=300, overlap=0))
    assert house.knowledge.builds.give_up(house.base()) and not house.knowledge.builds.give_up(house.base())
    house.tick()
    house.knowledge.sweep()
    builds = house.settings.layout.base(house.base().id) / "builds"
    assert house.chunks() == before and list(builds.iterdir()) == []
    again = house.knowledge.change(house.base(), chunker=LARGE)
    assert again.last_build == 2, "numbers never come back, for jobs are known by them"


def test_a_process_that_died_right_after_the_switch_is_made_up_for(house: House) -> None:
    house.knowledge.change(house.base(), embedder=MirroredEmbedder.spec)
    house.tick()
    house.walk(beside=True)
    house.stores.switch(house.base().id, 1)
    assert house.found(), "the stored vectors say who encodes the question"
    assert not house.knowledge.builds.give_up(house.base())
    house.tick()
    assert house.base().embedder == "mirrored" and house.base().change is None


def test_the_old_files_go_some_time_after_the_switch(house: House) -> None:
    home = house.settings.layout.base(house.base().id)
    house.knowledge.change(house.base(), chunker=LARGE)
    house.tick()
    house.walk(beside=True)
    house.tick()
    house.knowledge.sweep()
    assert (home / "base.sqlite3").exists(), "searches that began before may need it"
    os.utime(home / POINTER, (0, 0))
    house.knowledge.sweep()
    assert not (home / "base.sqlite3").exists() and (home / "originals").exists()
    assert house.found() and house.chunks()
    house.knowledge.change(house.base(), chunker=SMALL)
    house.tick()
    house.walk(beside=True)
    house.tick()
    os.utime(home / POINTER, (0, 0))
    house.knowledge.sweep()
    assert [path.name for path in (home / "builds").iterdir()] == ["2"] and house.found()


def test_the_same_recipe_changes_nothing(house: House) -> None:
    assert house.knowledge.change(house.base(), chunker=SMALL, embedder=HashEmbedder.spec).change is None
