"""What every engine promises the supervisor, and llama.cpp's program its reader."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from services.core.errors import InvalidValue
from services.serving import children
from services.serving.engines.llamacpp import LlamaCpp
from services.serving.engines.protocol import MASK, Engine, LaunchCommand, command_text
from services.serving.engines.registry import ENGINES
from services.serving.spec import LlamaCppSpec, RemoteSpec
from tests.fakes.engine import FakeEngine

LLAMA = LlamaCppSpec(model_path=Path("/models/a b.gguf"), served_model_name="small").row()
CASES: list[tuple[Engine, Mapping[str, Any]]] = [(LlamaCpp(), LLAMA), (FakeEngine(), {"flags": []})]


@pytest.mark.parametrize(("engine", "spec"), CASES, ids=lambda value: getattr(value, "key", ""))
def test_an_engine_listens_where_it_is_told_and_starts_nothing_itself(engine: Engine, spec: Mapping[str, Any]) -> None:
    command = engine.launch(spec, 4711)
    assert command.argv[command.argv.index("--port") + 1] == "4711"
    assert all(isinstance(part, str) for part in command.argv)
    assert engine.launch(spec, 4711) == command


def test_every_engine_stands_under_its_key() -> None:
    assert all(engine.key == key for key, engine in ENGINES.items())


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({}, "model_path"),
        ({**LLAMA, "context": 3}, "context"),
        ({**LLAMA, "parallel": 0}, "parallel"),
        ({**LLAMA, "colour": "red"}, "colour"),
    ],
)
def test_a_spec_that_cannot_be_is_refused_by_its_field(spec: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        LlamaCpp().launch(spec, 1)
    assert caught.value.params["field"] == field


def test_llamacpp_leaves_a_core_unless_it_is_told_otherwise() -> None:
    def threads(spec: Mapping[str, Any]) -> int:
        argv = LlamaCpp().launch(spec, 1).argv
        return int(argv[argv.index("--threads") + 1])

    assert threads({**LLAMA, "threads": 7}) == 7
    assert threads(LLAMA) >= 1


def test_a_command_can_be_pasted_and_shows_no_secret() -> None:
    command = LaunchCommand(["serve", "a b.gguf", "--api-key", "s3cret key"], {"TOKEN": "hf_1"}, ("s3cret key", "hf_1"))
    assert command_text(command) == f"TOKEN={MASK} serve 'a b.gguf' --api-key {MASK}"
    assert "s3cret" not in repr(command) + repr(RemoteSpec.of({"api_key": "s3cret"}))


def run_llamacpp(model: Path, port: int) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "services.serving.engines.llamacpp_server", "--model", str(model), "--alias", "x"]
    argv += ["--port", str(port), "--context", "256", "--parallel", "1", "--threads", "1", "--prompt-threads", "1"]
    return subprocess.run(argv, cwd=children.ROOT, capture_output=True, text=True, timeout=60)


def test_llamacpp_names_a_model_that_is_missing_or_none(tmp_path: Path) -> None:
    missing = run_llamacpp(tmp_path / "no.gguf", 1)
    assert missing.returncode == 1
    assert missing.stderr == f"error: the model {tmp_path / 'no.gguf'} cannot be read: No such file or directory\n"
    (tmp_path / "text.gguf").write_text("hello")
    other = run_llamacpp(tmp_path / "text.gguf", 1)
    assert (other.returncode, other.stderr) == (1, f"error: {tmp_path / 'text.gguf'} is not a GGUF file\n")


def test_llamacpp_says_that_a_damaged_model_cannot_be_served(tmp_path: Path) -> None:
    (tmp_path / "half.gguf").write_bytes(b"GGUF" + bytes(100))
    damaged = run_llamacpp(tmp_path / "half.gguf", children.free_port([]))
    assert damaged.returncode == 1
    said = f"error: llama.cpp cannot serve {tmp_path / 'half.gguf'}"
    assert [line for line in damaged.stderr.splitlines() if line.startswith(said)]


def test_llamacpp_names_a_port_that_is_taken(tmp_path: Path) -> None:
    (tmp_path / "any.gguf").write_bytes(b"GGUF")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = run_llamacpp(tmp_path / "any.gguf", port)
    expected = f"error: port {port} on 127.0.0.1 cannot be used: Address already in use\n"
    assert (refused.returncode, refused.stderr) == (1, expected)
