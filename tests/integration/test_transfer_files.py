"""Zips and folders of this machine bring many files at once."""

from __future__ import annotations

import io
import shutil
import zipfile
from functools import partial
from pathlib import Path

import pytest

from services.core.errors import Encrypted
from services.core.transfer_errors import FolderEmptied, FolderNotAllowed, FolderNotFound, ZipRefused
from services.knowledge.types import DocumentState
from services.worker.folders import FolderKeeper
from tests.fakes import patience
from tests.fakes.library_desk import LEAVE, PUMP, Desk

until = partial(patience.until, seconds=30)


def packed(files: dict[str, bytes]) -> io.BytesIO:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    stream.seek(0)
    return stream


def test_each_file_in_a_zip_becomes_a_document(desk: Desk) -> None:
    base = desk.services.knowledge.create("Zipped")
    stream = packed(
        {
            "manuals/pump.txt": PUMP.encode(),
            "leave.txt": LEAVE.encode(),
            "__MACOSX/x.txt": b"x",
            ".hidden": b"x",
        }
    )
    outcomes = dict(desk.services.transfer.add_zip(base, "all.zip", stream))
    assert sorted(outcomes) == ["leave.txt", "manuals/pump.txt"]
    assert set(desk.settle(base).values()) == {DocumentState.READY}
    assert desk.found(base, "warranty pump") == PUMP


def test_old_chinese_names_in_a_zip_are_read(desk: Desk) -> None:
    base = desk.services.knowledge.create("Zipped")
    outcomes = dict(desk.services.transfer.add_zip(base, "all.zip", gbk_zip()))
    assert sorted(outcomes) == sorted(["员工手册/年假.txt", "设备/水泵.txt"])


