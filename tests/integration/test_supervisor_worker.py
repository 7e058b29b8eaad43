"""Servers outlive the worker that started them: the real worker is killed, and the next one adopts them all."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.app import Services, bootstrap
from services.core.settings import load
from services.health import worker_status
from services.serving import children
from services.serving.states import READY, STOPPED
from services.store.servers import ServerRecord
from tests.fakes.engine import MODEL
from tests.integration.test_worker import start, until, working

NAMES = ("one", "two", "three")
PROGRAM = """#!/bin/sh
# vllm serve MODEL --host HOST --port PORT …
exec {python} -m tests.fakes.engine --fork-children --port "$6"
"""


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    joined = bootstrap(load(home=tmp_path, embedded=False))
    yield joined
    for row in joined.servers.list():
        children.send(children.owned(None, row.launch_token) if row.launch_token else [], 9)
    joined.close()


def create(services: Services, program: Path, name: str) -> None:
    services.servers.create(name, "vllm", {"model": MODEL, "program": str(program)})
    services.servers.start(name)


def rows(services: Services) -> list[ServerRecord]:
    return [services.servers.show(name) for name in NAMES]


def pids(services: Services) -> list[list[int]]:
    """Every process of each server."""
    return [sorted(process.pid for process in children.owned(None, row.launch_token)) for row in rows(services)]


def test_a_killed_worker_loses_no_server_and_the_next_one_restarts_none(services: Services, tmp_path: Path) -> None:
    program = tmp_path / "vllm"
    program.write_text(PROGRAM.format(python=sys.executable))
    program.chmod(0o755)
    first = start(services.settings.home)
    try:
        for name in NAMES:
            create(services, program, name)
        until(lambda: all(row.state == READY for row in rows(services)))
    finally:
        first.kill()  # SIGKILL
        first.wait()
    before, processes = rows(services), pids(services)
    assert [len(each) for each in processes] == [4, 4, 4]
    with working(services.settings.home) as second:
        until(lambda: worker_status(services).running and worker_status(services).pid == second.pid)
        create(services, program, "proof")
        until(lambda: services.servers.show("proof").state == READY)  # the second worker looks after servers
        assert rows(services) == before and pids(services) == processes
        assert [services.servers.models(row.id) for row in before] == [[MODEL]] * 3
        for name in (*NAMES, "proof"):
            services.servers.stop(name)
        until(lambda: all(row.state == STOPPED for row in services.servers.list()))
    assert all(children.owned(None, row.launch_token) == [] for row in before)
