"""The runner alone: it ends only after everything that its engine has left behind."""

from __future__ import annotations

import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import psutil

from services.serving import children, logs
from services.serving.launch import Exit, Launch
from tests.fakes import patience

until = partial(patience.until, seconds=20)

NAMELESS = """
import subprocess, sys
sleeper = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(10000)"
subprocess.Popen([sys.executable, "-c", sleeper], start_new_session=True, env={})
import time; time.sleep(10000)
"""


def run(folder: Path, program: str, grace_s: float = 0.3) -> subprocess.Popen[bytes]:
    Launch([sys.executable, "-c", program], grace_s).write(folder)
    return children.spawn([sys.executable, "-m", "services.serving.runner", str(folder)], new_session=True)


def up(folder: Path) -> bool:
    return "up" in logs.tail(folder, 100)


def test_orphans_without_token_group_or_manners_end_with_the_runner(tmp_path: Path) -> None:
    runner = run(tmp_path, NAMELESS)
    until(lambda: up(tmp_path))
    family = psutil.Process(runner.pid).children(recursive=True)
    assert family
    runner.terminate()
    assert runner.wait(20) == 0
    assert not [process for process in family if process.is_running()]


def test_an_engine_that_ignores_the_request_to_end_is_killed_after_its_grace(tmp_path: Path) -> None:
    runner = run(
        tmp_path, "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(9999)"
    )
    until(lambda: up(tmp_path))
    runner.send_signal(signal.SIGTERM)
    runner.send_signal(signal.SIGHUP)
    assert runner.wait(20) == 0
    ending = Exit.read(tmp_path)
    assert ending and (ending.exit_code, ending.signal) == (None, "SIGKILL")


def test_how_an_engine_ended_by_itself_is_written_down(tmp_path: Path) -> None:
    assert run(tmp_path, "print('last words', end=''); raise SystemExit(7)").wait(20) == 0
    ending = Exit.read(tmp_path)
    assert ending and (ending.exit_code, ending.signal) == (7, None)
    assert logs.tail(tmp_path, 5) == ["last words"]


def test_a_program_that_is_missing_is_named(tmp_path: Path) -> None:
    Launch(["/no/such/program"], 1).write(tmp_path)
    children.spawn([sys.executable, "-m", "services.serving.runner", str(tmp_path)], new_session=True).wait(20)
    ending = Exit.read(tmp_path)
    assert ending and ending.exit_code == 127
    assert logs.last_meaningful(tmp_path) == "error: /no/such/program cannot be run: No such file or directory"


def test_what_is_told_to_the_runner_is_for_the_owner_alone(tmp_path: Path) -> None:
    Launch(["serve", "--api-key", "s3cret"], 1).write(tmp_path)
    assert [path.stat().st_mode & 0o077 for path in tmp_path.iterdir()] == [0]
