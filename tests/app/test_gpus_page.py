"""GPUs: who holds the memory, what the cards do, what is unknown or lost, and stopping a server."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from html import unescape
from threading import Barrier

import pytest
from sqlalchemy import event
from streamlit.testing.v1 import AppTest

from services.app import Services
from services.core.clock import now_ms
from services.core.machine import this_process
from services.core.units import GIB
from services.gpu.readings import Ecc, GpuReading, Holder, Holding
from services.store.servers import ServerRecord
from tests.app.pages import labels, opened, press, speak, words
from tests.fakes.gpu_snapshots import H100, HOST, NO_DRIVER, busy, gpu, lost, served, sliced, snapshot, stranger
from ui.gpus import live, servers


@pytest.fixture(autouse=True)
def worker(services: Services) -> None:
    """A worker that samples, so that no page asks the driver of whoever runs the test."""
    me = this_process()
    services.store.workers.beat(services.machine_id, "here", me.pid, me.started_at)


def server(services: Services, name: str, model: str = "Qwen/Qwen2.5-72B-Instruct") -> ServerRecord:
    return services.store.servers.create(
        machine_id=services.machine_id,
        name=name,
        engine="vllm",
        model=model,
        spec={},
        managed=True,
        wish="running",
        state="ready",
    )


def seen(services: Services, *gpus: GpuReading, age_ms: int = 0) -> AppTest:
    services.gpus.keep(snapshot(now_ms() - age_ms, *gpus))
    return opened("6_GPUs")


def text(html: str) -> str:
    """What a reader sees of HTML."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def cards(app: AppTest) -> list[str]:
    return re.findall(r"<article.*?</article>", words(app))


def test_without_a_driver_the_page_says_why_and_what_to_do_and_shows_the_host(services: Services) -> None:
    services.gpus.keep(snapshot(now_ms(), driver=NO_DRIVER))
    drawn = words(opened("6_GPUs"))
    html = text(drawn)
    assert "No GPU on this machine Reason: there is no driver library." in html
    assert "install NVIDIA's driver" in html and "everything runs on the CPU" in html
    assert "187.0 / 512.0 GiB" in html and "64 cores · load 20.6" in html
    assert "<h3>Processes" not in drawn and 'class="lectern-badge failed"' not in drawn


def test_each_gpu_tells_who_holds_its_memory(services: Services) -> None:
    assistant, coder = server(services, "assistant"), server(services, "coder", "Qwen/Coder")
    app = seen(
        services,
        gpu(0, served(11, 40 * GIB, assistant.id, "assistant", "Qwen/72B"), stranger(12, 3 * GIB)),
        gpu(
            1,
            served(13, 20 * GIB, coder.id, "coder", "Qwen/Coder"),
            served(None, GIB, assistant.id, "assistant", "Qwen/72B", "estimate"),
        ),
    )
    first, second = cards(app)
    assert H100 in first and "43.4 / 80.0 GiB" in text(first)
    assert "assistant Qwen/72B 40.0 GiB 1 other process 3.0 GiB not attributed 400.0 MiB" in text(first)
    assert "assistant Qwen/72B estimated 1.0 GiB" in text(second) and "estimated" not in text(first)
    assert 'class="s0" style="width:50.00%"' in first and 'class="s0" style="width:1.25%"' in second
    assert 'class="s1" style="width:25.00%"' in second


def test_figures_have_units_and_limits_and_the_unknown_is_no_zero(services: Services) -> None:
    told = gpu(0, throttle_reasons=("idle", "sw_power_cap", "hw_thermal"))
    silent = GpuReading(1, "GPU-1", "Old card", total_bytes=8 * GIB, holdings=None)
    known, unknown = map(text, cards(seen(services, told, silent)))
    for figure in ("Utilisation 87 %", "64 °C slows at 89 °C", "512 W of 700 W", "1,755 MHz of 1,980 MHz"):
        assert figure in known
    assert "power limit, too hot, slowed down by the hardware" in known and "nothing to do" not in known
    assert "gen 5 × 16 of 5 × 16" in known and "0 corrected, 0 uncorrected" in known
    assert "Utilisation n/a" in unknown and "Held back by n/a" in unknown and "ECC n/a" in unknown
    assert "n/a / 8.0 GiB" in unknown and "not attributed n/a" in unknown and " 0 " not in unknown


