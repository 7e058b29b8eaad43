"""`verify` sees what must not be: here the file is damaged on purpose, behind the store's back."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from services.knowledge.index.local import LocalBaseStore
from tests.contract.base_store_steps import content, ingest, key_of, prepare

TEXT = "0123456789" * 10


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    store = LocalBaseStore(tmp_path)
    ingest(store, "ready.txt", TEXT)
    prepare(store, key_of(store.add("staged.txt", content("staged"))), "staged")
    ingest(store, "left.txt", "left")
    prepare(store, key_of(store.add("next.txt", content("next"))), "next")
    store.add("left.txt", content("next"))
    assert store.verify().problems == ()
    store.close()
    yield tmp_path


def problems_after(folder: Path, *statements: str, parameters: tuple[object, ...] = ()) -> str:
    connection = sqlite3.connect(folder / "base.sqlite3")
    for statement in statements:
        assert connection.execute(statement, parameters).rowcount > 0, statement
    connection.commit()
    connection.close()
    store = LocalBaseStore(folder)
    try:
        return "\n".join(store.verify().problems)
    finally:
        store.close()


def test_a_report_counts_what_is_visible(folder: Path) -> None:
    store = LocalBaseStore(folder)
    report = store.verify()
    store.close()
    assert (report.documents, report.chunks, report.vectors, report.originals) == (3, 6, 6, 0)
    assert (report.problems, report.mended) == ((), ())


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("DELETE FROM vectors WHERE chunk_id = 2", "5 chunks made, 5 stored, 4 vectors"),
        ("DELETE FROM chunks WHERE chunk_id = 2", "5 chunks made, 4 stored, 4 vectors"),
        ("UPDATE revisions SET chunks = 6 WHERE chunks = 5", "6 chunks made, 5 stored, 5 vectors"),
        ("DELETE FROM chunks WHERE chunk_id = 2", "vectors row 2 belongs to nothing in chunks"),
        ("UPDATE vectors SET vector = zeroblob(256) WHERE chunk_id = 3", "chunk 3 does not have length 1"),
        ("UPDATE chunks SET text = 'x' WHERE chunk_id = 3", "chunk 3 differs from its text"),
        ("UPDATE chunks SET start = start + 1 WHERE chunk_id = 3", "chunk 3 differs from its text"),
        ("UPDATE chunks SET shown_start = 45, shown_end = 50 WHERE chunk_id = 3", "a stretch that does not hold it"),
        ("DELETE FROM texts WHERE length(text) = 100", "has chunks but no text"),
        ("UPDATE revisions SET state = 'failed' WHERE state = 'embedding'", "chunks without need"),
        ("DELETE FROM revisions WHERE chunks = 5", "belongs to nothing in revisions"),
        ("UPDATE documents SET newest = 9 WHERE answering IS NULL", "has lost its newest revision"),
        ("UPDATE documents SET answering = 9 WHERE answering IS NOT NULL", "answers with revision 9 (None)"),
        ("DELETE FROM names WHERE name = 'ready.txt'", "has no name"),
        ("UPDATE revisions SET state = 'embedding' WHERE chunks = 5", "(embedding): 5 chunks made"),
        (
            "INSERT INTO revisions (document_id, revision, attempt, sha256, size_bytes, state, created_at_ms,"
            " updated_at_ms) SELECT document_id, 7, 1, '', 0, 'failed', 0, 0 FROM documents",
            "keeps revision 7 without need",
        ),
    ],
)
def test_what_is_wrong_is_said(folder: Path, statement: str, problem: str) -> None:
    assert problem in problems_after(folder, statement)


def test_a_vector_that_is_not_a_number_is_found(folder: Path) -> None:
    broken = np.full(64, np.nan, np.float32).tobytes()
    found = problems_after(folder, "UPDATE vectors SET vector = ? WHERE chunk_id = 3", parameters=(broken,))
    assert found == "the vector of chunk 3 does not have length 1"


def test_a_search_index_that_missed_a_change_is_found(folder: Path) -> None:
    store = LocalBaseStore(folder)
    assert store.verify().problems == ()
    behind = sqlite3.connect(folder / "base.sqlite3")
    behind.execute("PRAGMA foreign_keys = ON")
    behind.execute("DELETE FROM chunks WHERE chunk_id = 2")
    behind.commit()
    behind.close()
    assert "searches look at 6 vectors, but 5 are visible" in store.verify().problems
    store.close()
