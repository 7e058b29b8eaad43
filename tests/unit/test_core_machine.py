"""Processes are known by pid and start time, machines by an id of their own."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from services.core.machine import Process, machine_id, this_process


def test_this_process_is_alive_and_its_pid_with_another_start_time_is_not() -> None:
    me = this_process()
    assert me.alive
    assert not Process(me.pid, me.started_at - 100).alive


def test_a_process_that_has_ended_is_not_alive_even_before_it_is_reaped() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process = Process(child.pid, psutil.Process(child.pid).create_time())
    before = process.alive
    assert child.stdin is not None
    child.stdin.close()
    while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    unreaped = process.alive
    child.wait()
    assert (before, unreaped, process.alive) == (True, False, False)


def test_the_machine_id_is_made_once_whoever_asks_first(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(lambda _: machine_id.__wrapped__(tmp_path), range(8)))
    assert len(ids) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["machine_id"]
