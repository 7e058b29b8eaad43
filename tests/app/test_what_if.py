"""GPUs: what if a server that rests were started, and how good earlier plans were."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from services.app import Services
from services.core.clock import now_ms
from services.core.units import GIB
from services.store.ledger import LedgerRecord
from services.store.servers import ServerRecord
from tests.app.pages import field, labels, opened, press, speak, words
from tests.app.test_server_form import two_cards, watched
from tests.fakes.gpu_snapshots import HOST, gpu, served, snapshot
from tests.fakes.models_on_disk import folder_model


@pytest.fixture
def resting(services: Services, tmp_path: Path) -> ServerRecord:
    """A server that rests, on a machine whose second GPU has more free memory."""
    watched(tmp_path, two_cards)
    model = folder_model(tmp_path / "models" / "small")
    return services.servers.create("coder", "vllm", {"model": str(model), "gpu_memory_utilization": 0.5})


def chosen(record: ServerRecord, *gpus: int) -> AppTest:
    app = opened("6_GPUs")
    field(app, "What if this server were started?").set_value(record.id)
    app.run()
    app.session_state[f"gpus.what_if.{record.id}"] = list(gpus)
    app.run()
    assert not app.exception
    return app


def cards(app: AppTest) -> list[str]:
    return re.findall(r"<article.*?</article>", words(app))


def test_a_server_that_rests_is_put_on_a_gpu_and_its_bar_shows_it(services: Services, resting: ServerRecord) -> None:
    total = services.what_if(resting, [1]).plan.per_gpu.reserved_bytes
    first, second = cards(chosen(resting, 1))
    assert "planned" not in first
    assert f'class="planned" style="width:{100 * total / (80 * GIB):.2f}%"' in second
    assert "coder" in second and f"{total / GIB:,.1f} GiB" in second and "missing" not in second


def test_what_is_missing_is_told_and_the_bar_ends_at_its_capacity(resting: ServerRecord) -> None:
    app = chosen(resting, 0)
    first, second = cards(app)
    assert "missing" in first and "planned" not in second
    widths = re.findall(r'<i class="\S+" style="width:([\d.]+)%">', first.partition("</div>")[2].partition("<ul")[0])
    assert sum(map(float, widths)) == pytest.approx(100, abs=0.1)
    assert "fits with changes" in words(app) and "Try: " in words(app)


def test_it_is_started_there_or_the_gpus_are_kept_for_it(services: Services, resting: ServerRecord) -> None:
    press(chosen(resting, 1), "Keep these GPUs for it")
    kept = services.servers.show(resting.id)
    assert (kept.spec["gpus"], kept.wish) == ([1], "stopped")
    app = press(chosen(resting, 0), "Start it there")
    started = services.servers.show(resting.id)
    assert (started.spec["gpus"], started.wish) == ([0], "running")
    assert "Start it there" not in labels(app) and 'class="planned"' not in words(app)


def test_what_cannot_be_computed_is_unknown_and_nothing_is_drawn(services: Services, resting: ServerRecord) -> None:
    services.servers.change(resting.id, {"model": "Org/Not-here"})
    app = chosen(resting, 1)
    assert "n/a. What it would take cannot be said" in words(app) and 'class="planned"' not in words(app)
    assert "Choose at least one GPU." in words(chosen(resting))


def test_what_a_running_server_holds_counts_as_free_for_its_own_plan(services: Services, resting: ServerRecord) -> None:
    held = served(7, 50 * GIB, resting.id, "coder", "small")
    services.gpus.keep(snapshot(now_ms(), gpu(0, held), host=HOST))
    assert not services.fits("vllm", resting.spec).plan.fits
    assert services.what_if(resting).plan.fits and services.server_row(resting)["plan"]["fits"]


def noted(
    services: Services, record: ServerRecord, token: str, gpu: str, *, planned: float, measured: float | None
) -> None:
    services.store.ledger.plan(token, record.id, services.machine_id, {gpu: int(planned * GIB)})
    if measured is None:
        return
    held = int(measured * GIB)
    row = LedgerRecord(token, gpu, services.machine_id, record.id, 0, None, None, held, held, False, 0, 0)
    services.store.ledger.write([row])


def test_plans_are_compared_with_what_came(services: Services, resting: ServerRecord) -> None:
    gpu = services.gpus.now().gpus[1].uuid or ""
    assert "How good the plans were" not in words(opened("6_GPUs"))
    noted(services, resting, "one", gpu, planned=33, measured=30)
    noted(services, resting, "two", gpu, planned=19, measured=20)
    noted(services, resting, "three", gpu, planned=19, measured=None)
    services.store.ledger.report("three", {gpu: 25 * GIB})
    html = words(opened("6_GPUs"))
    assert "3 starts compared: a plan is typically 10.0 % off." in html
    assert all(error in html for error in (">+10.0 %<", ">−5.0 %<", ">−24.0 %<")) and ">n/a<" in html
    assert [one.error_percent for one in services.estimates(resting.id)] == [
        pytest.approx(error) for error in (-24, -5, 10)
    ]


def test_the_page_tells_both_in_chinese(services: Services, resting: ServerRecord) -> None:
    noted(services, resting, "one", services.gpus.now().gpus[1].uuid or "", planned=33, measured=30)
    app = speak(opened("6_GPUs"), "zh_CN")
    assert "规划准确度" in words(app) and any("如果启动" in one.label for one in app.selectbox)
