"""Originals lie under their hash; names never become paths."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from services.core.errors import InvalidName, TooLarge
from services.knowledge.originals import Originals, clean_name


def test_the_same_content_is_stored_once_under_its_hash(tmp_path: Path) -> None:
    originals = Originals(tmp_path)
    first = originals.store("a.txt", io.BytesIO(b"hello"), 100)
    second = originals.store("b.txt", io.BytesIO(b"hello"), 100)
    assert first == second and first.size_bytes == 5
    assert originals.path(first.sha256).read_bytes() == b"hello"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [originals.path(first.sha256)]


def test_a_file_over_the_limit_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(TooLarge):
        Originals(tmp_path).store("big", io.BytesIO(b"x" * 3_000_000), 2_000_000)
    assert list(tmp_path.iterdir()) == []


def test_a_stream_that_breaks_leaves_nothing_behind(tmp_path: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        Originals(tmp_path).store("x", Broken(), 100)
    assert list(tmp_path.iterdir()) == []


def test_missing_and_changed_originals_are_found(tmp_path: Path) -> None:
    originals = Originals(tmp_path)
    kept, changed = (originals.store("n", io.BytesIO(text), 100) for text in (b"kept", b"changed"))
    originals.path(changed.sha256).write_bytes(b"other")
    wanted = [kept.sha256, changed.sha256, "0" * 64]
    assert originals.missing_or_changed(wanted) == [changed.sha256, "0" * 64]


def test_sweeping_takes_old_files_that_nobody_needs(tmp_path: Path) -> None:
    originals = Originals(tmp_path)
    kept, old, fresh = (originals.store("n", io.BytesIO(text), 100) for text in (b"kept", b"old", b"fresh"))
    for original in (kept, old):
        os.utime(originals.path(original.sha256), (0, 0))
    assert originals.sweep({kept.sha256}, older_than_s=60) == 1
    assert originals.path(kept.sha256).exists() and originals.path(fresh.sha256).exists()
    assert not originals.path(old.sha256).exists()


@pytest.mark.parametrize(
    "name",
    ["", "  ", "../etc/passwd", "a/../../b", "/etc/passwd", "a//b", "~root/x", "a\x00b", "a\nb", "..\\x", "x" * 300],
)
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(InvalidName) as refused:
        clean_name(name)
    assert "\x00" not in refused.value.render().message and "\n" not in refused.value.render().message


def test_good_names_stay_and_are_composed() -> None:
    assert clean_name("报告/第一章.pdf") == "报告/第一章.pdf"
    assert clean_name("cafe\u0301.txt") == "café.txt"
    assert clean_name("a\\b.txt") == "a/b.txt"
