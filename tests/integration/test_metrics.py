"""What /metrics tells is what is so, counts everything once, and costs little."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain
from starlette.testclient import TestClient

from services.api import create
from services.app import Services, bootstrap
from services.core.clock import now_ms
from services.core.settings import load
from services.core.units import GIB
from services.gpu.readings import (
    DriverState,
    Ecc,
    GpuReading,
    Holder,
    Holding,
    HostReading,
    MigInstance,
    Pcie,
    Snapshot,
)
from services.monitoring import turn_totals
from services.monitoring.metrics import STALE_MS, Metrics
from services.store.conversations import TurnOutcome, TurnRecord
from tests.browser.conftest import serving

ROOT = Path(__file__).resolve().parents[2]
NAME = 'a "quoted"\nname\\'

FULL = GpuReading(
    index=0,
    uuid="GPU-a",
    name="NVIDIA X",
    total_bytes=80 * GIB,
    used_bytes=60 * GIB,
    free_bytes=19 * GIB,
    reserved_bytes=GIB,
    utilization_percent=87,
    memory_utilization_percent=40,
    temperature_celsius=66,
    temperature_limit_celsius=87,
    fan_percent=30,
    power_watts=512.5,
    power_limit_watts=700.0,
    sm_clock_mhz=1755,
    max_sm_clock_mhz=1980,
    memory_clock_mhz=2619,
    max_memory_clock_mhz=2619,
    performance_state=0,
    throttle_reasons=("sw_power_cap",),
    ecc=Ecc(True, 3, 1, 2),
    pcie=Pcie(5, 5, 16, 16, 1000, 2000),
    mig_enabled=True,
    mig=(MigInstance(1, 0, "MIG-a", "1g.10gb", 10 * GIB, GIB, 9 * GIB),),
    holdings=(
        Holding(812, 40 * GIB, holder=Holder("root", "vllm", "id", NAME, "Qwen/Qwen3-8B")),
        Holding(813, 8 * GIB, holder=Holder("root", "vllm", "id", NAME, "Qwen/Qwen3-8B")),
        Holding(None, 2 * GIB, holder=Holder(server_id="x", server="embed", how="estimate")),
        Holding(41, 5 * GIB, holder=Holder("anna", "python train.py")),
        Holding(42, None),
    ),
)
SILENT = GpuReading(index=1, uuid="GPU-b", error="the GPU is lost")
HOST = HostReading(12.5, 16, 1.5, 128 * GIB, 20 * GIB, 2 * GIB, 0, 500 * GIB, 100 * GIB, 400 * GIB)


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    joined = bootstrap(load(home=tmp_path, embedded=False, metrics=True))
    yield joined
    joined.close()


def sample(services: Services, *gpus: GpuReading, age_ms: int = 0, host: HostReading = HOST) -> None:
    """Leave behind what a worker would."""
    driver = DriverState("580.65.06", "13.0") if gpus else DriverState(reason="there is no driver library")
    services.gpus.keep(Snapshot(now_ms() - age_ms, driver, gpus, host))


class Scraped(dict[str, float]):
    """One scrape: `name{label="value",…}` -> value, labels in order of their names."""

    @staticmethod
    def of(text: str) -> Scraped:
        found = Scraped()
        for family in plain(text):
            for one in family.samples:
                labels = ",".join(f'{name}="{value}"' for name, value in sorted(one.labels.items()))
                found[f"{one.name}{{{labels}}}"] = one.value
        return found

    def named(self, name: str) -> dict[str, float]:
        return {key: value for key, value in self.items() if key.partition("{")[0] == name}


def scrape(metrics: Metrics) -> Scraped:
    return Scraped.of(metrics.page()[0].decode())


def metrics_of(services: Services) -> Metrics:
    return Metrics(services.store, services.gpus, services.knowledge, services.machine_id)


def asked(services: Services, mode: str = "chat", **changes: Any) -> TurnRecord:
    """A question, stored as the chat stores it."""
    conversation = services.store.conversations.create(owner_id="o", title="t", server_id=None)
    turn = services.store.turns.create(
        conversation.id,
        mode=mode,
        question="q",
        server_name="s",
        model="m",
        settings={},
        machine_id=services.machine_id,
        pid=1,
        process_started_at=1.0,
    )
    return (services.store.turns.update(turn.id, **changes) if changes else turn) or turn


ANSWERED: dict[str, Any] = {
    "state": "done",
    "timings_ms": {"first_token": 300.0, "total": 2500.0},
    "prompt_tokens": 700,
}


# the figures ---------------------------------------------------------------------------------------------------------
def test_a_gpu_is_told_in_base_units_and_by_server(services: Services) -> None:
    sample(services, FULL, SILENT)
    seen = scrape(metrics_of(services))
    own = 'gpu="0",uuid="GPU-a"'
    assert seen[f"lectern_gpu_memory_used_bytes{{{own}}}"] == 60 * GIB
    assert seen[f"lectern_gpu_memory_unattributed_bytes{{{own}}}"] == 5 * GIB
    assert seen[f"lectern_gpu_utilization_ratio{{{own}}}"] == 0.87
    assert seen[f'lectern_gpu_clock_hertz{{clock="sm",{own}}}'] == 1_755_000_000
    assert seen['lectern_gpu_throttled{gpu="0",reason="sw_power_cap",uuid="GPU-a"}'] == 1
    assert seen['lectern_gpu_throttled{gpu="0",reason="hw_thermal",uuid="GPU-a"}'] == 0
    assert seen['lectern_gpu_ecc_errors_total{gpu="0",kind="corrected",uuid="GPU-a"}'] == 3
    held = seen.named("lectern_gpu_server_memory_bytes")
    assert sorted(held.values()) == [2 * GIB, 48 * GIB]
    assert [value for key, value in held.items() if 'estimated="true"' in key] == [2 * GIB]
    assert seen[f"lectern_gpu_other_memory_bytes{{{own}}}"] == 5 * GIB
    assert seen["lectern_host_cpu_utilization_ratio{}"] == 0.125


def test_what_is_not_known_is_absent_and_not_zero(services: Services) -> None:
    bare = GpuReading(index=0, uuid="GPU-a", name="X", holdings=(Holding(7, None),))
    sample(services, bare, SILENT, host=HostReading())
    seen = scrape(metrics_of(services))
    told = {key for key in seen if key.startswith(("lectern_gpu_", "lectern_host_")) and "driver" not in key}
    assert {key.partition("{")[0] for key in told} == {"lectern_gpu_info", "lectern_gpu_up"}
    assert seen['lectern_gpu_up{gpu="0",uuid="GPU-a"}'] == 1 and seen['lectern_gpu_up{gpu="1",uuid="GPU-b"}'] == 0


def test_a_machine_without_a_gpu_tells_its_host(services: Services) -> None:
    sample(services)
    seen = scrape(metrics_of(services))
    assert not [key for key in seen if key.startswith("lectern_gpu")]
    assert seen["lectern_host_cpus{}"] == 16


def test_old_readings_are_left_out_but_their_age_is_told(services: Services) -> None:
    assert not scrape(metrics_of(services)).named("lectern_sampler_age_seconds")
    sample(services, FULL, age_ms=2 * STALE_MS)
    seen = scrape(metrics_of(services))
    assert seen["lectern_sampler_age_seconds{}"] >= 2 * STALE_MS / 1000
    assert not [key for key in seen if key.startswith(("lectern_gpu", "lectern_host"))]
    assert seen["lectern_worker_up{}"] == 0


def test_names_that_people_chose_are_escaped(services: Services) -> None:
    sample(services, FULL)
    text = metrics_of(services).page()[0].decode()
    assert r'server="a \"quoted\"\nname\\"' in text
    (family,) = [family for family in plain(text) if family.name == "lectern_gpu_server_memory_bytes"]
    assert NAME in {one.labels["server"] for one in family.samples}


def test_servers_and_bases_are_told_by_state(services: Services) -> None:
    services.servers.add_remote("dead", "http://127.0.0.1:9/v1", model="m")
    services.store.servers.create(
        machine_id="elsewhere",
        name="theirs",
        engine="remote",
        model="",
        spec={},
        managed=False,
        wish="running",
        state="ready",
    )
    base = services.knowledge.create("Garden")
    services.knowledge.add(base, "a.txt", io.BytesIO(b"The pond."))
    services.store.jobs.begin(services.machine_id, "fetch_model", "embedded", "bytes")
    seen = scrape(metrics_of(services))
    assert seen.named("lectern_server_up") == {'lectern_server_up{engine="remote",model="m",server="dead"}': 0}
    assert seen['lectern_server_state{server="dead",state="unreachable"}'] == 1
    assert sum(seen.named("lectern_server_state").values()) == 1
    assert seen['lectern_base_documents{base="Garden",state="queued"}'] == 1
    assert sum(seen.named("lectern_base_documents").values()) == 1
    assert seen['lectern_base_chunks{base="Garden"}'] == 0
    assert seen['lectern_jobs{kind="fetch_model",state="working"}'] == 1


def test_a_damaged_base_silences_no_other(services: Services) -> None:
    damaged = services.knowledge.create("Damaged")
    services.knowledge.create("Garden")
    services.knowledge.summary(damaged)
    services.stores.forget(damaged.id)
    (file,) = services.settings.layout.base(damaged.id).glob("*.sqlite3")
    file.write_bytes(b"no database at all" * 1000)
    seen = scrape(metrics_of(services))
    assert seen.named("lectern_base_up") == {'lectern_base_up{base="Damaged"}': 0, 'lectern_base_up{base="Garden"}': 1}
    assert seen.named("lectern_base_chunks") == {'lectern_base_chunks{base="Garden"}': 0}


# the counters --------------------------------------------------------------------------------------------------------
def test_turns_are_counted_once_when_they_end(services: Services) -> None:
    asked(services, **ANSWERED)
    growing = asked(services)
    metrics = metrics_of(services)
    ended = 'lectern_chat_turns_total{mode="chat",state="done"}'
    first = scrape(metrics)
    assert first[ended] == 0  # what was there before is no increase
    assert first["lectern_chat_turns_live{}"] == 1
    asked(services, mode="knowledge", **ANSWERED, completion_tokens=9)
    services.store.turns.update(growing.id, **ANSWERED)
    asked(services, state="failed", timings_ms={"total": 9.0})
    for _ in range(3):
        seen = scrape(metrics)
        assert seen[ended] == 1
        assert seen['lectern_chat_turns_total{mode="knowledge",state="done"}'] == 1
        assert seen['lectern_chat_turns_total{mode="chat",state="failed"}'] == 1
        assert seen['lectern_chat_prompt_tokens_total{mode="knowledge"}'] == 700
        assert seen['lectern_chat_completion_tokens_total{mode="knowledge"}'] == 9
        assert seen['lectern_chat_first_token_seconds_bucket{le="0.25",mode="chat"}'] == 0
        assert seen['lectern_chat_first_token_seconds_bucket{le="0.5",mode="chat"}'] == 1
        assert seen['lectern_chat_answer_seconds_sum{mode="chat"}'] == 2.5
        assert seen["lectern_chat_turns_live{}"] == 0
        services.store.turns.update(growing.id, stop_requested=True)  # touched again, counted no more


def test_rated_answers_are_counted_as_they_are_now(services: Services) -> None:
    metrics, (first, second) = metrics_of(services), [asked(services, **ANSWERED) for _ in range(2)]
    rows = services.store.feedback
    rows.put(first.id, "me", "good", "")
    rows.put(second.id, "me", "", "Hm.")
    assert scrape(metrics).named("lectern_chat_feedback") == {
        'lectern_chat_feedback{verdict="good"}': 1,
        'lectern_chat_feedback{verdict="bad"}': 0,
        'lectern_chat_feedback{verdict="none"}': 1,
    }
    rows.put(first.id, "me", "bad", "")
    rows.take_back(second.id, "me")
    assert list(scrape(metrics).named("lectern_chat_feedback").values()) == [0, 1, 0]


def test_deleting_conversations_takes_nothing_from_a_counter(services: Services) -> None:
    metrics = metrics_of(services)
    turns = [asked(services, **ANSWERED) for _ in range(3)]
    live = asked(services)
    before = scrape(metrics)
    for turn in [*turns, live]:
        services.store.conversations.remove(turn.conversation_id)
    after = scrape(metrics)
    assert before.named("lectern_chat_turns_total") == after.named("lectern_chat_turns_total")
    assert after['lectern_chat_turns_total{mode="chat",state="done"}'] == 3
    assert after["lectern_chat_turns_live{}"] == 0


def test_no_turn_is_counted_twice_or_lost_when_the_clock_is_set(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, ahead_ms = now_ms(), 0
    monkeypatch.setattr(turn_totals, "now_ms", lambda: begin + ahead_ms)
    monkeypatch.setattr("services.store.conversations.now_ms", lambda: begin + ahead_ms)
    metrics, ended, counted = metrics_of(services), 'lectern_chat_turns_total{mode="chat",state="done"}', 0
    late = asked(services)
    for step_ms in (0, 60_000, -1_800_000, 1_000, 7_200_000, -3_000_000, 100):
        ahead_ms += step_ms
        asked(services, **ANSWERED)
        counted += 1
        assert scrape(metrics)[ended] == counted
        assert scrape(metrics)[ended] == counted
    services.store.turns.update(late.id, **ANSWERED)  # begun hours ago, ended now
    assert scrape(metrics)[ended] == counted + 1


def test_a_scrape_reads_no_turn_that_it_has_counted(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics, outcomes = metrics_of(services), services.store.turns.outcomes
    read: list[list[str]] = []

    def noted(ids: Sequence[str]) -> list[TurnOutcome]:
        read.append(list(ids))
        return outcomes(ids)

    monkeypatch.setattr(services.store.turns, "outcomes", noted)
    for _ in range(5):
        asked(services, **ANSWERED)
    growing = asked(services)
    for _ in range(3):
        scrape(metrics)
    assert [len(ids) for ids in read] == [6, 1, 1]
    assert read[2] == [growing.id]


# the address ---------------------------------------------------------------------------------------------------------
def test_it_is_off_until_it_is_asked_for(tmp_path: Path) -> None:
    services = bootstrap(load(home=tmp_path))
    assert TestClient(create(services)).get("/metrics").status_code == 404
    services.close()


def test_it_speaks_both_forms(services: Services) -> None:
    sample(services, FULL)
    browser = TestClient(create(services))
    text = browser.get("/metrics")
    assert text.status_code == 200 and text.headers["content-type"].startswith("text/plain; version=0.0.4")
    answer = browser.get("/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    families = openmetrics(answer.text)  # type: ignore[no-untyped-call]
    assert {family.name for family in families} >= {"lectern_chat_turns", "lectern_gpu_up"}
    assert "_created" not in text.text


def test_a_database_that_cannot_be_read_is_no_page_of_zeros(services: Services) -> None:
    browser = TestClient(create(services))
    services.store.database.close()
    services.settings.layout.state_db.unlink()
    answer = browser.get("/metrics")
    assert (answer.status_code, answer.json()) == (503, {"error": "database_unavailable"})


@pytest.mark.parametrize(("setting", "status"), [("true", 200), ("false", 404)])
def test_the_web_process_serves_it_behind_its_guards(tmp_path: Path, setting: str, status: int) -> None:
    (tmp_path / "settings.toml").write_text(f"metrics = {setting}\n")
    with serving(ROOT / "web.py", tmp_path) as site:
        answer = httpx.get(f"{site.url}/metrics", trust_env=False)
        assert answer.status_code == status
        assert ("lectern_build_info" in answer.text) == (status == 200)
        assert answer.headers["x-content-type-options"] == "nosniff" and "set-cookie" not in answer.headers
        foreign = httpx.get(f"{site.url}/metrics", headers={"Host": "evil.example"}, trust_env=False)
        assert foreign.status_code == 421 and "lectern" not in foreign.text
