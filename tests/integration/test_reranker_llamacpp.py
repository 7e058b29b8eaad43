"""The real llama.cpp with a reranker: told by one option, ready like any server, and asked by no chat."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.core.settings import load
from services.hub.local_models_facts import of_gguf
from services.serving import children
from services.serving.reranking import RerankServers
from services.serving.service import ServerService
from services.serving.states import READY
from services.serving.supervisor import Patience, Supervisor
from services.store import StateStore
from tests.fakes.reranker_gguf import reranker_gguf

HERE, NAME = "here", "rank"
WORDS = "the pump starts at six "


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ServerService]:
    """Servers of which one is a reranker that is ready."""
    settings = load(home=tmp_path)
    settings.layout.create()
    store = StateStore(settings.state_url)
    service = ServerService(store.servers, settings.layout, machine_id=HERE)
    model = reranker_gguf(tmp_path / "rank.gguf")
    service.create(NAME, "llama.cpp", {"model": str(model), "reranking": True, "context": 512, "threads": 1})
    service.start(NAME)
    patience = Patience(grace_s=5, readiness_s=0.05, first_restart_s=0.1)
    supervisor = Supervisor(store.servers, settings.layout, machine_id=HERE, patience=patience)
    deadline, token = time.monotonic() + 90, None
    try:
        while (row := service.show(NAME)).state != READY:
            supervisor.tick()
            token = row.launch_token or token
            assert time.monotonic() < deadline, (row, service.logs(NAME, 40))
            time.sleep(0.05)
        yield service
    finally:
        supervisor.close()
        if token:
            children.send(children.owned(None, token), signal.SIGKILL)
        store.close()


def test_llamacpp_reranks_and_no_chat_asks_it(service: ServerService) -> None:
    servers = RerankServers(service)
    assert [row.name for row in servers.offered()] == [NAME]
    servers.try_out(NAME)
    reranker = servers.named(NAME)
    assert reranker is not None
    one, other = reranker.scores("when does the pump start", ["the pump starts at six", "rent is due in may"])
    assert reranker.scores("when does the pump start", ["rent is due in may", "the pump starts at six"]) == (
        pytest.approx([other, one], abs=1e-4)
    )
    assert one != pytest.approx(other, abs=1e-3)
    long = WORDS * 90  # 450 tokens: more than llama.cpp reads at a time unless it is told to
    assert len(reranker.scores("when", [long, "a koi"])) == 2
    assert service.default() is None and service.another(()) is None


def test_a_file_says_that_it_holds_a_reranker(tmp_path: Path) -> None:
    assert of_gguf(reranker_gguf(tmp_path / "rank.gguf")).use == "reranker"
