"""The worker as a real process: it makes wishes true, and a kill at any moment loses nothing."""

from __future__ import annotations

import io
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest

from services.app import Services, bootstrap
from services.core.settings import load
from services.health import worker_status
from services.knowledge.chunking.protocol import ChunkerSpec
from services.knowledge.types import DocumentState
from tests.fakes import patience

until = partial(patience.until, seconds=90)

ROOT = Path(__file__).resolve().parents[2]
TEXT = "The pond of garden {n} was dug in {year} and holds koi. Dogs are kept on a lead there. "


def start(home: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "services", "worker", "--no-embedded"]
    with (home / "worker.out").open("ab") as log:
        return subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, "LECTERN_HOME": str(home)}, stdout=log, stderr=log
        )


@contextmanager
def working(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = start(home)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    joined = bootstrap(load(home=tmp_path, embedded=False))
    yield joined
    joined.close()


def fill(services: Services, files: int, repeat: int = 8) -> None:
    base = services.knowledge.create("Garden", ChunkerSpec(size=200, overlap=20))
    for number in range(files):
        text = "".join(TEXT.format(n=number, year=1900 + number + line) for line in range(repeat))
        services.knowledge.add(base, f"garden-{number}.txt", io.BytesIO(text.encode()))


def states(services: Services) -> list[DocumentState]:
    return [row.state for row in services.knowledge.documents(services.knowledge.base("Garden"))]


def test_files_become_ready_and_the_worker_says_that_it_lives(services: Services) -> None:
    fill(services, 3)
    assert not worker_status(services).running
    with working(services.settings.home) as process:
        until(lambda: set(states(services)) == {DocumentState.READY})
        status = worker_status(services)
        assert status.running and status.pid == process.pid
    assert not worker_status(services).running
    report = services.knowledge.verify("Garden")
    assert report.problems == () and report.documents == 3


def test_a_second_worker_refuses_to_start(services: Services) -> None:
    home = services.settings.home
    with working(home):
        until(lambda: worker_status(services).running)
        second = subprocess.run(
            [sys.executable, "-m", "services", "worker", "--no-embedded", "--json"],
            cwd=ROOT,
            env={**os.environ, "LECTERN_HOME": str(home)},
            capture_output=True,
            timeout=60,
        )
    assert second.returncode == 1
    assert json.loads(second.stderr)["code"] == "already_running"


def test_kills_at_random_moments_lose_nothing_and_double_nothing(services: Services) -> None:
    fill(services, 6, repeat=12)
    chance = random.Random(7)
    kills = 0
    while not all(state.settled for state in states(services)) and kills < 12:
        process = start(services.settings.home)
        until(lambda: worker_status(services).running or all(state.settled for state in states(services)))
        time.sleep(chance.uniform(0.2, 2.5))
        psutil.Process(process.pid).kill()
        process.wait()
        kills += 1
    with working(services.settings.home):
        until(lambda: set(states(services)) == {DocumentState.READY})
    report = services.knowledge.verify("Garden")
    assert report.problems == () and report.documents == 6 and report.chunks == report.vectors
    assert kills >= 2


def test_a_lost_queue_loses_no_wish(services: Services) -> None:
    fill(services, 2)
    with working(services.settings.home):
        until(lambda: set(states(services)) == {DocumentState.READY})
    for path in services.settings.home.glob("jobs.sqlite3*"):
        path.unlink()
    base = services.knowledge.base("Garden")
    services.knowledge.add(base, "late.txt", io.BytesIO(b"The gate closes at six."))
    with working(services.settings.home):
        until(lambda: set(states(services)) == {DocumentState.READY})
    assert services.knowledge.verify("Garden").documents == 3


def test_a_failed_file_can_be_tried_again(services: Services) -> None:
    base = services.knowledge.create("Garden")
    services.knowledge.add(base, "empty.txt", io.BytesIO(b" "))
    with working(services.settings.home):
        until(lambda: states(services) == [DocumentState.FAILED])
        assert services.knowledge.retry(base, "empty.txt")
        until(lambda: services.knowledge.documents(base)[0].attempt == 2 and states(services)[0].settled)
    assert states(services) == [DocumentState.FAILED]


def test_a_deleted_base_loses_its_files_even_while_it_is_filled(services: Services) -> None:
    fill(services, 5)
    folder = services.settings.layout.base(services.knowledge.base("Garden").id)
    with working(services.settings.home):
        until(lambda: DocumentState.EMBEDDING in states(services) or DocumentState.READY in states(services))
        services.knowledge.delete("Garden")
        until(lambda: not folder.exists())
        assert worker_status(services).running
    assert services.knowledge.bases() == []
