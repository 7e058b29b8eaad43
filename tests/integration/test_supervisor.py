"""Wishes become servers, and servers become nothing again: real processes of a fake engine."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from services.core.errors import IllegalTransition
from services.core.paths import Layout
from services.gpu.readings import Snapshot
from services.serving import children, logs
from services.serving.service import ServerService
from services.serving.states import FAILED, READY, REST, RUN, STARTING, STOPPED, STOPPING, check_move
from services.serving.supervisor import Patience, Supervisor
from services.store import StateStore
from services.store.servers import ServerRecord
from tests.conftest import living_children
from tests.fakes.engine import MODEL, FakeEngine
from tests.fakes.processes import command_lines

HERE = "here"
ENGINES = {"fake": FakeEngine()}
PATIENCE = Patience(grace_s=0.7, readiness_s=0.05, first_restart_s=0.1, longest_restart_s=0.4, attempts=3)
PROGRAM = """
import sys, time
from tests.integration.test_supervisor import Desk
from tests.fakes.processes import command_lines
desk = Desk(sys.argv[1])
while True:
    desk.supervisor.tick()
    time.sleep(0.05)
"""


class Desk:
    """A state database, its supervisor, and what an operator does."""

    def __init__(self, home: str | Path) -> None:
        self.layout = Layout(Path(home))
        self.layout.create()
        self.store = StateStore(f"sqlite:///{self.layout.state_db}")
        self.service = ServerService(self.store.servers, self.layout, machine_id=HERE, engines=ENGINES)
        self.snapshot: Snapshot | None = None
        self.supervisor = self.new_supervisor()
        self.tokens: set[str] = set()

    def new_supervisor(self) -> Supervisor:
        return Supervisor(
            self.store.servers,
            self.layout,
            machine_id=HERE,
            engines=ENGINES,
            patience=PATIENCE,
            snapshot=lambda: self.snapshot,
        )

    def wish(self, *flags: str, name: str = "one", **spec: Any) -> ServerRecord:
        return self.store.servers.create(
            machine_id=HERE,
            name=name,
            engine="fake",
            model=MODEL,
            spec={"model": MODEL, "flags": list(flags), **spec},
            managed=True,
            wish=RUN,
            state=STOPPED,
        )

    def row(self, name: str = "one") -> ServerRecord:
        row = self.service.show(name)
        if row.launch_token:
            self.tokens.add(row.launch_token)
        return row

    def until(self, done: Callable[[ServerRecord], object], name: str = "one", seconds: float = 30) -> ServerRecord:
        deadline = time.monotonic() + seconds
        while not done(self.row(name)):
            assert time.monotonic() < deadline, self.row(name)
            self.supervisor.tick()
            time.sleep(0.02)
        return self.row(name)

    def until_state(self, state: str, name: str = "one") -> ServerRecord:
        return self.until(lambda row: row.state == state, name)

    def processes(self, row: ServerRecord) -> list[psutil.Process]:
        return children.owned(None, row.launch_token)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    end(desk)


def end(desk: Desk) -> None:
    """Leave nothing behind."""
    for row in desk.service.list():
        desk.row(row.name)
    desk.supervisor.close()
    for token in desk.tokens:
        children.send(children.owned(None, token), signal.SIGKILL)
    desk.store.close()


def engine_of(desk: Desk, row: ServerRecord) -> psutil.Process:
    return next(process for process, words in command_lines(desk.processes(row)).items() if "--port" in words)


def open_files() -> int:
    return psutil.Process().num_fds()


def test_a_wished_server_answers_and_a_stopped_one_leaves_nothing(
    desk: Desk, other_children: set[psutil.Process]
) -> None:
    desk.wish("--slow-start", "0.3")
    ready = desk.until_state(READY)
    assert ready.url == f"http://127.0.0.1:{ready.port}/v1" and ready.error_code is None
    assert children.alive(ready.pid, ready.process_started_at)
    assert desk.service.models("one") == [MODEL]
    result = desk.service.smoke_test("one")
    assert (result.answer, result.model) == ("Hello there.", MODEL)
    assert 0 < result.first_token_ms <= result.latency_ms
    before = open_files()
    for _ in range(2):
        desk.service.stop("one")
        stopped = desk.until_state(STOPPED)
        assert desk.processes(ready) == [] and children.port_is_free(ready.port or 0)
        assert (stopped.pid, stopped.process_started_at, stopped.launch_token, stopped.url) == (None,) * 4
        desk.service.start("one")
        ready = desk.until_state(READY)
    desk.service.stop("one")
    desk.until_state(STOPPED)
    assert open_files() <= before
    assert living_children() <= other_children


def test_a_server_comes_back_on_the_port_that_it_had(desk: Desk) -> None:
    desk.wish()
    first = desk.until_state(READY)
    desk.service.stop("one")
    desk.until_state(STOPPED)
    desk.service.start("one")
    assert desk.until_state(READY).port == first.port


def test_a_server_that_is_never_ready_stays_starting_and_can_be_stopped(desk: Desk) -> None:
    desk.wish("--never-ready")
    row = desk.until(lambda row: row.pid and not children.port_is_free(row.port or 0))
    for _ in range(20):
        desk.supervisor.tick()
        time.sleep(0.02)
    assert desk.row().state == STARTING
    desk.service.stop("one")
    desk.until_state(STOPPED)
    assert desk.processes(row) == []


def test_an_engine_that_ignores_the_request_to_end_is_killed(desk: Desk) -> None:
    desk.wish("--ignore-sigterm")
    row = desk.until_state(READY)
    desk.service.stop("one")
    assert desk.until_state(STOPPING).pid == row.pid
    desk.until_state(STOPPED)
    assert desk.processes(row) == []


def test_children_that_left_the_group_end_with_their_server(desk: Desk) -> None:
    desk.wish("--fork-children")
    row = desk.until_state(READY)
    assert len(desk.processes(row)) == 4
    desk.service.stop("one")
    desk.until_state(STOPPED)
    assert desk.processes(row) == []


def test_what_a_killed_runner_leaves_is_found_by_its_token(desk: Desk) -> None:
    desk.wish("--fork-children", "--ignore-sigterm")
    row = desk.until_state(READY)
    psutil.Process(row.pid).kill()
    desk.until_state(FAILED)
    assert desk.processes(row) == []


def test_a_crash_is_told_with_its_last_words_and_followed_by_a_new_start(desk: Desk) -> None:
    desk.wish()
    first = desk.until_state(READY)
    engine_of(desk, first).kill()
    failed = desk.until_state(FAILED)
    assert failed.error_code == "engine_exited" and (failed.error_params or {})["exit_code"] == "SIGKILL"
    again = desk.until_state(READY)
    assert again.pid != first.pid and again.error_code is None


def test_a_server_that_fails_again_and_again_is_left_alone_until_it_is_wished_anew(desk: Desk) -> None:
    desk.wish("--fail")
    failed = desk.until(lambda row: row.state == FAILED and row.wish == REST)
    assert failed.error_params == {"name": "one", "exit_code": 3, "line": "RuntimeError: the weights are of stone"}
    for _ in range(40):
        desk.supervisor.tick()
        time.sleep(0.02)
    assert desk.row() == failed
    assert desk.service.logs("one", 4) == ["bye", "loading", "RuntimeError: the weights are of stone", "bye"]
    desk.service.start("one")
    desk.until_state(STARTING)
    desk.until(lambda row: row.state == FAILED and row.wish == RUN)
    desk.service.stop("one")
    assert desk.until_state(STOPPED).error_code is None


def test_a_dead_workers_servers_are_adopted_and_none_is_restarted(desk: Desk) -> None:
    names = ("one", "two", "three")
    for name in names:
        desk.wish(name=name)
    worker = subprocess.Popen([sys.executable, "-c", PROGRAM, str(desk.layout.home)], cwd=children.ROOT)
    try:
        deadline = time.monotonic() + 60
        while any(desk.row(name).state != READY for name in names):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        worker.kill()
        worker.wait()
    before = [desk.row(name) for name in names]
    for _ in range(20):
        desk.supervisor.tick()
        time.sleep(0.02)
    assert [desk.row(name) for name in names] == before
    for row in before:
        assert desk.service.models(row.id) == [MODEL]
        desk.service.stop(row.id)
    for row in before:
        desk.until_state(STOPPED, row.name)
        assert desk.processes(row) == []


def test_a_server_whose_worker_died_before_noting_its_process_is_found_by_its_token(desk: Desk) -> None:
    desk.wish()
    row = desk.until_state(READY)
    desk.store.servers.update(row.id, pid=None, process_started_at=None)
    desk.supervisor.close()
    desk.supervisor = desk.new_supervisor()
    desk.supervisor.tick()
    assert desk.row().pid == row.pid and desk.row().state == READY


def test_a_stranger_on_the_port_is_named_and_avoided(desk: Desk) -> None:
    record = desk.wish("--never-listen")
    row = desk.until(lambda row: row.pid)
    stranger = subprocess.Popen([sys.executable, "-m", "tests.fakes.engine", "--port", str(row.port)])
    try:
        failed = desk.until_state(FAILED)
        assert failed.error_code == "port_taken"
        assert (failed.error_params or {})["pid"] == stranger.pid
        assert desk.processes(row) == []
        desk.store.servers.update(record.id, spec={"model": MODEL, "flags": []})
        again = desk.until_state(READY)
        assert again.port != row.port and stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_megabytes_of_output_turn_the_log_over_and_lose_no_last_line(desk: Desk) -> None:
    desk.wish("--print-megabytes", "45")
    row = desk.until_state(READY)
    folder = desk.layout.servers / row.id
    files = sorted(path.name for path in folder.glob(f"{logs.NAME}*"))
    assert files == ["server.log", "server.log.1", "server.log.2", "server.log.3"]
    assert all((folder / name).stat().st_size <= logs.LIMIT_BYTES for name in files)
    deadline = time.monotonic() + 20
    while not desk.service.logs("one", 1)[0].strip().startswith(str(45 * 1024 - 1)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_row_of_an_engine_that_is_not_known_fails_and_harms_no_other(desk: Desk) -> None:
    stray = desk.wish(name="stray")
    desk.store.servers.update(stray.id, engine="unknown")
    desk.wish()
    desk.until_state(READY)
    assert desk.until_state(FAILED, "stray").error_code == "invalid_value"


def test_a_removed_server_must_rest_and_leaves_no_folder(desk: Desk) -> None:
    row = desk.wish()
    desk.until_state(READY)
    with pytest.raises(IllegalTransition):
        desk.service.remove("one")
    desk.service.stop("one")
    desk.until_state(STOPPED)
    desk.service.remove("one")
    assert desk.service.list() == [] and not (desk.layout.servers / row.id).exists()


@pytest.mark.parametrize(("state", "wanted"), [(STOPPED, READY), (READY, STARTING), (FAILED, READY), ("?", READY)])
def test_other_moves_than_the_legal_ones_are_refused(state: str, wanted: str) -> None:
    with pytest.raises(IllegalTransition):
        check_move("one", state, wanted)
