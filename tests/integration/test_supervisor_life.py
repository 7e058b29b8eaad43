"""How servers fail and are mended, who is first, and what makes one ready: real processes of a fake engine."""

from __future__ import annotations

import dataclasses
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import psutil
import pytest

from services.core.errors import IllegalTransition, InvalidValue
from services.serving import children
from services.serving.engines.protocol import MASK
from services.serving.states import FAILED, READY, REST, RUN, STARTING, STOPPED, STOPPING
from services.serving.supervisor import Supervisor
from services.store.servers import ServerRecord, ServerRows
from tests.fakes.engine import FakeEngine
from tests.integration import test_supervisor
from tests.integration.test_supervisor import HERE, PATIENCE, PROGRAM, Desk, engine_of

desk = test_supervisor.desk
RACER = PROGRAM.replace("time.sleep(0.05)", "time.sleep(0.002)")
SECRET = "hunter2-very-secret"


def ticks(desk: Desk, count: int = 30) -> None:
    for _ in range(count):
        desk.supervisor.tick()
        time.sleep(0.02)


@pytest.fixture
def quick(desk: Desk) -> Iterator[Desk]:
    """A desk whose supervisor waits only a second for the first answer."""
    desk.supervisor.close()
    patience = dataclasses.replace(PATIENCE, trial_s=1.0)
    desk.supervisor = Supervisor(
        desk.store.servers, desk.layout, machine_id=HERE, engines={"fake": FakeEngine()}, patience=patience
    )
    yield desk


# Why it failed


def test_a_failed_server_is_diagnosed_and_starts_with_the_flag_that_its_log_asks_for(desk: Desk) -> None:
    desk.wish("--fits", "20000", env={"KEY": SECRET}, extra_args=["--max-model-len", "32768"])
    failed = desk.until(lambda row: row.state == FAILED and row.wish == REST)
    told = desk.service.row(failed)["diagnosis"][0]
    assert (told["code"], told["flags"]) == ("max_model_len_does_not_fit", {"--max-model-len": "20000"})
    assert "20000 tokens do" in told["cause"] and "max seq len (32768)" in told["evidence"]
    assert desk.service.fix(failed) == "--max-model-len 20000"
    desk.service.start_fixed("one")
    ready = desk.until_state(READY)
    assert ready.spec["max_model_len"] == 20000 and ready.spec["extra_args"] == [] and ready.diagnosis is None
    assert desk.service.row(ready)["diagnosis"] == [] and desk.service.fix(ready) == ""
    with pytest.raises(InvalidValue):
        desk.service.start_fixed("one")


def test_a_diagnosis_keeps_codes_and_no_secret(desk: Desk) -> None:
    desk.wish("--fits", "20000", env={"KEY": SECRET})
    failed = desk.until(lambda row: row.state == FAILED and row.wish == REST)
    assert SECRET in "\n".join(desk.service.logs("one")), "the log has it, or this test tests nothing"
    kept = json.dumps(failed.diagnosis)
    assert SECRET not in kept and MASK in json.loads(kept)[0]["evidence"]["line"]
    assert "tokens do" not in kept
    desk.service.start("one")
    assert desk.row().diagnosis is None, "a new wish forgets the old failure"


def test_only_the_newest_run_is_diagnosed(desk: Desk) -> None:
    record = desk.wish("--fits", "20000")
    desk.until(lambda row: row.state == FAILED and row.wish == REST)
    desk.store.servers.update(record.id, spec={**record.spec, "flags": ["--fail"]})
    desk.service.start("one")
    failed = desk.until(lambda row: row.state == FAILED and row.wish == REST)
    (told,) = desk.service.row(failed)["diagnosis"]
    assert told["code"] == "unknown" and "weights are of stone" in told["cause"] and desk.service.fix(failed) == ""


# Who starts it again


def test_a_server_that_is_not_to_be_restarted_is_left_alone_after_its_first_failure(desk: Desk) -> None:
    desk.wish("--fail", restart=False)
    failed = desk.until_state(FAILED)
    assert failed.wish == REST
    ticks(desk)
    assert desk.row() == failed


def test_a_restart_ends_the_processes_and_starts_others_on_the_same_port(desk: Desk) -> None:
    desk.wish()
    first = desk.until_state(READY)
    desk.service.restart("one")
    desk.until_state(STOPPING)
    second = desk.until_state(READY)
    assert (second.wish, second.port) == (RUN, first.port) and second.pid != first.pid
    assert desk.processes(first) == []
    desk.service.stop("one")
    desk.until_state(STOPPED)
    desk.service.restart("one")
    assert desk.until_state(READY).wish == RUN


def test_a_stop_during_a_restart_is_a_stop(desk: Desk) -> None:
    desk.wish("--ignore-sigterm")
    desk.until_state(READY)
    desk.service.restart("one")
    desk.until_state(STOPPING)
    desk.service.stop("one")
    desk.until_state(STOPPED)
    ticks(desk)
    assert desk.row().state == STOPPED and desk.row().wish == REST


def test_only_managed_servers_are_restarted(desk: Desk) -> None:
    desk.service.add_remote("box", "http://127.0.0.1:9")
    with pytest.raises(IllegalTransition):
        desk.service.restart("box")


