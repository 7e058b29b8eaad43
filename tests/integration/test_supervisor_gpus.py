"""Servers on GPUs: they start in turn, their plan counts until it is measured, they end with their memory back."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.core.clock import now_ms
from services.core.units import GIB
from services.gpu.readings import Devices, DriverState, GpuReading, Holding, HostReading, Snapshot
from services.serving.gpu_turns import Reservations
from services.serving.holders import Holders, Sight
from services.serving.ledger import Ledger
from services.serving.states import FAILED, READY, REST, RUN, STARTING, STOPPED, STOPPING, WAITING
from services.serving.supervisor import Supervisor
from services.store.servers import ServerRecord
from tests.integration.test_supervisor import ENGINES, HERE, PATIENCE, Desk, end

WHOLE = Sight(whole=True, holds_device=lambda pid: False)
HOST = HostReading()


class Box(Desk):
    """A desk on a machine with two GPUs, of which the driver tells what a test says."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.supervisor.close()
        self.supervisor = self.patient(0.5)
        self.holders = Holders(self.store.servers, Ledger(self.store.ledger, HERE, writes=True), HERE, WHOLE)
        self.planned: dict[str, int] = {}
        self.look()

    def patient(self, memory_s: float) -> Supervisor:
        return Supervisor(
            self.store.servers,
            self.layout,
            machine_id=HERE,
            engines=ENGINES,
            patience=dataclasses.replace(PATIENCE, memory_s=memory_s),
            snapshot=lambda: self.snapshot,
            reserve=Reservations(self.store.ledger, lambda row: self.planned),
        )

    def look(self, pids: dict[int, int] | None = None, *, used_bytes: int | None = None) -> Snapshot:
        """The driver says that these processes hold so much of the first GPU, in all or more than in all."""
        held = pids or {}
        holdings = tuple(Holding(pid, size) for pid, size in held.items())
        used = sum(held.values()) if used_bytes is None else used_bytes
        first = GpuReading(0, uuid="GPU-a", used_bytes=used, total_bytes=80 * GIB, holdings=holdings)
        second = GpuReading(1, uuid="GPU-b", used_bytes=0, total_bytes=80 * GIB, holdings=())
        time.sleep(0.002)  # a look is later than what it follows
        gpus = self.holders(Devices(DriverState("580"), (first, second))).gpus
        self.snapshot = Snapshot(now_ms(), DriverState("580"), gpus, HOST)
        return self.snapshot

    def loaded(self, size: int = 4 * GIB) -> ServerRecord:
        """A ready server that holds so much."""
        self.wish()
        row = self.until_state(READY)
        self.look({row.pid or 0: size})
        return row

    def until_gone(self, row: ServerRecord) -> None:
        self.until(lambda _: not self.processes(row))
        self.supervisor.tick()  # which sees it


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    box = Box(tmp_path)
    yield box
    end(box)


# In turn


def test_starts_that_share_a_gpu_run_one_after_another(box: Box) -> None:
    for name in ("one", "two", "three"):
        box.wish("--slow-start", "0.6", name=name)
        time.sleep(0.002)  # two of the same millisecond would go by their names
    seen = set()
    deadline = time.monotonic() + 30
    while any(box.row(name).state != READY for name in ("one", "two", "three")):
        assert time.monotonic() < deadline
        box.supervisor.tick()
        rows = [box.row(name) for name in ("one", "two", "three")]
        assert sum(row.state == STARTING for row in rows) <= 1, rows
        seen |= {(row.name, (row.note or {"params": {}})["params"].get("name")) for row in rows if row.state == WAITING}
        time.sleep(0.02)
    assert seen == {("two", "one"), ("three", "one"), ("three", "two")}
    assert [box.row(name).note for name in ("one", "two", "three")] == [None] * 3


def test_servers_on_gpus_of_their_own_start_together(box: Box) -> None:
    box.wish("--never-ready", name="one", gpus=[0])
    box.wish("--never-ready", name="two", gpus=[1])
    box.wish("--never-ready", name="processor", gpu_layers=0)
    box.wish("--never-ready", name="both", gpus=[0, 1])
    box.supervisor.tick()
    states = {row.name: row.state for row in box.service.list()}
    assert states == {"one": STARTING, "two": STARTING, "processor": STARTING, "both": WAITING}


