"""Servers that nobody asks are unloaded, and the next question brings them back: real processes, the real chat."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from services.app import Services, bootstrap
from services.core.clock import now_ms
from services.core.errors import NoServer, ServerNotReady
from services.core.settings import load
from services.serving.states import DEMAND, READY, REST, RUN, STARTING, STOPPED, STOPPING
from services.store.conversations import TurnRecord
from services.store.servers import ServerRecord
from tests.integration import test_supervisor
from tests.integration.test_supervisor import HERE, Desk

desk = test_supervisor.desk
OWNER = "somebody"
LONG_AGO_MS = 10 * 60_000


@pytest.fixture
def services(desk: Desk) -> Iterator[Services]:
    joined = bootstrap(load(home=desk.layout.home, embedded=False), store=desk.store, servers=desk.service)
    yield joined
    joined.chat.close()
    joined.gpus.close()
    joined.stores.close()


def unused(desk: Desk, ago_ms: int = LONG_AGO_MS) -> ServerRecord:
    """The server, last asked so long ago."""
    row = desk.store.servers.update(desk.row().id, used_at_ms=now_ms() - ago_ms)
    assert row
    return row


def unloaded(desk: Desk, *flags: str) -> ServerRecord:
    """A server that was unloaded; the flags count from its next start."""
    desk.wish(idle_minutes=5)
    row = desk.until_state(READY)
    desk.store.servers.update(row.id, spec={**row.spec, "flags": list(flags)})
    unused(desk)
    return desk.until_state(STOPPED)


@contextmanager
def supervised(desk: Desk) -> Iterator[None]:
    """The supervisor ticks, as it does in a worker."""
    ending = threading.Event()

    def tick() -> None:
        while not ending.wait(0.02):
            desk.supervisor.tick()

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


def seen(services: Services, turn: TurnRecord, done: Callable[[TurnRecord], bool]) -> TurnRecord:
    for _ in range(600):
        turn = services.chat.wait(turn.id, 0.05)
        if done(turn):
            return turn
    raise AssertionError(turn)


def test_a_server_that_nobody_asks_is_unloaded_and_stays_so(desk: Desk) -> None:
    desk.wish(idle_minutes=5)
    ready = desk.until_state(READY)
    assert ready.used_at_ms, "its time begins when it is ready"
    for _ in range(5):
        desk.supervisor.tick()
    assert desk.row().state == READY
    unused(desk)
    gone = desk.until_state(STOPPED)
    assert gone.wish == DEMAND and desk.processes(ready) == []
    assert "after 5 minutes" in desk.service.row(gone)["note"]
    for _ in range(5):
        desk.supervisor.tick()
    assert desk.row() == gone


def test_a_server_without_a_limit_is_never_unloaded(desk: Desk) -> None:
    desk.wish()
    desk.until_state(READY)
    unused(desk)
    desk.supervisor.tick()
    assert desk.row().state == READY


def test_an_answer_that_takes_longer_than_the_limit_keeps_its_server(desk: Desk, services: Services) -> None:
    desk.wish(idle_minutes=5)
    desk.until_state(READY)
    unused(desk)
    talk = services.store.conversations.create(owner_id=OWNER, title="t", server_id=None)
    live = services.store.turns.create(
        talk.id,
        mode="chat",
        question="?",
        server_name="one",
        model="m",
        settings={},
        machine_id=HERE,
        pid=1,
        process_started_at=1.0,
    )
    desk.supervisor.tick()
    assert desk.row().state == READY
    services.store.turns.update(live.id, state="done")
    desk.supervisor.tick()
    assert desk.row().state == READY, "its time begins when the answer has ended"
    unused(desk)
    desk.until_state(STOPPED)


def test_a_question_starts_it_again_and_is_answered(desk: Desk, services: Services) -> None:
    unloaded(desk, "--slow-start", "0.5")
    turn = services.chat.ask(OWNER, "Are you there?")
    assert desk.row().wish == RUN and desk.row().note is not None
    assert seen(services, turn, lambda turn: turn.state == "starting").live
    with supervised(desk):
        answered = seen(services, turn, lambda turn: not turn.live)
    assert (answered.state, answered.answer) == ("done", "Hello there.")
    assert desk.row().state == READY and desk.row().note is None


def test_a_question_during_the_unloading_waits_for_the_next_start(desk: Desk, services: Services) -> None:
    desk.wish("--ignore-sigterm", idle_minutes=5)
    desk.until_state(READY)
    unused(desk)
    desk.until_state(STOPPING)
    with supervised(desk):
        turn = services.chat.ask(OWNER, "Are you there?", server="one")
        assert seen(services, turn, lambda turn: not turn.live).answer == "Hello there."


def test_stop_ends_the_waiting_and_leaves_the_server_on_its_way(desk: Desk, services: Services) -> None:
    unloaded(desk, "--never-ready")
    turn = services.chat.ask(OWNER, "Are you there?")
    with supervised(desk):
        seen(services, turn, lambda turn: turn.state == "starting")
        services.chat.stop(OWNER, turn.id)
        assert seen(services, turn, lambda turn: not turn.live).state == "stopped"
        desk.until(lambda row: row.state == STARTING)


def test_a_start_that_fails_fails_the_question_with_its_cause(desk: Desk, services: Services) -> None:
    row = unloaded(desk, "--fail")
    desk.store.servers.update(row.id, spec={**desk.row().spec, "restart": False})
    turn = services.chat.ask(OWNER, "Are you there?")
    with supervised(desk):
        failed = seen(services, turn, lambda turn: not turn.live)
    assert failed.state == "failed" and failed.error_code == "engine_exited"


def test_a_server_that_was_stopped_is_not_started_by_a_question(desk: Desk, services: Services) -> None:
    unloaded(desk)
    desk.service.stop("one")
    assert desk.row().note is None
    with pytest.raises(NoServer):
        services.chat.ask(OWNER, "Are you there?")
    with pytest.raises(ServerNotReady):
        services.chat.ask(OWNER, "Are you there?", server="one")
    assert desk.row().wish == REST


def test_a_question_at_the_moment_of_unloading_keeps_the_server(desk: Desk) -> None:
    desk.wish(idle_minutes=5)
    desk.until_state(READY)
    stale = unused(desk)
    asked = desk.service.to_ask("one")
    assert asked.state == READY and (asked.used_at_ms or 0) > (stale.used_at_ms or 0)
    assert desk.store.servers.move(stale, state=STOPPING, wish=DEMAND) is None
    assert desk.row().state == READY


def test_a_use_is_written_at_most_once_a_minute(desk: Desk) -> None:
    desk.wish(idle_minutes=5)
    desk.until_state(READY)
    first = unused(desk, ago_ms=90_000)
    noted = desk.service.to_ask("one")
    assert desk.service.to_ask("one") == noted and noted != first
    assert replace(noted, used_at_ms=first.used_at_ms) == first, "nothing else of the row changes"
