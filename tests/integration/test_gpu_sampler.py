"""The worker samples GPUs for everybody; others read what it saw, and ask the driver only where no worker runs."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import event, text

from services.app import Services, bootstrap
from services.core.clock import now_ms
from services.core.machine import this_process
from services.core.settings import load
from services.gpu import service as gpu_service
from services.gpu.history import STEPS, History
from services.gpu.readings import DriverState, GpuReading, HostReading, Snapshot
from services.gpu.sampler import Sampler
from services.gpu.service import FRESH_MS, SHARED_MS
from tests.fakes.nvml import GIB, GPU_IS_LOST, Double, Gpu, Process, Scenario, ScenarioFile
from tests.fakes.nvml.scenario import NO_DRIVER
from tests.integration.test_worker import until

ROOT = Path(__file__).resolve().parents[2]
READ = "nvmlDeviceGetUtilizationRates"
"""A function of the driver that every reading of a GPU calls."""


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    joined = bootstrap(load(home=tmp_path / "home", embedded=False))
    yield joined
    joined.close()


def sampled(services: Services, *, age_ms: int = 0) -> Snapshot:
    """What a worker has seen so long ago."""
    gpu = GpuReading(0, "GPU-of-the-worker", total_bytes=80 * GIB)
    snapshot = Snapshot(now_ms() - age_ms, DriverState("580"), (gpu,), HostReading())
    services.gpus.keep(snapshot)
    return snapshot


def worker_lives(services: Services) -> None:
    me = this_process()
    services.store.workers.beat(services.machine_id, "host", me.pid, me.started_at)


# who asks the driver -------------------------------------------------------------------------------------------------
def test_without_a_worker_the_driver_is_asked_directly(services: Services, scenario: ScenarioFile) -> None:
    scenario.write(Scenario(gpus=(Gpu(0, used=12 * GIB), Gpu(1))))
    snapshot = services.gpus.now()
    assert [gpu.used_bytes for gpu in snapshot.gpus] == [12 * GIB, 0]
    assert snapshot.host.memory_total_bytes and services.gpus.sampled() is None


def test_a_fresh_snapshot_of_the_worker_spares_the_driver(
    services: Services, scenario: ScenarioFile, nvml_double: Double
) -> None:
    scenario.write(Scenario(gpus=(Gpu(0),)))
    kept, before = sampled(services), nvml_double.calls(READ)
    assert services.gpus.now() == kept
    assert nvml_double.calls(READ) == before


def test_all_who_ask_share_a_snapshot_until_a_newer_one_may_be_there(
    services: Services, scenario: ScenarioFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario.write(Scenario(gpus=(Gpu(0),)))
    asked: list[str] = []
    event.listen(services.store.database.engine, "before_cursor_execute", lambda *call: asked.append(call[2]))
    time_ms = now_ms()
    monkeypatch.setattr(gpu_service, "now_ms", lambda: time_ms)
    worker = History(services.store.readings, services.machine_id)
    worker.write(Snapshot(time_ms - 10, DriverState("580"), (), HostReading()))
    first = services.gpus.now()
    worker.write(Snapshot(time_ms + 990, DriverState("581"), (), HostReading()))
    asked.clear()
    assert all(services.gpus.now() is first for _session in range(10)) and asked == []
    time_ms += SHARED_MS
    assert services.gpus.now().driver.version == "581" and asked


def test_a_worker_that_runs_spares_the_driver_however_old_its_snapshot(
    services: Services, scenario: ScenarioFile, nvml_double: Double
) -> None:
    scenario.write(Scenario(gpus=(Gpu(0),)))
    kept, before = sampled(services, age_ms=20 * FRESH_MS), nvml_double.calls(READ)
    worker_lives(services)
    assert services.gpus.now() == kept
    assert nvml_double.calls(READ) == before


@pytest.mark.parametrize("age_ms", [2 * FRESH_MS, -2 * FRESH_MS], ids=["old", "of-a-clock-that-was-ahead"])
def test_what_a_dead_worker_saw_is_not_the_present(services: Services, scenario: ScenarioFile, age_ms: int) -> None:
    scenario.write(Scenario(gpus=(Gpu(0),)))
    kept = sampled(services, age_ms=age_ms)
    assert services.gpus.now().gpus[0].uuid != kept.gpus[0].uuid
    assert services.gpus.sampled() == kept


def test_one_direct_reading_serves_all_who_ask_at_the_same_time(
    services: Services, scenario: ScenarioFile, nvml_double: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario.write(Scenario(gpus=(Gpu(0),)))
    time_ms = now_ms()
    monkeypatch.setattr(gpu_service, "now_ms", lambda: time_ms)
    before = nvml_double.calls(READ)
    assert services.gpus.now() is services.gpus.now()
    assert nvml_double.calls(READ) == before + 1
    for later_ms in (1_000, -5_000):  # also where the clock was set back
        time_ms += later_ms
        services.gpus.now()
    assert nvml_double.calls(READ) == before + 3


def test_a_snapshot_of_another_version_is_no_snapshot(services: Services, scenario: ScenarioFile) -> None:
    scenario.write(Scenario(gpus=(Gpu(0),)))
    services.store.readings.record(services.machine_id, now_ms(), '{"form": "of another version"}', [], {})
    assert services.gpus.sampled() is None
    assert len(services.gpus.now().gpus) == 1


# the sampler ---------------------------------------------------------------------------------------------------------
def test_a_failure_is_logged_once_until_it_works_again(services: Services, caplog: pytest.LogCaptureFixture) -> None:
    sampler = Sampler(services.gpus, 1.0)

    def rename(old: str, new: str) -> None:
        with services.store.database.transaction() as connection:
            connection.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))

    with caplog.at_level(logging.ERROR):
        for _ in range(2):
            rename("snapshots", "away")
            for _ in range(3):
                sampler.tick()
            rename("away", "snapshots")
            sampler.tick()
    assert len([one for one in caplog.records if "sampling the GPUs" in one.getMessage()]) == 2
    assert services.gpus.sampled() is not None


def test_it_samples_until_it_is_closed(services: Services) -> None:
    sampler = Sampler(services.gpus, 0.01)
    sampler.start()
    until(services.gpus.sampled)
    first = services.gpus.sampled()
    until(lambda: services.gpus.sampled() != first)
    sampler.close()
    last = services.gpus.sampled()
    assert not sampler._thread.is_alive() and services.gpus.sampled() == last
    Sampler(services.gpus, 1.0).close()  # one that was never started


# the worker ----------------------------------------------------------------------------------------------------------
@contextmanager
def working(services: Services, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    home = services.settings.home
    environment = {**os.environ, **environment, "LECTERN_HOME": str(home), "LECTERN_SAMPLE_EVERY_S": "0.2"}
    command = [sys.executable, "-m", "services", "worker", "--no-embedded"]
    with (home / "worker.out").open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def gpus(services: Services) -> tuple[GpuReading, ...]:
    snapshot = services.gpus.sampled()
    return snapshot.gpus if snapshot else ()


def test_the_worker_sees_gpus_come_and_go_and_the_driver_restart(
    services: Services, nvml_double: Double, tmp_path: Path
) -> None:
    file = ScenarioFile(tmp_path / "gpus.txt")
    file.write(Scenario(gpus=(Gpu(0, used=GIB, processes=(Process(os.getpid(), GIB),)),)))
    with working(services, nvml_double.environment(file.path)):
        until(lambda: len(gpus(services)) == 1)
        (holding,) = gpus(services)[0].holdings or ()
        assert (holding.pid, holding.used_bytes) == (os.getpid(), GIB)
        file.write(Scenario(gpus=(Gpu(0, used=2 * GIB), Gpu(1)), epoch=2))  # a driver with one more card
        until(lambda: [gpu.used_bytes for gpu in gpus(services)] == [2 * GIB, 0])
        file.write(Scenario(gpus=(Gpu(0, used=3 * GIB), Gpu(1, error=GPU_IS_LOST)), epoch=2))
        until(lambda: gpus(services)[1].error and gpus(services)[0].used_bytes == 3 * GIB)
        assert gpus(services)[1].used_bytes is None and gpus(services)[1].uuid
        file.write(NO_DRIVER)
        until(lambda: not gpus(services))
        snapshot = services.gpus.now()
        assert snapshot.driver.version is None and snapshot.driver.reason and snapshot.host.memory_total_bytes
        file.write(Scenario(gpus=(Gpu(0, used=4 * GIB),), epoch=3))
        until(lambda: [gpu.used_bytes for gpu in gpus(services)] == [4 * GIB])


def test_the_history_goes_on_after_a_killed_worker(services: Services, nvml_double: Double, tmp_path: Path) -> None:
    file = ScenarioFile(tmp_path / "gpus.txt")
    environment = nvml_double.environment(file.path)

    def told() -> list[float | None]:
        return [figures[0] for point in services.gpus.points(900) for figures in point.gpus.values()]

    def first_steps() -> int:
        here, step_s = services.machine_id, STEPS[1].seconds
        return len(services.store.readings.between(here, step_s, 0, now_ms()))

    file.write(Scenario(gpus=(Gpu(0, used=7 * GIB),)))
    with working(services, environment) as process:
        until(lambda: 7 * 1024 in told())
        process.send_signal(signal.SIGKILL)
        process.wait()
    begun_ms = services.store.readings.between(services.machine_id, 1, 0, now_ms())[0].taken_at_ms
    file.write(Scenario(gpus=(Gpu(0, used=2 * GIB),)))
    with working(services, environment):
        until(lambda: 2 * 1024 in told())
        until(first_steps)
    assert 7 * 1024 in told()
    first = services.store.readings.between(services.machine_id, STEPS[1].seconds, 0, now_ms())[0]
    assert first.taken_at_ms == STEPS[1].begin_ms(begun_ms) and "[7168," in first.reading  # its peak was not lost