def test_without_gpus_nobody_waits(box: Box) -> None:
    box.snapshot = Snapshot(now_ms(), DriverState(), (), HOST)
    for name in ("one", "two"):
        box.wish("--never-ready", name=name)
    box.supervisor.tick()
    assert [row.state for row in box.service.list()] == [STARTING, STARTING]


def test_a_waiting_server_can_be_stopped_and_goes_on_when_the_first_is(box: Box) -> None:
    box.wish("--never-ready", name="one")
    box.wish(name="two")
    box.wish(name="three")
    box.supervisor.tick()
    assert [row.state for row in box.service.list()] == [STARTING, WAITING, WAITING]
    told = box.service.row(box.row("two"))
    assert told["state"] == WAITING and "“one” has come up" in told["note"]
    box.service.stop("two")
    assert box.until_state(STOPPED, "two").note is None
    box.service.stop("one")
    box.until_state(READY, "three")
    assert box.row("two").wish == REST


# The plan


def test_planned_memory_is_reserved_until_it_is_measured(box: Box) -> None:
    box.planned = {"GPU-a": 6 * GIB}
    row = box.wish("--slow-start", "0.2")
    box.supervisor.tick()
    assert box.store.ledger.reserved(HERE) == {"GPU-a": 6 * GIB}
    box.look()
    assert box.store.ledger.reserved(HERE) == {"GPU-a": 6 * GIB}, "nothing of it has been seen yet"
    ready = box.until_state(READY)
    box.look({ready.pid or 0: 5 * GIB})
    assert box.store.ledger.reserved(HERE) == {}
    (record,) = [each for each in box.store.ledger.newest(row.id) if each.gpu_uuid == "GPU-a"]
    assert (record.planned_bytes, record.measured_bytes, record.before_bytes) == (6 * GIB, 5 * GIB, 0)


def test_a_launch_that_failed_reserves_nothing(box: Box) -> None:
    box.planned = {"GPU-a": 6 * GIB}
    box.wish("--fail", restart=False)
    box.until_state(FAILED)
    assert box.store.ledger.reserved(HERE) == {}


# The memory is back


def test_a_server_is_stopped_when_its_gpu_has_the_memory_back(box: Box) -> None:
    row = box.loaded()
    box.service.stop("one")
    box.until_gone(row)
    assert box.row().state == STOPPING, "the newest look at the GPU is older than the end of the processes"
    box.look()
    box.supervisor.tick()
    assert box.row().state == STOPPED


def test_memory_that_does_not_come_back_is_told_with_who_holds_it(box: Box) -> None:
    row = box.loaded()
    ghost = row.pid or 0
    box.service.stop("one")
    box.until_gone(row)
    deadline = time.monotonic() + 20
    while box.row().state == STOPPING:
        assert time.monotonic() < deadline
        box.look({ghost: 4 * GIB})
        box.supervisor.tick()
    failed = box.row()
    assert (failed.state, failed.error_code) == (FAILED, "gpu_memory_held")
    message = box.service.row(failed)["error"]["message"]
    assert "GPU 0" in message and "4.0 GiB" in message and f"process {ghost}" in message
    box.service.stop("one")
    assert box.until_state(STOPPED).error_code is None


def test_memory_that_no_process_holds_is_told_too(box: Box) -> None:
    row = box.loaded()
    box.service.stop("one")
    box.until_gone(row)
    deadline = time.monotonic() + 20
    while box.row().state == STOPPING:
        assert time.monotonic() < deadline
        box.look(used_bytes=3 * GIB)
        box.supervisor.tick()
    assert "no process can be seen" in box.service.row(box.row())["error"]["message"]


def test_what_a_stranger_holds_is_not_the_servers(box: Box) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        row = box.loaded()
        box.service.stop("one")
        box.until_gone(row)
        box.look({stranger.pid: 20 * GIB})
        box.supervisor.tick()
        assert box.row().state == STOPPED
    finally:
        stranger.kill()
        stranger.wait()


def test_a_driver_that_does_not_answer_holds_nothing_up_for_long(box: Box) -> None:
    row = box.loaded()
    box.service.stop("one")
    box.until_gone(row)
    assert box.row().state == STOPPING
    assert box.until_state(STOPPED).wish == REST


def test_a_server_that_holds_no_gpu_memory_waits_for_no_look(box: Box) -> None:
    box.supervisor.close()
    box.supervisor = box.patient(600)
    box.wish()
    row = box.until_state(READY)
    assert row.wish == RUN
    box.service.stop("one")
    box.until_state(STOPPED)