def gbk_zip() -> io.BytesIO:
    """A zip whose names are GBK without the mark for UTF-8, as packers on a Chinese Windows write it."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, text in (("员工手册/年假.txt", LEAVE), ("设备/水泵.txt", PUMP)):
            archive.writestr(Gbk(name), text.encode())
    stream.seek(0)
    return stream


class Gbk(zipfile.ZipInfo):
    def _encodeFilenameFlags(self) -> tuple[bytes, int]:
        return self.filename.encode("gbk"), self.flag_bits & ~0x800


def test_what_is_wrong_with_one_file_in_a_zip_harms_no_other(desk: Desk) -> None:
    base = desk.services.knowledge.create("Zipped")
    stream = packed({"good.txt": PUMP.encode(), "../evil.txt": b"x", "broken.txt": b"A" * 5000})
    content = stream.getvalue().replace(b"A" * 100, b"B" * 100, 1)
    outcomes = dict(desk.services.transfer.add_zip(base, "all.zip", io.BytesIO(content)))
    codes = {name: getattr(outcome, "code", "ok") for name, outcome in outcomes.items()}
    assert codes == {"good.txt": "ok", "../evil.txt": "invalid_name", "broken.txt": "zip_refused"}
    assert desk.names(base) == ["good.txt"]


def test_a_zip_that_cannot_be_taken_apart_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    base = desk.services.knowledge.create("Zipped")
    for stream in (io.BytesIO(b"no zip"), packed({}), packed({".hidden": b"x"})):
        with pytest.raises(ZipRefused):
            desk.services.transfer.add_zip(base, "all.zip", stream)
    locked = packed({"a.txt": b"x"}).getvalue()
    flag = locked.index(b"PK\x01\x02") + 8
    locked = locked[:flag] + bytes([locked[flag] | 1]) + locked[flag + 1 :]
    [(name, outcome)] = desk.services.transfer.add_zip(base, "all.zip", io.BytesIO(locked))
    assert (name, type(outcome)) == ("a.txt", Encrypted)
    monkeypatch.setattr("services.knowledge.transfer.zips.MOST_BYTES", 10)
    with pytest.raises(ZipRefused):
        desk.services.transfer.add_zip(base, "all.zip", packed({"a.txt": b"x" * 11}))


def test_a_followed_folder_brings_new_changed_and_gone_files(desk: Desk) -> None:
    base, shelf = desk.services.knowledge.create("Shelf"), desk.roots / "shelf"
    (shelf / "手册").mkdir(parents=True)
    (shelf / "手册" / "泵.txt").write_text(PUMP)
    (shelf / "leave.txt").write_text(LEAVE)
    (shelf / ".hidden").write_text("x")
    (shelf / "outside.txt").symlink_to("/etc/hostname")
    folders = desk.services.transfer.folders
    folder = folders.follow(base, str(shelf))
    first = folders.sync(folder)
    assert first and (first.new, first.same) == (2, 0)
    assert sorted(desk.names(base)) == ["leave.txt", "手册/泵.txt"]
    desk.settle(base)
    second = folders.sync(folder)
    assert second and (second.new, second.changed, second.gone, second.same) == (0, 0, 0, 2)
    (shelf / "leave.txt").unlink()
    (shelf / "手册" / "泵.txt").write_text("The pump has a warranty of three years.")
    (shelf / "copy.txt").write_text("The pump has a warranty of three years.")
    third = folders.sync(folder)
    assert third and (third.new, third.changed, third.gone) == (1, 1, 1)
    desk.settle(base)
    assert sorted(desk.names(base)) == ["copy.txt", "手册/泵.txt"]
    # Two names of one content: the document stays while one of them does.
    (shelf / "copy.txt").unlink()
    folders.sync(folder)
    assert desk.names(base) == ["手册/泵.txt"]
    assert "three years" in desk.found(base, "warranty")


def test_a_folder_that_is_lost_or_empty_all_at_once_removes_nothing(desk: Desk) -> None:
    base, shelf = desk.services.knowledge.create("Shelf"), desk.roots / "shelf"
    shelf.mkdir()
    (shelf / "a.txt").write_text(PUMP)
    folders = desk.services.transfer.folders
    folder = folders.follow(base, str(shelf))
    folders.sync(folder)
    (shelf / "a.txt").unlink()
    with pytest.raises(FolderEmptied):
        folders.sync(folder)
    shutil.rmtree(shelf)
    with pytest.raises(FolderNotFound):
        folders.sync(folder)
    assert desk.names(base) == ["a.txt"]


def test_only_allowed_folders_are_followed(desk: Desk, tmp_path: Path) -> None:
    base = desk.services.knowledge.create("Shelf")
    (desk.roots / "way out").symlink_to(tmp_path)
    for path in (tmp_path, desk.roots / "way out", Path("/etc")):
        with pytest.raises(FolderNotAllowed):
            desk.services.transfer.folders.follow(base, str(path))
    with pytest.raises(FolderNotFound):
        desk.services.transfer.folders.follow(base, str(desk.roots / "nowhere"))


def test_a_file_whose_name_another_folder_has_is_refused_by_name(desk: Desk) -> None:
    base, folders = desk.services.knowledge.create("Shelf"), desk.services.transfer.folders
    for shelf in ("one", "two"):
        (desk.roots / shelf).mkdir()
        (desk.roots / shelf / "a.txt").write_text(shelf)
    folders.sync(folders.follow(base, str(desk.roots / "one")))
    found = folders.sync(folders.follow(base, str(desk.roots / "two")))
    assert found and [(name, code) for name, code, _ in found.refusals] == [("a.txt", "name_taken")]


def test_the_worker_takes_the_look_that_was_wished_for(desk: Desk) -> None:
    base, folders = desk.services.knowledge.create("Shelf"), desk.services.transfer.folders
    (desk.roots / "a.txt").write_text(PUMP)
    folder = folders.follow(base, str(desk.roots))
    folders.wish(folder)
    keeper = FolderKeeper(folders, desk.services.machine_id)
    keeper.tick()
    until(lambda: folders.states(base)[0].found is not None)
    keeper.close()
    [state] = folders.states(base)
    assert state.found and state.found.new == 1 and state.job and state.job.state == "done"
    (desk.roots / "a.txt").unlink()
    folders.wish(folder)
    keeper = FolderKeeper(folders, desk.services.machine_id)
    keeper.tick()
    until(lambda: folders.states(base)[0].job.state == "failed")  # type: ignore[union-attr]
    keeper.close()
    [state] = folders.states(base)
    assert state.job and state.job.error_code == "folder_emptied"
    desk.services.knowledge.delete("Shelf")
    desk.services.transfer.sweep()
    assert folders.rows.all(desk.services.machine_id) == []
