"""Alerts of a real worker: raised once, told, kept over a kill, cleared when their cause is gone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from services import health
from services.app import Services, bootstrap
from services.core.clock import now_ms
from services.core.settings import load
from services.core.units import GIB
from services.gpu.readings import DriverState, GpuReading, HostReading, Snapshot
from services.monitoring.alerts import KEPT_MS, AlertWatch
from services.store.alerts import AlertRecord
from tests.fakes import patience
from tests.fakes.clock import Clock
from tests.fakes.receiver import receiver

until = partial(patience.until, seconds=60)

ROOT = Path(__file__).resolve().parents[2]
CARD = GpuReading(0, "GPU-0", "NVIDIA H100", total_bytes=100 * GIB, used_bytes=10 * GIB)
FULL = replace(CARD, used_bytes=97 * GIB)
HOST = HostReading(memory_total_bytes=8 * GIB, memory_used_bytes=GIB, disk_free_bytes=50 * GIB)


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    joined = bootstrap(load(home=tmp_path, embedded=False, allow_private_webhooks=True))
    yield joined
    joined.close()


@contextmanager
def working(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "services", "worker", "--no-embedded"]
    env = {**os.environ, "LECTERN_HOME": str(home), "LECTERN_ALLOW_PRIVATE_WEBHOOKS": "1"}
    with (home / "worker.out").open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def of_servers(services: Services) -> list[AlertRecord]:
    return [alert for alert in services.alerts.open() if alert.code == "server_down"]


class Looker:
    """The worker's watch over what a test shows it."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.clock = Clock()
        self.shown: Snapshot | None = None
        self.begin()

    def begin(self) -> None:
        """A new worker."""
        self.watch = AlertWatch(
            self.services.store.alerts,
            lambda: self.services.product,
            machine_id=self.services.machine_id,
            home=self.services.settings.home,
            snapshot=lambda: self.shown,
            servers=lambda: self.services.store.servers.list(self.services.machine_id),
            sample_every_s=1,
            clock=self.clock,
        )

    def see(self, gpu: GpuReading, seconds: int) -> list[AlertRecord]:
        """Show it a card for so long; what is open then."""
        for _ in range(seconds // 3):
            self.shown = Snapshot(now_ms(), DriverState("580"), (gpu,), HOST)
            self.watch.tick()
            self.clock.pass_seconds(3)
        return self.services.alerts.open()


def test_an_alert_goes_on_over_a_restart_and_stays_one(services: Services) -> None:
    looker = Looker(services)
    assert looker.see(FULL, 30) == []
    (alert,) = looker.see(FULL, 9)
    looker.begin()
    assert looker.see(FULL, 60) == [alert]
    looker.begin()
    assert looker.see(CARD, 30) == [alert]
    assert looker.see(CARD, 9) == []
    ended = services.store.alerts.get(alert.id)
    assert ended is not None and ended.cleared_at_ms is not None and ended.pending_event is None


def test_an_alert_tells_what_it_was_and_what_to_do(services: Services) -> None:
    (alert,) = Looker(services).see(FULL, 60)
    row = services.alerts.row(alert)
    assert row["message"] == "The memory of GPU 0 (NVIDIA H100) is nearly full: 97 % (97.0 GiB of 100.0 GiB)."
    assert (row["code"], row["level"], row["subject"]) == ("gpu_memory", "warning", "GPU 0")
    assert row["since_ms"] == alert.raised_at_ms and "gpu_memory_utilization" in row["remedy"]
    assert health.status(services)["alerts"] == [row]
    (finding,) = [one for one in health.doctor(services) if one.subject == "alert"]
    assert (finding.level, finding.params["percent"]) == ("note", 97)


def test_a_threshold_that_was_chosen_counts(services: Services) -> None:
    services.choose(alert_gpu_memory_percent=98)
    assert Looker(services).see(FULL, 60) == []


def test_alerts_of_a_month_ago_are_forgotten(services: Services) -> None:
    looker = Looker(services)
    (alert,) = looker.see(FULL, 60)
    looker.see(CARD, 60)
    looker.watch.prune()
    assert services.store.alerts.get(alert.id)
    services.store.alerts.update(alert.id, cleared_at_ms=now_ms() - KEPT_MS - 1000)
    looker.watch.prune()
    assert services.store.alerts.get(alert.id) is None


def test_an_alert_of_another_version_shows_its_code(services: Services) -> None:
    services.store.alerts.begin(services.machine_id, "new_kind", "x", level="warning", params={}, announce=False)
    (row,) = health.status(services)["alerts"]
    assert (row["code"], row["message"], row["remedy"]) == ("new_kind", "new_kind", "")


def test_a_worker_raises_tells_survives_a_kill_and_clears(services: Services) -> None:
    home = services.settings.home
    with receiver() as hook:

        def told() -> list[str]:
            # Told at least once: a worker that is killed before it has noted a delivery makes it again.
            events = [one.body["event"] for one in hook.received if one.body["code"] == "server_down"]
            return list(dict.fromkeys(events))

        services.choose(webhook_url=hook.url, alert_server_s=0)
        services.servers.add_remote("dead", "http://127.0.0.1:9/v1")
        with working(home) as process:
            until(lambda: told() == ["raised"])
            process.kill()
        (alert,) = of_servers(services)
        assert (alert.subject, alert.level) == ("dead", "critical")
        with working(home):
            services.servers.remove("dead")
            until(lambda: told() == ["raised", "cleared"])
        assert of_servers(services) == []
    last = services.alerts.last_delivery()
    assert last is not None and last.error is None


def test_the_command_line_tells_open_alerts(services: Services) -> None:
    Looker(services).see(FULL, 60)
    command = [sys.executable, "-m", "services", "--home", str(services.settings.home), "--json", "status"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    assert [alert["code"] for alert in json.loads(done.stdout)["alerts"]] == ["gpu_memory"]
