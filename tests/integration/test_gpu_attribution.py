"""Who holds which bytes, told of real processes: a server's in every shape, strangers', and pids that mean nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from services.app import bootstrap
from services.core.clock import now_ms
from services.core.settings import load
from services.core.units import GIB
from services.gpu.readings import Devices, DriverState, GpuReading, Holder, Holding, HostReading, Snapshot
from services.serving import children
from services.serving.engines.protocol import LaunchCommand, Place
from services.serving.holders import Holders, Sight
from services.serving.ledger import Ledger
from services.serving.memory import MemoryBook
from services.serving.service import ServerService
from services.serving.states import READY, STOPPED
from services.serving.supervisor import Supervisor
from services.store.servers import ServerRecord
from tests.fakes.engine import MODEL, FakeEngine
from tests.fakes.family import SLEEP
from tests.fakes.nvml import Gpu, Process, Scenario, ScenarioFile
from tests.fakes.patience import until
from tests.integration.test_supervisor import HERE, PATIENCE, Desk

WHOLE = Sight(whole=True, holds_device=lambda pid: False)
INSIDE = Sight(whole=False, holds_device=lambda pid: True)
NOTHING_SEEN = Sight(whole=False, holds_device=lambda pid: False)
NO_SUCH_PID = 2**22 + 1
ME = psutil.Process().username()


class FamilyEngine(FakeEngine):
    """The fake engine, with children of every shape beside it."""

    key = "family"

    def __init__(self, pids: Path) -> None:
        self.pids = pids

    def launch(self, spec: Mapping[str, Any], place: Place) -> LaunchCommand:
        engine = super().launch(spec, place).argv
        return LaunchCommand([sys.executable, "-m", "tests.fakes.family", str(self.pids), *engine])


class Bench(Desk):
    """A desk that attributes GPU memory as well."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.pids_file = home / "pids.json"
        self.supervisor.close()
        self.supervisor = Supervisor(
            self.store.servers,
            self.layout,
            machine_id=HERE,
            engines={"fake": FakeEngine(), "family": FamilyEngine(self.pids_file)},
            patience=PATIENCE,
        )
        self.holders = self.new_holders()

    def new_holders(self, sight: Sight = WHOLE, *, writes: bool = True) -> Holders:
        return Holders(self.store.servers, Ledger(self.store.ledger, HERE, writes=writes), HERE, sight)

    def family(self) -> tuple[ServerRecord, dict[str, int]]:
        self.store.servers.update(self.wish().id, engine="family")
        return self.until_state(READY), json.loads(self.pids_file.read_text())

    def holder(self, pid: int) -> Holder | None:
        return self.holdings(self.holders(devices(pid)))[0].holder

    @staticmethod
    def holdings(seen: Devices) -> tuple[Holding, ...]:
        return seen.gpus[0].holdings or ()


def devices(*pids: int, used_bytes: int | None = None) -> Devices:
    """One GPU on which each process holds one GiB."""
    holdings = tuple(Holding(pid, GIB) for pid in pids)
    used = len(pids) * GIB if used_bytes is None else used_bytes
    return Devices(DriverState("580"), (GpuReading(0, uuid="GPU-a", used_bytes=used, holdings=holdings),))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    for row in bench.service.list():
        bench.row(row.name)
        if row.state != STOPPED:
            bench.service.stop(row.id)
            bench.until_state(STOPPED, row.name)
    bench.supervisor.close()
    for token in bench.tokens:
        children.send(children.owned(None, token), signal.SIGKILL)
    bench.store.close()


@pytest.fixture
def spawned() -> Iterator[Callable[..., int]]:
    """Starts processes that sleep, and ends them."""
    processes: list[subprocess.Popen[bytes]] = []

    def spawn(command: Sequence[str] = SLEEP, **options: Any) -> int:
        processes.append(subprocess.Popen(command, **options))
        until(psutil.Process(processes[-1].pid).cmdline, 30)  # the kernel shows it a moment after the program begins
        return processes[-1].pid

    yield spawn
    for process in processes:
        process.kill()
        process.wait()


def test_every_process_of_a_server_is_recognised(bench: Bench, spawned: Callable[..., int]) -> None:
    row, pids = bench.family()
    elsewhere = spawned(env={**os.environ, children.TOKEN: row.launch_token}, start_new_session=True)
    expected = {
        row.pid: "token",
        pids["engine"]: "token",
        pids["child"]: "token",
        pids["left"]: "token",
        pids["same_session"]: "session",
        pids["below"]: "ancestry",
        pids["orphan"]: "ancestry",
        elsewhere: "token",
    }
    assert psutil.Process(pids["orphan"]).ppid() == row.pid
    seen = bench.holdings(bench.holders(devices(*(pid for pid in expected if pid))))
    assert {each.pid: each.holder.how for each in seen if each.holder} == expected
    assert {(each.holder.server_id, each.holder.server, each.holder.model) for each in seen if each.holder} == {
        (row.id, "one", MODEL)
    }
    assert {each.holder.user for each in seen if each.holder} == {ME}


