"""A running server's figures and its log, in dialogs of the servers page."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from streamlit.testing.v1 import AppTest

from services.app import Services
from services.core.clock import now_ms
from services.serving.engine_metrics import Figures
from services.serving.logs import RotatingLog
from services.serving.places import folder_of
from services.store.figures import FigureRecord
from services.store.servers import ServerRecord
from tests.app.pages import labels, opened, press, words
from ui.servers.live import scale_end


@pytest.fixture
def server(services: Services) -> ServerRecord:
    record = services.servers.create("coder", "vllm", {"model": "org/coder-7b"})
    changed = services.store.servers.update(record.id, state="ready", wish="running", launch_token="t", url="http://x")
    assert changed
    return changed


def tell(services: Services, server: ServerRecord, age_ms: int, figures: Figures) -> None:
    at_ms = now_ms() - age_ms
    record = FigureRecord(server.id, at_ms, services.machine_id, server.launch_token or "", asdict(figures))
    services.store.figures.write(services.machine_id, [record], 0, at_ms + 1)


def charts(app: AppTest) -> list[dict[str, object]]:
    return [json.loads(chart.proto.spec) for chart in app.get("vega_lite_chart")]


def test_a_running_server_shows_its_figures_and_charts_on_scales_that_stand_still(
    services: Services, server: ServerRecord
) -> None:
    tell(services, server, 4000, Figures(running=1, waiting=0, kv_cache_percent=2, ttft_ms=120, ttft_p95_ms=300))
    now = Figures(running=12, waiting=3, kv_cache_percent=41.25, generated_tokens_per_second=1234.5)
    tell(services, server, 1000, now)
    app = press(opened("4_Servers"), "Live")
    html = words(app)
    for told in ("Requests running", ">12<", "1,234.5 tokens/s", "41.2 %", "120 ms", "95% within 300 ms"):
        assert told in html, told
    assert html.count(">n/a<") == 1, "the prompt's rate is not known, and not zero"
    tops = {
        chart["title"]["text"]: chart["layer"][0]["encoding"]["y"]["scale"]["domain"]  # type: ignore[index]
        for chart in charts(app)
    }
    assert tops == {
        "Requests": [0, 100],
        "Tokens per second": [0, 10_000],
        "Time to first token, ms": [0, 1000],
        "KV cache, %": [0, 100],
    }


def test_a_server_that_tells_nothing_says_so_and_draws_nothing(services: Services, server: ServerRecord) -> None:
    app = press(opened("4_Servers"), "Live")
    assert "No figures yet" in words(app) and charts(app) == []
    assert words(app).count(">n/a<") == 6


def test_a_server_at_rest_offers_no_figures(services: Services, server: ServerRecord) -> None:
    services.store.servers.update(server.id, state="stopped", wish="stopped")
    assert "Live" not in labels(opened("4_Servers"))


@pytest.mark.parametrize(("highest", "end"), [(None, 10), (0, 10), (10, 10), (10.5, 100), (2500, 10_000)])
def test_a_scale_without_a_capacity_grows_tenfold(highest: float | None, end: float) -> None:
    assert scale_end([[None, highest]], 10) == end


def test_a_log_is_searched_and_narrowed_to_what_is_serious(services: Services, server: ServerRecord) -> None:
    folder = folder_of(services.settings.layout, server)
    folder.mkdir(parents=True)
    RotatingLog(folder).write(b"INFO loading\nWARNING slow disk\nINFO ready\n")
    app = press(opened("4_Servers"), "Log")
    assert app.code[0].value == "INFO loading\nWARNING slow disk\nINFO ready"
    assert "3 of 3 lines" in words(app)
    assert app.get("download_button")
    for change in (lambda: app.text_input[0].set_value("info"), lambda: app.toggle[0].set_value(True)):
        change()
        press(app, "Log")
    assert app.code[0].value == "No line matches." and "0 of 3 lines" in words(app)
    app.text_input[0].set_value("")
    press(app, "Log")
    assert app.code[0].value == "WARNING slow disk" and "1 of 3 lines" in words(app)
