"""The real vLLM on the CPU under the supervisor: a whole life, and the ways in which it fails to start.

What it prints (`-s`) is the life: plan, start, ready, chat, metrics, fail by a flag, diagnosed, fixed, stop.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from services.cli.choices import choices_of
from services.core.units import GIB
from services.hub.cards import imagined
from services.hub.model_files import read_model
from services.hub.plan import plan
from services.hub.plan_types import PlanWish
from services.llm.addresses import root_url
from services.serving.diagnosis import Context, Diagnosis, diagnose
from services.serving.engines.protocol import Place
from services.serving.engines.vllm import Vllm, VllmSpec
from services.serving.launch import Exit
from services.serving.places import folder_of
from services.serving.states import FAILED, READY
from services.store.servers import ServerRecord
from tests.engines.conftest import vllm_cpu
from tests.engines.desk import Desk, ask

OF_LECTERN = ("allow-download", "program")
CPU = {"VLLM_CPU_KVCACHE_SPACE": "1"}


def say(step: str, *told: object) -> None:
    print(f"{step:>10}  ", *told, flush=True)


@pytest.fixture(scope="module")
def model(tiny: Callable[[str, Path], Path]) -> Path:
    return tiny("chat", vllm_cpu())


@pytest.fixture
def spec(model: Path) -> dict[str, Any]:
    program = str(vllm_cpu() / "bin" / "vllm")
    return {"model": str(model), "program": program, "max_model_len": 1024, "enforce_eager": True, "env": CPU}


def diagnosed(desk: Desk, row: ServerRecord) -> Diagnosis:
    """The surest cause that the log shows."""
    ending = Exit.read(folder_of(desk.layout, row))
    context = Context(exit_code=ending.exit_code if ending else None, options=row.spec)
    found = diagnose(desk.log(row, 5000), "vllm", context)
    assert found, "\n".join(desk.log(row))
    return found[0]


def test_a_life_from_a_plan_to_an_answer_and_down_again(desk: Desk, spec: dict[str, Any], model: Path) -> None:
    planned = plan(read_model(model), PlanWish(max_model_len=1024), imagined(1, 1.0))
    held = planned.per_gpu
    say("plan", f"weights {held.weights_bytes:,} B, KV cache {held.kv_bytes_per_token:,} B for a token")
    say("command", desk.service.command("vllm", spec))
    begin = time.monotonic()
    row = desk.started("v", "vllm", **spec)
    say("ready", f"after {time.monotonic() - begin:.0f} s at", row.url)
    stored = (model / "model.safetensors").stat().st_size  # in 32 bits, of which vLLM keeps 16
    assert held.weights_bytes == pytest.approx(stored / 2, rel=0.01)
    room = int(first(r"KV cache size: ([\d,]+) tokens", desk.log(row, 5000)).replace(",", ""))
    say("measured", f"{room:,} tokens in a cache of 1 GiB: {GIB / room:,.0f} B for a token")
    assert held.kv_bytes_per_token == pytest.approx(GIB / room, rel=0.01)
    answers(row)
    desk.stopped("v")

    desk.service.change("v", {"max_model_len": 100_000})
    begin = time.monotonic()
    failed = desk.settled("v")
    assert failed.state == FAILED
    found = diagnosed(desk, failed)
    say("failed", f"after {time.monotonic() - begin:.0f} s:", found.evidence.line[:160])
    assert failed.diagnosis and failed.diagnosis[0]["code"] == found.code
    say("diagnosed", found.code, found.flags, "·", found.render().message)
    assert found.code == "max_model_len_beyond_model" and found.flags["--max-model-len"] == "2048"
    begin = time.monotonic()
    desk.service.start_fixed("v")
    row = desk.until("v", lambda row: row.state == READY or (row.state == FAILED and row.error_code))
    assert row.state == READY, "\n".join(desk.log(row))
    assert row.spec["max_model_len"] == 2048
    say("fixed", f"ready after {time.monotonic() - begin:.0f} s with --max-model-len 2048")
    too_long = ask(row, "/completions", model="tiny-chat", prompt="a " * 5000)
    assert too_long.status_code == 400
    say("too long", too_long.json()["error"]["message"][:120])
    begin = time.monotonic()
    desk.stopped("v")
    say("stopped", f"after {time.monotonic() - begin:.0f} s; no process left, port {row.port} free")


def answers(row: ServerRecord) -> None:
    """A server answers a chat, and counts that in its own metrics and in ours."""
    reply = ask(row, "/chat/completions", model="tiny-chat", messages=[{"role": "user", "content": "hi"}], max_tokens=8)
    assert reply.status_code == 200 and reply.json()["usage"]["completion_tokens"] == 8
    say("chat", reply.json()["usage"])
    told = httpx2.get(root_url(row.url or "") + "/metrics", trust_env=False).text
    counted = [line for line in told.splitlines() if line.startswith("vllm:generation_tokens_total")]
    assert counted and float(counted[0].split()[-1]) >= 8
    say("metrics", counted[0])


def first(pattern: str, lines: list[str]) -> str:
    """The first thing that a log says in this form."""
    found = re.search(pattern, "\n".join(lines))
    assert found, "\n".join(lines)
    return found[1]


def test_every_option_of_its_own_help_can_be_given(spec: dict[str, Any], tmp_path: Path) -> None:
    asked = [spec["program"], "serve", "--help=all"]
    told = subprocess.run(asked, capture_output=True, text=True, check=True, env={**os.environ, **CPU})
    options = sorted(set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*[a-z0-9]", told.stdout)))
    say("options", f"{len(options)} in `vllm serve --help=all`")
    assert len(options) > 150
    fields = {f"--{name.replace('_', '-')}" for name in VllmSpec.model_fields}
    own = fields - {f"--{name}" for name in ("gpus", "env", "extra-args", "restart", "idle-minutes", *OF_LECTERN)}
    assert own <= {*options}, own - {*options}  # our fields bear its names
    switches = {option for option in options if option.replace("--no-", "--", 1) in fields}
    words = [word for option in options if option not in switches for word in (option, "1")]
    chosen = choices_of(VllmSpec, words)
    argv = Vllm().launch({**spec, **chosen}, Place(8000, tmp_path, tmp_path)).argv
    assert argv[-len(words) :] == words


@dataclass
class Mistake:
    """Something wrong with a launch, and the code that the diagnosis must have for it."""

    code: str
    choices: dict[str, Any] = field(default_factory=dict)
    prepare: Callable[[Path, Path], dict[str, Any]] = lambda model, folder: {}


def cut_weights(model: Path, folder: Path) -> dict[str, Any]:
    shutil.copytree(model, folder / "cut")
    weights = folder / "cut" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100_000])
    return {"model": str(folder / "cut")}


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


MISTAKES = {
    "no model": Mistake("model_path_missing", prepare=lambda model, folder: {"model": str(folder / "gone")}),
    "unknown flag": Mistake("bad_option", {"extra_args": ["--no-such-flag", "7"]}),
    "bad dtype": Mistake("bad_option_value", {"extra_args": ["--dtype", "float7"]}),
    "heads": Mistake("tensor_parallel_does_not_divide", {"tensor_parallel_size": 3}),
    "quantisation": Mistake("quantization_mismatch", {"quantization": "awq"}),
    "cut weights": Mistake("weights_damaged", prepare=cut_weights),
    "no memory": Mistake("system_memory", {"env": {"VLLM_CPU_KVCACHE_SPACE": "4000"}}),
    "cache too small": Mistake("kv_cache_none", {"extra_args": ["--num-gpu-blocks-override", "1"]}),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_diagnosed_by_what_the_log_says(
    desk: Desk, spec: dict[str, Any], model: Path, tmp_path: Path, name: str
) -> None:
    mistake = MISTAKES[name]
    desk.service.create("v", "vllm", {**spec, **mistake.choices, **mistake.prepare(model, tmp_path)})
    begin = time.monotonic()
    row = desk.settled("v")
    assert row.state == FAILED
    found = diagnosed(desk, row)
    say(name, f"{time.monotonic() - begin:.0f} s", found.code, found.flags, "·", found.evidence.line[:120])
    assert found.code == mistake.code
    desk.nothing_left()


def test_a_port_that_is_taken_is_diagnosed(desk: Desk, spec: dict[str, Any], taken_port: int) -> None:
    desk.service.create("v", "vllm", {**spec, "extra_args": ["--port", str(taken_port)]})
    row = desk.settled("v")
    assert row.state == FAILED
    found = diagnosed(desk, row)
    say("port taken", found.code, found.flags, "·", found.evidence.line[:120])
    assert found.code == "port_in_use"