def test_a_stranger_has_user_and_command_and_a_pid_without_process_nobody(
    bench: Bench, spawned: Callable[..., int]
) -> None:
    bench.family()
    expected = Holder(ME, f"{Path(sys.executable).name} -c import time; time.sleep(10_000)")
    assert bench.holder(spawned()) == expected
    other = spawned(env={**os.environ, children.TOKEN: "of a launch that is over"}, start_new_session=True)
    assert bench.holder(other) == expected
    assert bench.holder(NO_SUCH_PID) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a process of another user")
def test_another_users_process_is_named_by_user(bench: Bench, spawned: Callable[..., int]) -> None:
    bench.family()
    holder = bench.holder(spawned(["sleep", "10000"], user="nobody", cwd="/"))
    assert holder == Holder("nobody", "sleep 10000")


def test_a_process_that_ended_holds_nothing_under_its_name(bench: Bench) -> None:
    process = subprocess.Popen(SLEEP)
    assert bench.holder(process.pid)
    process.kill()
    process.wait()
    assert bench.holder(process.pid) is None


def test_the_pid_of_a_runner_that_was_given_again_is_a_strangers(bench: Bench, spawned: Callable[..., int]) -> None:
    stranger = spawned(start_new_session=True)
    row = bench.wish()
    started_at = psutil.Process(stranger).create_time()
    values: dict[str, Any] = {"launch_token": "t", "pid": stranger}
    bench.store.servers.update(row.id, **values, process_started_at=started_at - 60)
    holder = bench.holder(stranger)
    assert holder and holder.server_id is None
    bench.store.servers.update(row.id, **values, process_started_at=started_at)
    holder = bench.holder(stranger)
    assert holder and (holder.server_id, holder.how) == (row.id, "session")
    bench.store.servers.update(row.id, **dict.fromkeys((*values, "process_started_at")))


