"""A whole base goes out as one file, and comes back as it was or not at all."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import zipfile
from pathlib import Path

import pytest

from services.core.errors import NameTaken
from services.core.transfer_errors import ArchiveRefused
from services.knowledge.index.local import LocalBaseStore
from services.knowledge.transfer import arrivals
from services.knowledge.types import DocumentState
from tests.fakes.library_desk import LEAVE, PUMP, Desk


def rewritten(archive: Path, wanted: dict[str, bytes | None]) -> Path:
    """A copy of an archive in which members have another content, or are gone."""
    target = archive.with_name("changed.zip")
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(target, "w") as new:
        for name in {*old.namelist(), *wanted}:
            content = wanted[name] if name in wanted else old.read(name)
            if content is not None:
                new.writestr(name, content)
    return target


def test_a_base_goes_out_and_comes_back_as_it_was(desk: Desk, tmp_path: Path) -> None:
    base = desk.base("Manuals", pump=PUMP, leave=LEAVE)
    archives, seen = desk.services.transfer.archives, []
    written = archives.write(base, tmp_path / "manuals.zip", lambda done, total: seen.append((done, total)))
    assert (written.documents, written.chunks, written.originals) == (2, 2, 2)
    assert seen[-1][0] == seen[-1][1] > 0
    with pytest.raises(NameTaken):
        archives.read(written.path)
    again = archives.read(written.path, "Manuals 2")
    assert desk.found(again, "warranty of the pump") == PUMP
    assert desk.names(again) == desk.names(base)
    report = desk.services.knowledge.verify("Manuals 2")
    assert (report.documents, report.problems) == (2, ())
    # What comes later goes into the copy alone.
    desk.services.knowledge.remove(again, "pump.txt")
    assert len(desk.names(base)) == 2


def test_an_archive_brings_along_what_was_not_ready(desk: Desk, tmp_path: Path) -> None:
    base = desk.base("Manuals", pump=PUMP)
    desk.services.knowledge.add(base, "leave.txt", io.BytesIO(LEAVE.encode()))
    archives = desk.services.transfer.archives
    again = archives.read(archives.write(base, tmp_path / "a.zip").path, "Later")
    assert desk.settle(again) == {"leave.txt": DocumentState.READY, "pump.txt": DocumentState.READY}


def test_what_is_no_sound_archive_is_refused_and_leaves_nothing(desk: Desk, tmp_path: Path) -> None:
    archives = desk.services.transfer.archives
    archive = archives.write(desk.base("Manuals", pump=PUMP), tmp_path / "a.zip").path
    original = next(name for name in zipfile.ZipFile(archive).namelist() if name.startswith("originals/"))
    foreign = tmp_path / "foreign.sqlite3"
    with zipfile.ZipFile(archive) as content:
        foreign.write_bytes(content.read("base.sqlite3"))
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TRIGGER bad AFTER INSERT ON names BEGIN DELETE FROM documents; END")
    connection.close()
    sheet = json.loads(zipfile.ZipFile(archive).read("lectern-base.json"))
    torn = tmp_path / "torn.zip"
    torn.write_bytes(archive.read_bytes()[:-200])
    text = tmp_path / "text.zip"
    text.write_text("no zip")
    changes: list[dict[str, bytes | None]] = [
        {original: b"other content"},
        {original: None},
        {"base.sqlite3": foreign.read_bytes()},
        {"base.sqlite3": b"SQLite format 3\0 nonsense" * 100},
        {"base.sqlite3": None},
        {"../../evil": b"x"},
        {"lectern-base.json": None},
        {"lectern-base.json": json.dumps({**sheet, "format": 99}).encode()},
        {"lectern-base.json": json.dumps({**sheet, "documents": 7}).encode()},
    ]
    before = sorted(path.name for path in desk.services.settings.layout.bases.iterdir())
    for number, change in enumerate(changes):
        with pytest.raises(ArchiveRefused):
            archives.read(rewritten(archive, change), f"Copy {number}")
    for path in (torn, text):
        with pytest.raises(ArchiveRefused):
            archives.read(path, "Copy")
    assert sorted(path.name for path in desk.services.settings.layout.bases.iterdir()) == before
    assert [summary.base.name for summary in desk.services.knowledge.bases()] == ["Manuals"]


def test_an_export_into_a_folder_that_cannot_be_written_to_says_so(desk: Desk, tmp_path: Path) -> None:
    base = desk.base("Manuals", pump=PUMP)
    with pytest.raises(ArchiveRefused):
        desk.services.transfer.archives.write(base, tmp_path / "nowhere" / "a.zip")
    (tmp_path / "file").touch()
    with pytest.raises(ArchiveRefused):
        desk.services.transfer.archives.write(base, tmp_path / "file" / "a.zip")


def test_what_a_killed_import_left_is_swept_when_it_is_old(desk: Desk) -> None:
    bases = desk.services.settings.layout.bases
    old, fresh = bases / f"{arrivals.PREFIX}old", bases / f"{arrivals.PREFIX}fresh"
    for folder in (old, fresh):
        folder.mkdir()
    os.utime(old, (0, 0))
    desk.services.transfer.sweep()
    assert (old.exists(), fresh.exists()) == (False, True)


def test_a_copy_of_a_database_opens_as_a_base(desk: Desk, tmp_path: Path) -> None:
    base = desk.base("Manuals", pump=PUMP)
    desk.services.stores.of(base).copy_to(tmp_path)
    copy = LocalBaseStore(tmp_path)
    assert copy.counts().documents == 1
    copy.close()
