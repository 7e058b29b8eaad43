"""Snapshots of a base's vectors: made, followed, masked, lost, and switched under searches of several processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from services.knowledge.index.local import LocalBaseStore, compaction, dense
from services.knowledge.index.local.connections import Connections
from services.knowledge.index.local.snapshots import ABOUT, INDEX, place
from services.knowledge.index.local.vectors import unit_rows
from services.knowledge.search_types import SearchFilter
from services.knowledge.types import Chunk, Extracted, Original, RevisionKey

DIMENSIONS, CHUNKS = 16, 50


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalBaseStore]:
    """A base of 600 chunks in 12 documents, for which "large" begins at 300 and "few" ends at 60."""
    monkeypatch.setattr(compaction, "SMALL_BASE", 200)
    monkeypatch.setattr(compaction, "EXACT_VECTORS", 300)
    monkeypatch.setattr(compaction, "LEAST_CELLS", 8)
    monkeypatch.setattr(dense, "FEW_CHUNKS", 60)
    opened = LocalBaseStore(tmp_path / "base")
    for number in range(12):
        take_in(opened, number)
    yield opened
    opened.close()


def directions(number: int) -> np.ndarray:
    """The vectors of a document, always the same."""
    return unit_rows(np.random.default_rng(number).standard_normal((CHUNKS, DIMENSIONS)).astype(np.float32))


def take_in(store: LocalBaseStore, number: int, revision: int = 1) -> str:
    """A document named by its number; another revision has the vectors of another number."""
    row = store.add(f"{number}.txt", Original(f"{number * 100 + revision:064x}", 1))
    key = RevisionKey(row.document_id, row.revision, row.attempt)
    text = "word " * CHUNKS
    store.write_text(key, Extracted(text, "text/plain" if number % 2 else "text/html"))
    store.stage(key, [Chunk(n, 5 * n, 5 * n + 4, "word", None, "") for n in range(CHUNKS)], ())
    ids = [chunk.chunk_id for chunk in store.unembedded(key, CHUNKS)]
    store.store_vectors(key, ids, directions(number + 1000 * (revision - 1)))
    assert store.publish(key)
    return row.document_id


def compact(store: LocalBaseStore, folder: Path) -> None:
    connections = Connections(folder / "base.sqlite3")
    assert compaction.compact(connections, folder) is not None
    connections.close()


def best(store: LocalBaseStore, number: int, chunk: int = 7, **only: object) -> tuple[str, float]:
    """Document and cosine of the nearest chunk to a chunk's own vector."""
    hit = store.search(directions(number)[chunk], 1, SearchFilter(**only))[0]  # type: ignore[arg-type]
    return store.chunks([hit.chunk_id])[0].document, round(hit.score, 4)


def test_searches_find_the_same_before_and_after_a_snapshot(store: LocalBaseStore, tmp_path: Path) -> None:
    asked = [directions(number)[3] for number in range(12)]
    before = [store.search(vector, 5) for vector in asked]
    assert store.index_state().kind == "memory" and store.compaction_due()
    compact(store, tmp_path / "base")
    state = store.index_state()
    assert (state.kind, state.generation, state.newer, state.gone) == ("ivf_fp16", 1, 0, 0)
    assert state.recall is not None and state.recall >= 0.95 and not store.compaction_due()
    for vector, found in zip(asked, before, strict=True):
        after = store.search(vector, 5)
        assert after[0].chunk_id == found[0].chunk_id
        assert len({hit.chunk_id for hit in after} & {hit.chunk_id for hit in found}) >= 4
        assert [hit.score for hit in after] == sorted((hit.score for hit in after), reverse=True)
    assert store.verify().problems == ()


def test_what_came_and_went_since_is_seen_at_once(store: LocalBaseStore, tmp_path: Path) -> None:
    compact(store, tmp_path / "base")
    assert best(store, 3) == ("3.txt", 1.0)
    take_in(store, 50)
    assert best(store, 50) == ("50.txt", 1.0)
    third = store.document("3.txt")
    assert third is not None and store.remove(third.document_id)
    name, cosine = best(store, 3)
    assert name != "3.txt" and cosine < 0.99
    take_in(store, 4, revision=2)
    assert best(store, 1004) == ("4.txt", 1.0) and best(store, 4)[1] < 0.99
    store.remove(take_in(store, 51))
    assert best(store, 51)[1] < 0.99
    state = store.index_state()
    assert (state.newer, state.gone) == (150, 150) and store.verify().problems == ()
    assert len(store.search(directions(1)[0], 1000)) == 600
    compact(store, tmp_path / "base")
    store.tidy()
    assert store.index_state().generation == 2 and store.verify().problems == ()
    assert [folder.name for folder in (tmp_path / "base" / "snapshots").iterdir()] == ["000002"]
    assert best(store, 50) == ("50.txt", 1.0) and len(store.search(directions(1)[0], 1000)) == 600


def test_a_filter_is_searched_whole_whatever_the_snapshot(store: LocalBaseStore, tmp_path: Path) -> None:
    compact(store, tmp_path / "base")
    take_in(store, 13)
    document = store.document("5.txt")
    assert document is not None
    only_one = store.search(directions(2)[0], 1000, SearchFilter(document_ids=(document.document_id,)))
    assert len(only_one) == CHUNKS
    half = SearchFilter(media_types=("text/plain",))
    found = store.search(directions(2)[0], 1000, half)
    assert len(found) == 7 * CHUNKS
    assert best(store, 13, media_types=("text/plain",)) == ("13.txt", 1.0)
    assert best(store, 5, media_types=("text/plain",)) == ("5.txt", 1.0)
    assert best(store, 4, media_types=("text/plain",))[0] != "4.txt"


