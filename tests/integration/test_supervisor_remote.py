"""Servers that somebody else runs: added by their address, watched at a slow pace."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.core.errors import (
    EmptyAnswer,
    IllegalTransition,
    InvalidName,
    InvalidValue,
    NameTaken,
    NoServer,
    ServerNotFound,
    ServerNotReady,
)
from services.core.paths import Layout
from services.serving.service import ServerService
from services.serving.states import READY, UNREACHABLE
from services.serving.supervisor import Patience, Supervisor
from services.store import StateStore
from services.store.servers import ServerRecord
from tests.fakes.chat_server import running_chat_server

HERE, NOWHERE, KEY = "here", "http://127.0.0.1:9", "s3cret"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StateStore]:
    Layout(tmp_path).create()
    store = StateStore(f"sqlite:///{Layout(tmp_path).state_db}")
    yield store
    store.close()


@pytest.fixture
def service(store: StateStore, tmp_path: Path) -> ServerService:
    return ServerService(store.servers, Layout(tmp_path), machine_id=HERE)


@pytest.fixture
def supervisor(store: StateStore, tmp_path: Path) -> Iterator[Supervisor]:
    supervisor = Supervisor(store.servers, Layout(tmp_path), machine_id=HERE, patience=Patience(remote_s=0.05))
    yield supervisor
    supervisor.close()


def until(supervisor: Supervisor, service: ServerService, done: Callable[[ServerRecord], object]) -> ServerRecord:
    deadline = time.monotonic() + 20
    while not done(service.show("box")):
        assert time.monotonic() < deadline, service.show("box")
        supervisor.tick()
        time.sleep(0.02)
    return service.show("box")


def test_an_added_server_is_asked_at_once_and_can_be_tried(service: ServerService) -> None:
    with running_chat_server(answer="Hello to you.", api_key=KEY) as server:
        added = service.add_remote(" box ", server.url.removesuffix("/v1") + "/", api_key=KEY)
        assert (added.name, added.url, added.state, added.managed) == ("box", server.url, READY, False)
        assert service.default() == service.to_ask(None) == service.to_ask("box") == added
        result = service.smoke_test("box")
        assert result.answer == "Hello to you." and result.model == service.models("box")[0]
        server.set(mode="empty")
        with pytest.raises(EmptyAnswer):
            service.smoke_test("box")


def test_a_key_is_used_and_never_shown(service: ServerService, caplog: pytest.LogCaptureFixture) -> None:
    with running_chat_server(api_key=KEY) as server, caplog.at_level("DEBUG"):
        added = service.add_remote("box", server.url, api_key=KEY)
        assert service.endpoint("box").api_key == KEY and added.state == READY
        assert KEY not in str(service.row(added)) + repr(service.endpoint("box")) + caplog.text


def test_a_server_that_comes_and_goes_is_told_ready_and_unreachable(
    service: ServerService, supervisor: Supervisor
) -> None:
    with running_chat_server() as server:
        assert service.add_remote("box", server.url).state == READY
        server.set(mode="loading")
        gone = until(supervisor, service, lambda row: row.state == UNREACHABLE)
        assert gone.error_code == "server_not_ready" and service.default() is None
        server.set(mode="unauthorized")
        until(supervisor, service, lambda row: row.error_code == "unauthorized")
        server.set(mode="normal")
        assert until(supervisor, service, lambda row: row.state == READY).error_code is None


def test_a_server_that_never_answers_does_not_hold_the_supervisor_up(
    service: ServerService, supervisor: Supervisor, store: StateStore
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        record = service.add_remote("box", NOWHERE)
        store.servers.update(record.id, url=f"http://127.0.0.1:{silent.getsockname()[1]}/v1")
        supervisor.tick()
        supervisor.tick()
        assert service.show("box").error_code == "server_not_ready"  # as before: no tick has waited for the answer
        until(supervisor, service, lambda row: row.error_code == "upstream_timeout")


def test_a_server_that_does_not_answer_is_added_all_the_same(service: ServerService) -> None:
    added = service.add_remote("box", NOWHERE)
    assert (added.state, added.error_code) == (UNREACHABLE, "server_not_ready")
    row = service.row(added)
    assert row["error"]["code"] == "server_not_ready" and "box" in row["error"]["message"]
    with pytest.raises(NoServer):
        service.to_ask(None)
    with pytest.raises(ServerNotReady):
        service.models("box")


def test_what_cannot_be_added_is_refused(service: ServerService) -> None:
    service.add_remote("box", NOWHERE)
    with pytest.raises(NameTaken):
        service.add_remote("box", NOWHERE)
    with pytest.raises(InvalidValue):
        service.add_remote("other", "ftp://127.0.0.1")
    with pytest.raises(InvalidValue):
        service.add_remote("other", NOWHERE, api_key="ключ")
    for name in ("", "  ", "a\x00b", "x" * 81):
        with pytest.raises(InvalidName):
            service.add_remote(name, NOWHERE)
    assert [row.name for row in service.list()] == ["box"]


def test_only_managed_servers_are_started_and_stopped(service: ServerService) -> None:
    service.add_remote("box", NOWHERE)
    for wish in (service.start, service.stop):
        with pytest.raises(IllegalTransition):
            wish("box")
    service.remove("box")
    with pytest.raises(ServerNotFound):
        service.show("box")


def test_no_chat_falls_to_a_server_of_vectors_while_another_is_ready(service: ServerService) -> None:
    with running_chat_server(model="bge-m3") as vectors, running_chat_server(model="qwen3-8b") as chat:
        first, second = service.add_remote("a", vectors.url, model="bge-m3"), service.add_remote("b", chat.url)
        asked, instead = service.default(), service.another([])
        assert asked and instead and asked.id == instead.id == second.id
        service.remove("b")
        last = service.default()
        assert last and last.id == first.id