def test_memory_errors_that_were_not_corrected_stand_out(services: Services) -> None:
    (card,) = cards(seen(services, gpu(0, ecc=Ecc(True, 4, 1, 7))))
    assert 'class="long bad"' in card and "4 corrected, 1 uncorrected · 7 uncorrected ever" in text(card)


def test_a_lost_gpu_says_so_and_keeps_its_name(services: Services) -> None:
    card, well = cards(seen(services, lost(0), gpu(1)))
    assert H100 in card and "does not answer" in card and "the GPU is lost: it no longer answers on the bus" in card
    assert "Utilisation" not in card and "Utilisation" in well


def test_the_instances_of_a_divided_gpu_have_bars_of_their_own(services: Services) -> None:
    coder = server(services, "coder")
    (card,) = cards(seen(services, sliced(0, coder.id)))
    assert "2g.20gb #1 17.0 / 20.0 GiB" in text(card) and "1g.10gb #10 0.0 / 10.0 GiB" in text(card)
    assert 'class="s0" style="width:85.00%"' in card
    assert 'class="others" style="width:30.00%"' in card


def test_names_of_strangers_are_shown_as_text(services: Services) -> None:
    hostile = '<img src=x onerror="alert(1)">'
    record = server(services, "plain", hostile)
    holding = Holding(7, GIB, holder=Holder(hostile, hostile))
    ours = served(8, GIB, record.id, hostile, hostile, hostile)
    html = words(seen(services, gpu(0, holding, ours, name=hostile), replace(lost(1), error=hostile)))
    assert "<img src=x" not in html and html.count("&lt;img src=x onerror=&quot;alert(1)&quot;&gt;") >= 7


def test_an_old_reading_tells_its_age_and_a_fresh_one_does_not(services: Services) -> None:
    assert "This reading is 2 h 5 min old" in words(seen(services, gpu(0), age_ms=125 * 60_000 + 1_000))
    assert "This reading is" not in words(seen(services, gpu(0)))


def test_processes_are_listed_by_memory_with_how_they_were_recognised(services: Services) -> None:
    record = server(services, "assistant")
    app = seen(
        services,
        gpu(0, stranger(21, 2 * GIB, "jun", "python a.py"), served(22, 30 * GIB, record.id, "assistant", "m")),
        gpu(1, stranger(23, 5 * GIB, None, None), served(None, 4 * GIB, record.id, "assistant", "m", "estimate")),
    )
    table = words(app).partition("<tbody>")[2].partition("</tbody>")[0]
    rows = [text(row) for row in table.split("</tr>") if row]
    assert rows == [
        "0 22 assistant python -m vllm.entrypoints.openai.api_server 30.0 GiB launch token",
        "1 23 unknown 5.0 GiB",
        "1 assistant python -m vllm.entrypoints.openai.api_server 4.0 GiB estimated from the launch",
        "0 21 jun python a.py 2.0 GiB",
    ]
    assert "Lectern ends only what it has started" in words(app)


def test_only_servers_of_ours_can_be_stopped_and_stopping_asks_once(services: Services) -> None:
    record = server(services, "assistant")
    app = seen(
        services,
        gpu(0, served(22, 30 * GIB, record.id, "assistant", "m"), stranger(21, 2 * GIB)),
        gpu(1, served(23, 20 * GIB, record.id, "assistant", "m")),
    )
    assert labels(app).count("Stop") == 1
    assert (
        "Planned n/a Reported by the engine n/a Measured 50.0 GiB Peak 50.0 GiB GPU 0: 30.0 GiB · GPU 1: 20.0 GiB"
        in text(words(app))
    )
    app = press(app, "Stop")
    assert "Its memory comes free" in words(app) and services.servers.show(record.id).wish == "running"
    app = press(app, "Stop", within="Stop")
    assert services.servers.show(record.id).wish == "stopped"
    assert all(button.disabled for button in app.button if button.label == "Stop")