@pytest.mark.parametrize("harm", ["remove", "cut", "change", "about", "kind"])
def test_a_lost_snapshot_costs_nothing_but_time(store: LocalBaseStore, tmp_path: Path, harm: str) -> None:
    compact(store, tmp_path / "base")
    folder = place(tmp_path / "base", 1)
    index = (folder / INDEX).read_bytes()
    if harm == "remove":
        (folder / INDEX).unlink()
    elif harm == "about":
        (folder / ABOUT).write_text("{}")
    elif harm == "kind":
        (folder / ABOUT).write_text((folder / ABOUT).read_text("utf-8").replace("ivf_fp16", "ivf_sq8"), "utf-8")
    else:
        (folder / INDEX).write_bytes(index[:-100] if harm == "cut" else index[:5000] + b"\0" * 400 + index[5400:])
    other = LocalBaseStore(tmp_path / "base")
    assert best(other, 9) == ("9.txt", 1.0)
    assert "snapshot" in " ".join(other.verify().problems)
    assert other.index_state().problem and other.compaction_due()
    compact(other, tmp_path / "base")
    assert other.index_state().generation == 2 and other.verify().problems == ()
    assert best(other, 9) == ("9.txt", 1.0)
    other.close()


def test_more_than_memory_should_hold_is_read_from_the_file(
    store: LocalBaseStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = store.search(directions(6)[1], 8)
    monkeypatch.setattr(dense, "HELD_VECTORS", 100)
    other = LocalBaseStore(tmp_path / "base")
    assert [hit.chunk_id for hit in other.search(directions(6)[1], 8)] == [hit.chunk_id for hit in expected]
    take_in(other, 60)
    assert best(other, 60) == ("60.txt", 1.0) and other.verify().problems == ()
    compact(other, tmp_path / "base")
    assert best(other, 60) == ("60.txt", 1.0)
    other.close()


def test_a_rebuild_mends_what_searches_use(store: LocalBaseStore, tmp_path: Path) -> None:
    compact(store, tmp_path / "base")
    harmed = sqlite3.connect(tmp_path / "base" / "base.sqlite3")
    harmed.execute("INSERT INTO lexical (lexical, rowid, words) VALUES ('delete', 3, 'word')")
    harmed.execute("DELETE FROM words WHERE chunk_id = 5")
    harmed.execute("UPDATE words SET words = 'otherwise' WHERE chunk_id = 6")
    harmed.execute("UPDATE meta SET value = 7 WHERE key = 'visible_chunks'")
    harmed.commit()
    harmed.close()
    problems = " ".join(store.verify().problems)
    assert all(said in problems for said in ("lexical index", "chunk 5 has no words", "7 chunks are said"))
    steps: list[str] = []
    store.rebuild(lambda step, done, total: steps.append(step))
    assert store.verify().problems == () and set(steps) == {"words", "lexical", "snapshot"}
    assert store.index_state().generation == 2 and store.counts().chunks == 600
    assert len(store.search_words("word", 1000).hits) == 600 and best(store, 3) == ("3.txt", 1.0)


def test_the_scale_of_cosines_is_measured_with_a_snapshot(store: LocalBaseStore, tmp_path: Path) -> None:
    assert store.cosine_scale().measured_on == 0
    compact(store, tmp_path / "base")
    scale = store.cosine_scale()
    assert scale.measured_on == 600 and abs(scale.offset) < 0.05 and 0.5 < scale.scale < 1.0


def test_a_killed_compaction_leaves_the_old_snapshot(store: LocalBaseStore, tmp_path: Path) -> None:
    compact(store, tmp_path / "base")
    take_in(store, 70)
    for step in ("write_index", "rename", "_switch"):
        child = multiprocessing.get_context("spawn").Process(target=dying, args=(str(tmp_path / "base"), step))
        child.start()
        child.join()
        assert child.exitcode == -signal.SIGKILL
        assert store.index_state().generation == 1 and store.verify().problems == ()
        assert best(store, 70) == ("70.txt", 1.0)
    compact(store, tmp_path / "base")
    store.tidy()
    assert store.index_state().generation == 2 and store.verify().problems == ()


def dying(folder: str, step: str) -> None:
    """A compaction whose process is killed as a step begins."""
    import faiss

    def die(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    owner = {"write_index": faiss, "rename": Path, "_switch": compaction}[step]
    setattr(owner, step, die)
    compaction.compact(Connections(Path(folder, "base.sqlite3")), Path(folder))


def test_searching_processes_outlive_the_snapshot_that_they_opened(store: LocalBaseStore, tmp_path: Path) -> None:
    folder = tmp_path / "base"
    compact(store, folder)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.map(searching, [(str(folder), 20)] * 2, chunksize=1) == [True, True]
        running = pool.map_async(searching, [(str(folder), 200)] * 2, chunksize=1)
        for number in range(80, 82):
            take_in(store, number)
            assert store.compact()
            store.tidy()
        assert running.get(60) == [True, True]
    assert store.index_state().generation == 3 and store.verify().problems == ()


def searching(job: tuple[str, int]) -> bool:
    """Search again and again; whether each search found the chunk itself."""
    folder, times = job
    opened = LocalBaseStore(Path(folder))
    found = all(best(opened, turn % 12) == (f"{turn % 12}.txt", 1.0) for turn in range(times))
    opened.close()
    return found
