"""Several processes on one base: what one publishes the others find, and a kill leaves nothing half done."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from services.knowledge.index.local import LocalBaseStore
from services.knowledge.types import DocumentState, Extracted
from tests.contract.base_store_steps import EMBEDDER, content, found, ingest, key_of, pieces

context = multiprocessing.get_context("spawn")
KILLS = 20
DEADLINE_S = 60.0
VERSIONS = 5
OPENERS = 3
NEW_BASES = 30
NAMES = tuple(f"{number}.txt" for number in range(4))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalBaseStore]:
    opened = LocalBaseStore(tmp_path)
    yield opened
    opened.close()


def text_of(name: str, version: int) -> str:
    return f"{name} in version {version}. " * 12


def resume(store: LocalBaseStore, name: str, text: str) -> None:
    """Do what a worker does after a restart: every step again, each going on where the store says."""
    key = key_of(store.add(name, content(text)))
    if not store.current(key):
        return
    store.set_state(key, DocumentState.READING)
    store.write_text(key, Extracted(text, "text/plain"))
    row = store.document(key.document_id)
    if row is None or row.chunks is None:
        store.stage(key, pieces(text), ())
    while batch := store.unembedded(key, 2):
        vectors = EMBEDDER.encode_passages([chunk.text for chunk in batch])
        store.store_vectors(key, [chunk.chunk_id for chunk in batch], vectors)
    store.publish(key)


def write_for_ever(folder: Path, begun: Connection, version: int) -> None:
    store = LocalBaseStore(folder)
    begun.send("begun")
    while True:
        for name in NAMES:
            resume(store, name, text_of(name, version))
        version = (version + 1) % VERSIONS


def publish_one(folder: Path) -> None:
    store = LocalBaseStore(folder)
    ingest(store, "other.txt", "written elsewhere")
    store.close()


def open_new_ones(folder: Path, together: Barrier) -> None:
    for number in range(NEW_BASES):
        together.wait(DEADLINE_S)
        store = LocalBaseStore(folder / f"{number}")
        store.add("a.txt", content("one"))
        store.close()


def remove_one(folder: Path) -> None:
    store = LocalBaseStore(folder)
    store.remove(store.documents()[0].document_id)
    store.close()


def found_by_name(store: LocalBaseStore) -> dict[str, list[str]]:
    by_name: dict[str, list[str]] = {}
    for name, text in sorted(found(store, "version")):
        by_name.setdefault(name, []).append(text)
    return by_name


def run(target, *arguments: object) -> None:
    process = context.Process(target=target, args=arguments)
    process.start()
    process.join(DEADLINE_S)
    assert process.exitcode == 0


def test_what_another_process_publishes_or_removes_shows_in_the_next_search(
    store: LocalBaseStore, tmp_path: Path
) -> None:
    assert found(store, "x") == []
    run(publish_one, tmp_path)
    assert found(store, "x") == [("other.txt", "written elsewhere")]
    run(remove_one, tmp_path)
    assert found(store, "x") == []


def test_processes_that_open_a_new_base_at_once_make_one(tmp_path: Path) -> None:
    together = context.Barrier(OPENERS)
    processes = [context.Process(target=open_new_ones, args=(tmp_path, together)) for _ in range(OPENERS)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(DEADLINE_S)
    assert [process.exitcode for process in processes] == [0] * OPENERS


def test_a_writer_killed_at_any_moment_leaves_every_law_kept(store: LocalBaseStore, tmp_path: Path) -> None:
    chance = random.Random(7)
    for _ in range(KILLS):
        ours, theirs = context.Pipe()
        writer = context.Process(target=write_for_ever, args=(tmp_path, theirs, chance.randrange(VERSIONS)))
        writer.start()
        assert ours.poll(DEADLINE_S) and ours.recv() == "begun"
        threading.Event().wait(chance.uniform(0.0, 0.25))
        assert writer.pid is not None
        os.kill(writer.pid, signal.SIGKILL)
        writer.join(DEADLINE_S)
        assert writer.exitcode == -signal.SIGKILL
        assert store.verify().problems == ()
        for name, texts in found_by_name(store).items():
            assert texts in [sorted(piece.text for piece in pieces(text_of(name, v))) for v in range(VERSIONS)]
    for name in NAMES:
        resume(store, name, text_of(name, 1))
    assert store.pending() == []
    assert found_by_name(store) == {name: sorted(piece.text for piece in pieces(text_of(name, 1))) for name in NAMES}
    assert store.counts().chunks == store.counts().vectors == sum(len(pieces(text_of(name, 1))) for name in NAMES)
    assert store.verify().problems == ()