def test_the_history_begins_where_the_sampling_began(services: Services) -> None:
    assert "Nothing was sampled in this time" in words(seen(services, age_ms=3_600_000))
    for ago_s in range(300, 0, -10):
        services.gpus.keep(busy(now_ms() - ago_s * 1000, 2, ()))
    app = opened("6_GPUs")
    assert "Sampled since" in words(app) and len(app.get("vega_lite_chart")) == 6


def test_the_page_speaks_chinese_and_keeps_its_figures(services: Services) -> None:
    record = server(services, "assistant")
    services.gpus.keep(busy(now_ms(), 2, ((record.id, record.name, record.model),)))
    app = speak(opened("6_GPUs"), "zh_CN")
    assert "停止" in labels(app) and "Stop" not in labels(app) and "/ 80.0 GiB" in words(app)


def test_the_host_without_swap_says_so(services: Services) -> None:
    services.gpus.keep(snapshot(now_ms(), gpu(0), host=replace(HOST, swap_total_bytes=0)))
    assert "Swap none" in text(words(opened("6_GPUs")))


# many readers --------------------------------------------------------------------------------------------------------
@pytest.fixture
def hurried() -> Iterator[None]:
    """Threads that give way to each other at every turn."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_a_moment_is_drawn_once_for_all_who_look_in_the_same_language(services: Services) -> None:
    services.gpus.keep(busy(now_ms(), 8, ()))
    live.drawn.cache_clear()
    first, second = opened("6_GPUs"), opened("6_GPUs")
    assert cards(first) == cards(second) and live.drawn.cache_info().misses == 1
    assert "free" in text(cards(first)[0])
    chinese = cards(speak(second, "zh_CN"))
    assert live.drawn.cache_info().misses == 2
    assert "空闲" in text(chinese[0]) and "free" not in text(chinese[0])
    assert "free" in text(cards(first.run())[0]) and cards(second.run()) == chinese
    assert live.drawn.cache_info().misses == 2


def test_those_who_tick_at_the_same_time_wait_for_one_drawing(hurried: None) -> None:
    live.drawn.cache_clear()
    snapshot, together = busy(1, 8, ()), Barrier(8)

    def tick(_session: int) -> live.Drawn:
        together.wait()
        return live.drawing(live.View(1, "zh_CN", (), None, snapshot))

    with ThreadPoolExecutor(8) as sessions:
        made = list(sessions.map(tick, range(8)))
    assert all(one is made[0] for one in made) and live.drawn.cache_info().misses == 1
    assert "空闲" in made[0].overview  # in the language of the view, whoever was the first


def test_one_look_at_the_servers_serves_all_sessions_and_news_draws_the_page_again(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, asked, at_ms = server(services, "assistant"), [0], 10 * servers.LOOK_MS
    monkeypatch.setattr(servers, "ticks_ms", lambda: at_ms)
    event.listen(services.store.database.engine, "begin", lambda _connection: asked.append(1))
    shown = servers.states(servers.managed(services))
    asked.clear()
    looks = [servers.looked(services) for _session in range(10)]
    assert len(asked) == 1 and not looks[0].changed(at_ms - 1, shown)
    services.store.servers.update(record.id, state="stopping")
    assert not servers.looked(services).changed(at_ms - 1, shown)
    drawn_at_ms, fresh = at_ms + 1, servers.states(servers.managed(services))
    assert not servers.looked(services).changed(drawn_at_ms, fresh)  # the look is older than that page
    at_ms += servers.LOOK_MS
    assert servers.looked(services).changed(drawn_at_ms, shown)
    assert not servers.looked(services).changed(drawn_at_ms, fresh)
