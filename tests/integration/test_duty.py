"""A process that should always run is started again when it dies, and adopted when it lives already."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import psutil

from services.core.machine import Process
from services.serving.duty import Duty
from tests.fakes import patience

until = partial(patience.until, seconds=20)

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]


def test_a_killed_process_is_started_again(tmp_path: Path) -> None:
    duty = Duty("sleeper", lambda: SLEEPER, tmp_path / "log")
    assert duty.tick()
    first = duty.process
    assert first is not None and not duty.tick()
    psutil.Process(first.pid).kill()
    until(duty.tick)
    assert duty.process is not None and duty.process != first
    duty.stop()
    assert duty.process is None


def test_a_process_that_ignores_the_request_to_end_is_killed(tmp_path: Path) -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    )
    duty = Duty("stubborn", lambda: [sys.executable, "-c", stubborn], tmp_path / "log")
    duty.tick()
    until(lambda: "up" in (tmp_path / "log").read_text())
    process = duty.process
    duty.stop(grace_s=0.5)
    assert process is not None and not process.alive


def test_a_living_process_is_adopted_instead_of_started(tmp_path: Path) -> None:
    earlier = subprocess.Popen(SLEEPER)
    process = Process(earlier.pid, psutil.Process(earlier.pid).create_time())
    duty = Duty(
        "sleeper", lambda: [sys.executable, "-c", "raise SystemExit(9)"], tmp_path / "log", adopt=lambda: process
    )
    assert duty.tick() and duty.process == process
    earlier.kill()
    earlier.wait()
    assert duty.process is None


def test_what_it_prints_is_in_its_log(tmp_path: Path) -> None:
    duty = Duty("speaker", lambda: [sys.executable, "-c", "print('hello')"], tmp_path / "logs" / "log")
    duty.tick()
    until(lambda: duty.process is None)
    assert (tmp_path / "logs" / "log").read_text() == "hello\n"
