"""What the file or the disk refuse arrives as an error that people can read."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

import pytest

from services.core.errors import AppError, DatabaseUnavailable, DiskFull
from services.knowledge.index.local import LocalBaseStore
from services.knowledge.index.local.connections import Connections, connect, gate
from services.knowledge.index.local.schema import MIGRATIONS, migrate
from tests.contract.base_store_steps import content, found, ingest


def test_a_disk_without_room_is_said(tmp_path: Path) -> None:
    connection = connect(tmp_path / "base.sqlite3")
    connection.execute("CREATE TABLE t (x)")
    connection.execute("PRAGMA max_page_count = 3")
    with pytest.raises(DiskFull) as caught, gate(tmp_path / "base.sqlite3"):
        connection.execute("INSERT INTO t VALUES (zeroblob(100000))")
    assert caught.value.params["path"] == str(tmp_path)
    connection.close()


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, DiskFull), (errno.EDQUOT, DiskFull), (errno.EACCES, DatabaseUnavailable)]
)
def test_what_the_system_refuses_is_said(tmp_path: Path, number: int, kind: type[AppError]) -> None:
    with pytest.raises(kind), gate(tmp_path / "base.sqlite3"):
        raise OSError(number, os.strerror(number))


def test_a_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    (tmp_path / "base.sqlite3").write_bytes(b"this is a text " * 1000)
    with pytest.raises(DatabaseUnavailable, match="the file is no database"):
        LocalBaseStore(tmp_path)


def test_a_damaged_file_is_said(tmp_path: Path) -> None:
    store = LocalBaseStore(tmp_path)
    for number in range(40):
        ingest(store, f"{number}.txt", f"{number} " * 200)
    store.close()
    path = tmp_path / "base.sqlite3"
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + b"\xff" * (len(whole) - 8192))
    # Where the damage shows depends on which pages hold the schema: while opening, or in the first search.
    with pytest.raises(DatabaseUnavailable, match="the file is damaged"):
        found(LocalBaseStore(tmp_path), "x")


def test_a_file_held_by_another_program_is_said(tmp_path: Path) -> None:
    connections = Connections(tmp_path / "base.sqlite3")
    migrate(connections)
    other = sqlite3.connect(connections.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with connections.bare() as connection:
        connection.execute("PRAGMA busy_timeout = 50")
    with pytest.raises(DatabaseUnavailable, match="locked by another program"), connections.writing():
        pytest.fail("two writers at once")
    other.execute("ROLLBACK")
    other.close()
    with connections.writing() as connection:
        connection.execute("UPDATE meta SET value = 1")
    connections.close()


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseUnavailable):
        LocalBaseStore(tmp_path / "file" / "base")


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = LocalBaseStore(tmp_path)
    store.close()
    with pytest.raises(DatabaseUnavailable, match="it was closed"):
        store.documents()


def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    LocalBaseStore(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "base.sqlite3")
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(DatabaseUnavailable, match="newer version"):
        LocalBaseStore(tmp_path)


def test_a_change_that_fails_leaves_nothing(tmp_path: Path) -> None:
    connections = Connections(tmp_path / "base.sqlite3")
    migrate(connections)
    with pytest.raises(KeyError), connections.writing() as connection:
        connection.execute("INSERT INTO meta VALUES ('half', 1)")
        raise KeyError
    with connections.reading() as connection:
        assert connection.execute("SELECT 1 FROM meta WHERE key = 'half'").fetchone() is None
    connections.close()


def test_what_was_stored_is_there_after_closing_and_opening(tmp_path: Path) -> None:
    store = LocalBaseStore(tmp_path)
    ingest(store, "a.txt", "one")
    before = store.documents()
    store.bind("fingerprint")
    store.close()
    again = LocalBaseStore(tmp_path)
    assert again.documents() == before and again.fingerprint() == "fingerprint"
    assert found(again, "one") == [("a.txt", "one")]
    assert again.add("a.txt", content("one")) == before[0]
    again.close()