def test_many_starts_at_once_start_one_engine(desk: Desk) -> None:
    """Eight people press start and three supervisors look at the row at the same moment."""
    desk.wish()
    desk.store.servers.update(desk.row().id, wish=REST)
    racers = [
        subprocess.Popen([sys.executable, "-c", RACER, str(desk.layout.home)], cwd=children.ROOT) for _ in range(3)
    ]
    try:
        gate = threading.Barrier(8)

        def press() -> None:
            gate.wait()
            for _ in range(5):
                desk.service.start("one")

        people = [threading.Thread(target=press) for _ in range(8)]
        for person in people:
            person.start()
        for person in people:
            person.join()
        deadline = time.monotonic() + 60
        while desk.row().state != READY:
            assert time.monotonic() < deadline, desk.row()
            time.sleep(0.05)
        assert len(launched(desk)) == 1
    finally:
        for racer in racers:
            racer.kill()
            racer.wait()


def test_of_two_that_saw_the_same_row_only_one_moves_it(desk: Desk) -> None:
    seen = desk.wish()
    first = desk.store.servers.move(seen, state=STARTING, launch_token="first")
    assert first and desk.store.servers.move(seen, state=STARTING, launch_token="second") is None
    assert desk.row().launch_token == "first"
    assert desk.store.servers.move(first, state=STOPPED, launch_token=None)


class SeenBefore(ServerRows):
    """Rows as a supervisor sees them that has been slow: those of a moment ago."""

    seen: list[ServerRecord]

    def list(self, machine_id: str | None = None) -> list[ServerRecord]:
        return self.seen


def test_a_supervisor_that_comes_too_late_leaves_run_and_port_alone(desk: Desk) -> None:
    rows = SeenBefore(desk.store.database)
    rows.seen = [desk.wish()]
    first = desk.until(lambda row: row.pid)
    late = Supervisor(rows, desk.layout, machine_id=HERE, engines={"fake": FakeEngine()}, patience=PATIENCE)
    late.tick()
    assert desk.row() == first
    desk.until_state(READY)


def launched(desk: Desk) -> list[int]:
    """The runners of this desk, whatever token they carry."""
    folder = str(desk.layout.servers / desk.row().id)
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if process.info["cmdline"]
        and "services.serving.runner" in process.info["cmdline"][-2:-1]
        and process.info["cmdline"][-1] == folder
    ]


# What makes it ready


def test_a_server_that_does_not_chat_but_embeds_is_ready(desk: Desk) -> None:
    desk.wish("--no-chat")
    desk.until_state(READY)


def test_a_server_that_answers_nothing_fails_with_what_it_said(desk: Desk) -> None:
    desk.wish("--no-chat", "--no-embeddings", restart=False)
    failed = desk.until_state(FAILED)
    assert failed.error_code == "trial_failed" and desk.processes(failed) == []
    error = desk.service.row(failed)["error"]
    assert "HTTP 400: The model does not support this" in error["message"]


def test_a_server_that_never_answers_fails_when_its_time_is_over(quick: Desk) -> None:
    quick.wish("--silent", restart=False)
    row = quick.until(lambda row: row.pid)
    failed = quick.until_state(FAILED)
    assert failed.error_code == "trial_failed" and quick.processes(row) == []
    assert children.port_is_free(row.port or 0)


def test_a_crash_during_the_first_answer_is_a_crash(desk: Desk) -> None:
    desk.wish("--silent", restart=False)
    row = desk.until(lambda row: row.pid and not children.port_is_free(row.port or 0))
    ticks(desk, 15)
    assert desk.row().state == STARTING
    engine_of(desk, row).kill()
    assert desk.until_state(FAILED).error_code == "engine_exited"


# Ports


def test_a_port_belongs_to_one_server_also_while_it_rests(desk: Desk) -> None:
    desk.wish(name="one")
    first = desk.until_state(READY)
    desk.service.stop("one")
    desk.until_state(STOPPED)
    other = desk.store.servers.update(desk.wish(name="two").id, wish=REST)
    assert other and not desk.store.servers.reserve_port(other.id, first.port or 0)
    assert desk.store.servers.reserve_port(first.id, first.port or 0)


def test_servers_that_start_at_once_get_ports_of_their_own(desk: Desk) -> None:
    names = [f"s{number}" for number in range(6)]
    for name in names:
        desk.wish("--never-listen", name=name)
    second = desk.new_supervisor()
    both = [threading.Thread(target=supervisor.tick) for supervisor in (desk.supervisor, second)]
    for each in both:
        each.start()
    for each in both:
        each.join()
    second.close()
    rows = [desk.until(lambda row: row.pid, name) for name in names]
    assert len({row.port for row in rows}) == len(rows)


def test_a_taken_port_is_left_to_the_stranger_that_took_it_meanwhile(desk: Desk) -> None:
    desk.wish()
    first = desk.until_state(READY)
    desk.service.stop("one")
    desk.until_state(STOPPED)
    with socket.create_server(("127.0.0.1", first.port or 0)):
        desk.service.start("one")
        assert desk.until_state(READY).port != first.port