def test_a_child_of_the_session_is_recognised_where_no_environment_tells(
    bench: Bench, spawned: Callable[..., int]
) -> None:
    program = f"import subprocess, time; subprocess.Popen({SLEEP!r}, start_new_session=True).wait()"
    leader = psutil.Process(spawned([sys.executable, "-c", program], env={}, start_new_session=True))
    row = bench.wish()
    launch = {"launch_token": "t", "pid": leader.pid, "process_started_at": leader.create_time()}
    bench.store.servers.update(row.id, **launch)
    deadline = time.monotonic() + 30
    while not (below := leader.children()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    try:
        holder = bench.holder(below[0].pid)
        assert holder and (holder.server_id, holder.how) == (row.id, "ancestry")
    finally:
        below[0].kill()
        bench.store.servers.update(row.id, **dict.fromkeys(launch))


def test_a_pid_that_was_given_again_is_looked_at_anew(bench: Bench, spawned: Callable[..., int]) -> None:
    first = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    before = bench.holder(first.pid)
    first.communicate(b"")
    again = _given_again(first.pid, spawned)
    after = bench.holder(again)
    assert before and after and before.command != after.command


def _given_again(pid: int, spawned: Callable[..., int]) -> int:
    last_pid = Path("/proc/sys/kernel/ns_last_pid")
    for _ in range(50):
        try:
            last_pid.write_text(str(pid - 1))
        except OSError as error:
            pytest.skip(f"this system does not let a pid be chosen: {error.strerror}")
        if spawned() == pid:
            return pid
    pytest.skip("somebody else took the pid each time")


def test_a_stranger_is_looked_at_again_when_a_server_starts(bench: Bench, spawned: Callable[..., int]) -> None:
    pid = spawned(env={**os.environ, children.TOKEN: "t"}, start_new_session=True)
    holder = bench.holder(pid)
    assert holder and holder.server_id is None
    row = bench.wish()
    bench.store.servers.update(row.id, launch_token="t")
    holder = bench.holder(pid)
    assert holder and holder.server_id == row.id
    bench.store.servers.update(row.id, launch_token=None)
    holder = bench.holder(pid)
    assert holder and holder.server_id is None


def test_inside_a_container_only_a_process_with_a_gpu_open_is_believed(
    bench: Bench, spawned: Callable[..., int]
) -> None:
    pid = spawned()
    bench.holders = bench.new_holders(NOTHING_SEEN)
    assert bench.holder(pid) is None
    bench.holders = bench.new_holders(INSIDE)
    assert bench.holder(pid) is not None
    assert bench.holder(NO_SUCH_PID) is None


def test_inside_a_container_a_launch_is_estimated_and_freed(bench: Bench) -> None:
    bench.holders = bench.new_holders(NOTHING_SEEN)
    bench.holders(devices(NO_SUCH_PID))
    bench.wish()
    row = bench.until_state(READY)
    grown = devices(NO_SUCH_PID, NO_SUCH_PID + 1, used_bytes=8 * GIB)
    seen = bench.holdings(bench.holders(grown))
    how = Holder(None, None, row.id, "one", MODEL, "estimate")
    assert [(each.pid, each.used_bytes, each.holder) for each in seen] == [(None, 7 * GIB, how)]
    bench.holders = bench.new_holders(NOTHING_SEEN)
    assert bench.holdings(bench.holders(grown)) == seen
    bench.service.stop("one")
    bench.until_state(STOPPED)
    assert [each.holder for each in bench.holdings(bench.holders(devices(NO_SUCH_PID)))] == [None]


def test_the_service_tells_what_a_server_holds(bench: Bench, spawned: Callable[..., int]) -> None:
    row, pids = bench.family()
    gpus = bench.holders(devices(pids["engine"], pids["below"], spawned())).gpus

    def service(taken_at_ms: int) -> ServerService:
        snapshot = Snapshot(taken_at_ms, DriverState("580"), gpus, HostReading())
        book = MemoryBook(bench.store.ledger, lambda: snapshot)
        return ServerService(bench.store.servers, bench.layout, machine_id=HERE, memory=book.of)

    fresh, old = service(now_ms()), service(now_ms() - 60_000)
    memory = {"planned_bytes": None, "reported_bytes": None, "measured_bytes": 2 * GIB}
    assert fresh.row(row)["memory"] == memory
    assert old.row(row)["memory"] == {**memory, "measured_bytes": None}
    share = fresh.memory(row.id).gpus["GPU-a"]
    assert (share.measured_bytes, share.peak_bytes, share.estimated) == (2 * GIB, 2 * GIB, False)
    assert bench.service.row(row)["memory"]["measured_bytes"] is None
    assert fresh.memory("another").whole.measured_bytes is None


def test_only_the_process_that_samples_keeps_the_ledger(
    bench: Bench, scenario: ScenarioFile, spawned: Callable[..., int]
) -> None:
    row, pids = bench.family()
    stranger = spawned()
    (bench.layout.home / "machine_id").write_text(HERE)
    processes = (Process(pids["orphan"], 5 * GIB), Process(stranger, 2 * GIB), Process(NO_SUCH_PID, GIB))
    scenario.write(Scenario(gpus=(Gpu(0, used=9 * GIB, processes=processes),)))
    settings = load(home=bench.layout.home, database_url=bench.store.database.url)
    kept = {}
    for samples in (False, True):
        services = bootstrap(settings, samples=samples)
        seen = services.gpus.take()
        told = services.servers.row(services.servers.show("one"))
        services.close()
        kept[samples] = [(each.gpu_uuid, each.measured_bytes) for each in bench.store.ledger.newest(row.id)]
        holders = {each.pid: each.holder for each in seen.gpus[0].holdings or ()}
        assert (holders[pids["orphan"]] or Holder()).server_id == row.id
        assert (holders[stranger] or Holder()).user == ME and holders[NO_SUCH_PID] is None
        assert told["memory"]["measured_bytes"] == 5 * GIB
    assert kept == {False: [], True: [(seen.gpus[0].uuid, 5 * GIB)]}


def test_a_known_process_is_not_read_again(bench: Bench, spawned: Callable[..., int]) -> None:
    _, pids = bench.family()
    every = devices(*pids.values(), spawned())
    with opened_files() as first:
        bench.holders(every)
    assert sum(path.endswith("/environ") for path in first) >= len(pids) + 1
    with opened_files() as again:
        seen = bench.holders(every)
    assert [path for path in again if path.startswith("/proc/") and not path.endswith("/stat")] == []
    assert all(each.holder for each in bench.holdings(seen))


@contextmanager
def opened_files() -> Iterator[list[str]]:
    """The paths that this process opens meanwhile."""
    paths: list[str] = []
    OPENED.append(paths)
    yield paths
    OPENED.remove(paths)


OPENED: list[list[str]] = []


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open":
        for paths in OPENED:
            paths.append(str(arguments[0]))


sys.addaudithook(_note)
