"""Processes are known by pid and start time, machines by an id of their own."""

from __future__ import annotations

import subprocess
import sys
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
    assert process.alive
    assert child.stdin is not None
    child.stdin.close()
    psutil.wait_procs([], timeout=0)
    while psutil.pid_exists(child.pid) and psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
        pass
    assert not process.alive
    child.wait()
    assert not process.alive


def test_the_machine_id_is_made_once_whoever_asks_first(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(lambda _: machine_id.__wrapped__(tmp_path), range(8)))
    assert len(ids) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["machine_id"]
