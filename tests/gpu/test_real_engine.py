"""A real engine on a real card: planned, started, measured, asked, stopped, and refused where the card is full.

`transformers serve` with seven billion random weights, made on the card. What is looked at is what the pages show.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from services.app import Services, bootstrap
from services.core.settings import load
from services.core.units import GIB, MIB
from services.gpu.nvml import Nvml
from services.gpu.readings import GpuReading
from services.health import worker_status
from services.hub.cards import cards_of
from services.hub.model_files import read_model
from services.hub.plan import plan
from services.hub.plan_types import PlanWish
from services.llm.client import OpenAIChatModel
from services.llm.protocol import Message, Sampling, TextDelta
from services.serving import children
from services.serving.environments import Environments
from services.serving.states import FAILED, READY, STOPPED
from services.store.servers import ServerRecord
from tests.fakes import patience
from tests.gpu.test_real_card import holding

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(900)]

ROOT = children.ROOT
MAKE_MODEL = ROOT / "tests" / "fakes" / "make_tiny_model.py"
NEEDED = 20 * GIB
"""Of the card and of the disk."""
LEFT = 4 * GIB
"""What another process leaves of the card: too little for the weights."""
CONTEXT_AT_MOST = 2 * GIB
"""What CUDA and its libraries take beside the weights."""
BACK_WITHIN = 64 * MIB
PATIENCE_S = 120.0
T = TypeVar("T")


def until(condition: Callable[[], T | None]) -> T:
    return patience.until(condition, PATIENCE_S)


def say(step: str, *words: object) -> None:
    print(f"  {step:<10}", *words, flush=True)


@pytest.fixture(scope="module")
def python() -> str:
    """A Python that has transformers, and torch for CUDA."""
    named = os.environ.get("GPU_ENGINE_PYTHON")
    built = Environments(ROOT / "build" / "engines").show("transformers")
    if not named and built.state != "ready":
        pytest.skip("no engine: run `make test-engines` first, or set GPU_ENGINE_PYTHON to a Python that has one")
    return named or str(built.path / "bin" / "python")


@pytest.fixture(scope="module")
def services(nvml: Nvml, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """What a page has, beside a worker that watches the card and makes wishes true."""
    home = tmp_path_factory.mktemp("home")
    joined = bootstrap(load(home=home, embedded=False))
    command = [sys.executable, "-m", "services", "worker", "--no-embedded"]
    with (home / "worker.out").open("wb") as log:
        worker = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "LECTERN_HOME": str(home)}, stderr=log)
        try:
            until(lambda: worker_status(joined).running and joined.gpus.now().gpus)
            yield joined
        finally:
            for server in joined.servers.list():
                joined.servers.stop(server.name)
            until(lambda: all(server.state in (STOPPED, FAILED) for server in joined.servers.list()))
            worker.terminate()
            worker.wait(30)
            joined.close()


@pytest.fixture(scope="module")
def model(services: Services, python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 14 GB; only where there is room for it."""
    folder = tmp_path_factory.mktemp("models") / "seven-billion"
    free = (card(services).free_bytes or 0, os.statvfs(folder.parent).f_bavail * os.statvfs(folder.parent).f_frsize)
    if min(free) < NEEDED:
        pytest.skip(f"needs {NEEDED // GIB} GiB of the card and of the disk")
    idle = card(services).used_bytes or 0
    made = subprocess.run([python, "-P", str(MAKE_MODEL), "large", str(folder)], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    until(lambda: abs((card(services).used_bytes or 0) - idle) < BACK_WITHIN)
    return folder


def card(services: Services) -> GpuReading:
    return services.gpus.now().gpus[0]


def settled(services: Services, name: str) -> ServerRecord:
    """Start a server, and wait until it is ready or has failed for good."""
    services.servers.start(name)

    def done() -> ServerRecord | None:
        row = services.servers.show(name)
        return row if row.state in (READY, FAILED) else None

    return until(done)


def test_a_life_from_a_plan_to_an_answer_and_down_again(services: Services, python: str, model: Path) -> None:
    planned = plan(read_model(model), PlanWish(max_model_len=2048), cards_of(services.gpus.now()))
    held = planned.per_gpu
    say("plan", f"fits: {planned.fits}; weights {held.weights_bytes / GIB:.2f} GiB,")
    say("", f"rule of thumb {planned.rule.bytes / GIB:.2f} GiB, KV cache {held.kv_bytes_per_token:,} B for a token")
    assert planned.fits

    before = card(services)
    choices = {"model": str(model), "device": "cuda:0", "program": python, "gpus": [before.index]}
    services.servers.create("seven", "transformers", choices)
    begin = time.monotonic()
    row = settled(services, "seven")
    assert row.state == READY, "\n".join(services.servers.logs("seven"))
    say("ready", f"after {time.monotonic() - begin:.0f} s:", row.url)

    memory = until(lambda: services.servers.memory(row.id).whole.measured_bytes)
    say("measured", f"{memory / GIB:.2f} GiB, {(memory - held.weights_bytes) / MIB:.0f} MiB beside the weights")
    assert held.weights_bytes <= memory <= held.weights_bytes + CONTEXT_AT_MOST
    holders = [each.holder for each in card(services).holdings or () if each.holder]
    say("whose", [(holder.server, holder.how, holder.command[:40] if holder.command else "") for holder in holders])
    assert [holder.how for holder in holders if holder.server_id == row.id] == ["token"]

    events = list(OpenAIChatModel(services.servers.endpoint("seven")).stream([Message("user", "hi")], Sampling(16)))
    said = "".join(event.text for event in events if isinstance(event, TextDelta))
    say("chat", repr(said[:60]))
    assert said

    begin = time.monotonic()
    services.servers.stop("seven")
    until(lambda: services.servers.show("seven").state == STOPPED)
    say("stopped", f"after {time.monotonic() - begin:.1f} s")
    assert children.owned(None, row.launch_token) == []
    assert children.port_is_free(row.port or 0)
    until(lambda: abs((card(services).used_bytes or 0) - (before.used_bytes or 0)) < BACK_WITHIN)
    now = card(services).used_bytes or 0
    say("memory", f"back: {(before.used_bytes or 0) / MIB:.0f} MiB before, {now / MIB:.0f} now")


def test_a_card_that_is_full_is_named_as_the_reason(services: Services, python: str, model: Path) -> None:
    free = card(services)
    with holding(free.uuid or "", (free.free_bytes or 0) - LEFT):
        until(lambda: (card(services).free_bytes or 0) < LEFT)
        assert not plan(read_model(model), PlanWish(max_model_len=2048), cards_of(services.gpus.now())).fits
        choices = {"model": str(model), "device": "cuda:0", "program": python, "restart": False}
        services.servers.create("late", "transformers", choices)
        row = settled(services, "late")
    found = services.servers.diagnoses(row)
    assert row.state == FAILED, "\n".join(services.servers.logs("late"))
    assert found, "\n".join(services.servers.logs("late"))
    say("failed", found[0].code, "·", found[0].evidence.line[:160])
    say("", found[0].render().message)
    assert found[0].code == "torch_out_of_gpu_memory"
