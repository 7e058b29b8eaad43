"""The host around the GPUs: shares come from two looks, and what cannot be read is None."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil
import pytest

from services.gpu.host import Host

NOW: Any = psutil.cpu_times()
NOTHING = NOW._replace(**dict.fromkeys(NOW._fields, 0.0))


def times(user: float, idle: float, *, iowait: float = 0.0, guest: float = 0.0) -> Any:
    """What the kernel has counted; `guest` is part of `user`."""
    return NOTHING._replace(user=user, idle=idle, iowait=iowait, guest=guest)


def shares(monkeypatch: pytest.MonkeyPatch, *looks: Any) -> list[float | None]:
    """The share in use at each look."""
    host, coming = Host(Path("/")), iter(looks)
    monkeypatch.setattr(psutil, "cpu_times", lambda: next(coming))
    return [host.read().cpu_percent for _ in looks]


def test_a_reading_is_of_this_machine(tmp_path: Path) -> None:
    reading = Host(tmp_path).read()
    assert reading.cpu_count == psutil.cpu_count()
    assert reading.memory_total_bytes == psutil.virtual_memory().total
    assert reading.memory_used_bytes and 0 < reading.memory_used_bytes < reading.memory_total_bytes
    assert reading.disk_total_bytes == psutil.disk_usage(str(tmp_path)).total
    assert reading.load_1m is not None and reading.load_1m >= 0


def test_one_look_at_a_counter_is_no_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shares(monkeypatch, times(900, 100), times(925, 175)) == [None, 25.0]


def test_waiting_for_a_disk_is_no_work_and_guests_count_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shares(monkeypatch, times(0, 0), times(10, 50, iowait=40)) == [None, 10.0]
    assert shares(monkeypatch, times(0, 0), times(40, 60, guest=40)) == [None, 40.0]


def test_counters_that_stand_still_or_go_back_tell_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = [times(10, 90), times(10, 90), times(5, 45), times(10, 40)]
    assert shares(monkeypatch, *looks) == [None, None, None, None]
    assert shares(monkeypatch, times(0, 90), times(20, 80)) == [None, 100.0]  # idle went back: never above a hundred


def test_a_folder_that_is_gone_leaves_the_disk_unknown(tmp_path: Path) -> None:
    reading = Host(tmp_path / "gone").read()
    assert (reading.disk_total_bytes, reading.disk_used_bytes, reading.disk_free_bytes) == (None, None, None)
    assert reading.memory_total_bytes
