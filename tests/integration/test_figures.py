"""What servers say of themselves while they run: read over real HTTP from real processes, kept, and forgotten."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.core.clock import now_ms
from services.serving.figures import KEPT_MS, FigureBook, FigureReader
from services.serving.service import ServerService
from services.serving.states import READY, STOPPED
from services.store.figures import FigureRecord
from services.store.servers import ServerRecord
from tests.integration import test_supervisor, test_supervisor_llamacpp
from tests.integration.test_supervisor import HERE, Desk

desk = test_supervisor.desk
llama_desk = test_supervisor_llamacpp.desk
small_gguf = test_supervisor_llamacpp.small_gguf


def reader_of(desk: Desk) -> FigureReader:
    return FigureReader(lambda: desk.store.servers.list(HERE), desk.store.figures, HERE)


@pytest.fixture
def reader(desk: Desk) -> Iterator[FigureReader]:
    made = reader_of(desk)
    yield made
    made.close()


@pytest.fixture
def book(desk: Desk) -> FigureBook:
    return FigureBook(desk.store.figures)


def kept(desk: Desk, server: ServerRecord, at_ms: int, **figures: float) -> None:
    record = FigureRecord(server.id, at_ms, HERE, server.launch_token or "", figures)
    desk.store.figures.write(HERE, [record], 0, at_ms)


def test_a_running_server_tells_what_it_does(desk: Desk, reader: FigureReader) -> None:
    desk.wish()
    ready = desk.until_state(READY)
    service = ServerService(desk.store.servers, desk.layout, machine_id=HERE, figures=FigureBook(desk.store.figures))
    assert service.row(ready)["live"] is None, "nothing was read yet"
    reader.tick()
    first = service.row(ready)["live"]
    assert first == {
        "running": 0,
        "waiting": 0,
        "prompt_tokens_per_second": None,
        "generated_tokens_per_second": None,
        "ttft_ms": None,
        "kv_cache_percent": 50,
    }
    service.smoke_test("one")
    reader.tick()
    reader.tick()
    told = service.live(ready)
    assert told and told.generated_tokens_per_second == 0 and told.ttft_ms == pytest.approx(20), "of the last answer"
    rates = [one.figures.generated_tokens_per_second for one in service.live_past(ready)]
    assert len(rates) == 3 and rates[0] is None and rates[1] and rates[1] > 0
    service.stop("one")
    assert service.live(desk.until_state(STOPPED)) is None


def test_a_server_that_has_no_figures_is_asked_rarely_and_says_nothing(
    desk: Desk, reader: FigureReader, book: FigureBook
) -> None:
    desk.wish("--no-metrics")
    ready = desk.until_state(READY)
    for _ in range(3):
        reader.tick()
    assert book.now(ready) is None and book.past(ready) == []
    assert [line for line in desk.service.logs("one") if "metrics" in line] == ["asked for metrics"]


def test_figures_of_an_earlier_launch_and_old_ones_are_not_those_of_now(desk: Desk, book: FigureBook) -> None:
    desk.wish()
    ready = desk.until_state(READY)
    kept(desk, ready, now_ms() - 30_000, running=1)
    assert book.now(ready) is None and len(book.past(ready)) == 1
    kept(desk, ready, now_ms(), running=2)
    told = book.now(ready)
    assert told and told.running == 2 and told.waiting is None
    desk.service.restart("one")
    again = desk.until(lambda row: row.state == READY and row.launch_token != ready.launch_token)
    assert book.now(again) is None and book.past(again) == []


def test_figures_are_kept_for_a_quarter_of_an_hour_also_where_the_clock_was_set_back(
    desk: Desk, reader: FigureReader
) -> None:
    desk.wish()
    ready = desk.until_state(READY)
    at_ms = now_ms()
    for moment in (at_ms - KEPT_MS - 1000, at_ms - 60_000, at_ms + 3_600_000):
        kept(desk, ready, moment, running=9)
    reader.tick()
    rows = desk.store.figures.between(ready.id, ready.launch_token or "", 0, at_ms + 4_000_000)
    assert [row.figures["running"] for row in rows] == [9, 0]


@pytest.mark.slow
def test_the_real_llama_cpp_tells_its_figures(llama_desk: test_supervisor_llamacpp.Desk, small_gguf: object) -> None:
    llama_desk.service.ensure_embedded(small_gguf, llama_desk.settings)  # type: ignore[arg-type]
    ready = llama_desk.until(lambda row: row.state == READY)
    book = FigureBook(llama_desk.store.figures)
    reader = FigureReader(lambda: llama_desk.store.servers.list(HERE), llama_desk.store.figures, HERE)
    try:
        reader.tick()
        first = book.now(ready)
        assert first and (first.running, first.waiting) == (0, 0)
        llama_desk.service.smoke_test(ready.id)
        reader.tick()
    finally:
        reader.close()
    told = book.now(ready)
    assert told and told.prompt_tokens_per_second and told.generated_tokens_per_second
    assert 0.1 < told.generated_tokens_per_second < 10_000
    assert told.ttft_ms is None and told.kv_cache_percent is None
