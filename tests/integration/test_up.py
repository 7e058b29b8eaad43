"""`up`, `down` and `status` as real processes: both children come back when they are killed, and end when told to."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]


def until(condition: Callable[[], Any], seconds: float = 90) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.2)
    return found


class Installation:
    """One home, and the command line over it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])

    def begin(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "services", "up", "--no-embedded", "--port", str(self.port)],
            cwd=ROOT,
            env={**os.environ, "LECTERN_HOME": str(self.home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *words: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "services", *words, "--json"],
            cwd=ROOT,
            env={**os.environ, "LECTERN_HOME": str(self.home)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        return json.loads(done.stdout or done.stderr)

    def both_run(self) -> dict[str, Any] | None:
        status = self.run("status")
        return status if status["web"]["running"] and status["worker"]["running"] else None

    def web_pid(self) -> int:
        return int(json.loads((self.home / "run" / "web.json").read_text())["pid"])

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=5) as answer:
                return bool(json.load(answer)["worker"]["running"])
        except OSError:
            return False


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    made = Installation(tmp_path)
    yield made
    made.run("down", "--all")


def test_killed_children_come_back_and_down_ends_everything(installation: Installation) -> None:
    up = installation.begin()
    assert up.stdout is not None
    assert f"http://127.0.0.1:{installation.port}" in up.stdout.readline()
    first = until(installation.both_run)
    assert first["web"]["url"] == f"http://127.0.0.1:{installation.port}"

    web, worker = installation.web_pid(), first["worker"]["pid"]
    told = [psutil.Process(pid).environ().get("LECTERN_EMBEDDED") for pid in (web, worker)]
    assert told == ["false", "false"], "pages would wait for a model that nobody fetches"
    psutil.Process(web).kill()
    psutil.Process(worker).kill()
    second = until(lambda: (s := installation.both_run()) and s["worker"]["pid"] != worker and s)
    until(installation.answers)
    assert installation.web_pid() != web
    assert second["web"]["url"] == first["web"]["url"]

    again = installation.run("up", "--no-embedded")
    assert again == {"url": first["web"]["url"], "already_running": True}

    pids = [up.pid, installation.web_pid(), second["worker"]["pid"]]
    assert "up" in installation.run("down")["ended"]
    up.wait(30)
    assert not any(psutil.pid_exists(pid) for pid in pids)
    status = installation.run("status")
    assert (status["web"]["running"], status["worker"]["running"]) == (False, False)


def test_a_new_parent_adopts_what_the_killed_one_has_left(installation: Installation) -> None:
    up = installation.begin()
    before = until(installation.both_run)
    web = installation.web_pid()
    up.kill()
    up.wait()
    assert installation.both_run()
    heir = installation.begin()
    assert heir.stdout is not None
    assert before["web"]["url"] in heir.stdout.readline()
    after = until(installation.both_run)
    assert (after["worker"]["pid"], installation.web_pid()) == (before["worker"]["pid"], web)
    heir.send_signal(signal.SIGINT)
    heir.wait(60)
    assert not psutil.pid_exists(web) and not psutil.pid_exists(before["worker"]["pid"])


def test_a_busy_port_makes_it_take_the_next(installation: Installation) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", installation.port))
        taken.listen()
        up = installation.begin()
        assert up.stdout is not None
        line = up.stdout.readline()
        assert "http://127.0.0.1:" in line and f":{installation.port}" not in line
        up.send_signal(signal.SIGTERM)
        up.wait(60)


def test_doctor_finds_nothing_wrong_and_names_what_is_missing(installation: Installation) -> None:
    rows = {row["subject"]: row for row in installation.run("doctor")}
    assert {row["level"] for row in rows.values()} <= {"ok", "note"}, rows
    assert rows["worker"]["level"] == "note" and rows["worker"]["remedy"]
    assert "384" in rows["embedder"]["message"]
