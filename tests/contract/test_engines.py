"""What every engine promises the supervisor, and llama.cpp's program its reader."""

from __future__ import annotations

import itertools
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from services.core.errors import EngineNotInstalled, InvalidValue
from services.serving import children
from services.serving.engines.embeddings import Embeddings
from services.serving.engines.llamacpp import LlamaCpp, LlamaCppSpec
from services.serving.engines.ollama import OllamaEngine
from services.serving.engines.protocol import MASK, Engine, LaunchCommand, Place, command_text
from services.serving.engines.registry import ENGINES
from services.serving.engines.ssh import Ssh, SshSpec
from services.serving.engines.transformers import Transformers
from services.serving.engines.vllm import Vllm
from services.serving.spec import ManagedSpec, RemoteSpec
from tests.fakes.engine import FakeEngine

LLAMA = LlamaCppSpec(model="/models/a b.gguf", served_model_name="small").row()
VLLM = {"model": "/models/qwen", "program": sys.executable}
OLLAMA = {"program": sys.executable}
TUNNEL = {"host": "box", "program": sys.executable}
PLACE = Place(4711, Path("/servers/1"), Path("/engines"))
CASES: list[tuple[Engine, Mapping[str, Any]]] = [
    (LlamaCpp(), LLAMA),
    (Vllm(), VLLM),
    (Transformers(), VLLM),
    (Embeddings(), VLLM),
    (OllamaEngine(), OLLAMA),
    (Ssh(), TUNNEL),
    (FakeEngine(), {"flags": []}),
]


@pytest.mark.parametrize(("engine", "spec"), CASES, ids=lambda value: getattr(value, "key", ""))
def test_an_engine_listens_where_it_is_told_and_starts_nothing_itself(engine: Engine, spec: Mapping[str, Any]) -> None:
    command = engine.launch(spec, PLACE)
    assert any("4711" in part for part in [*command.argv, *command.env.values()])
    assert all(isinstance(part, str) for part in command.argv)
    assert engine.launch(spec, PLACE) == command


def test_every_engine_stands_under_its_key() -> None:
    assert all(engine.key == key for key, engine in ENGINES.items())


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({}, "model"),
        ({**LLAMA, "context": 3}, "context"),
        ({**LLAMA, "parallel": 0}, "parallel"),
        ({**LLAMA, "colour": "red"}, "colour"),
    ],
)
def test_a_spec_that_cannot_be_is_refused_by_its_field(spec: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        LlamaCpp().launch(spec, PLACE)
    assert caught.value.params["field"] == field


def test_llamacpp_leaves_a_core_unless_it_is_told_otherwise() -> None:
    def threads(spec: Mapping[str, Any]) -> int:
        argv = LlamaCpp().launch(spec, PLACE).argv
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
    # Not at the beginning of a line: llama.cpp's own log is written by another thread.
    assert f"error: llama.cpp cannot serve {tmp_path / 'half.gguf'}" in damaged.stderr


def test_llamacpp_names_a_port_that_is_taken(tmp_path: Path) -> None:
    (tmp_path / "any.gguf").write_bytes(b"GGUF")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = run_llamacpp(tmp_path / "any.gguf", port)
    expected = f"error: port {port} on 127.0.0.1 cannot be used: Address already in use\n"
    assert (refused.returncode, refused.stderr) == (1, expected)


def test_vllm_is_told_its_share_of_the_memory_and_what_differs_from_its_defaults() -> None:
    assert Vllm().launch(VLLM, PLACE).argv[1:] == [
        *("serve", "/models/qwen", "--host", "127.0.0.1", "--port", "4711", "--served-model-name", "qwen"),
        *("--gpu-memory-utilization", "0.9"),
    ]
    chosen = {**VLLM, "max_model_len": 8192, "enforce_eager": True, "dtype": "half", "extra_args": ["--seed", "7"]}
    argv = Vllm().launch(chosen, PLACE).argv
    assert argv[11:] == ["--dtype", "half", "--max-model-len", "8192", "--enforce-eager", "--seed", "7"]


def test_vllm_gets_its_gpus_as_the_driver_numbers_them_and_stays_at_home() -> None:
    env = Vllm().launch({**VLLM, "gpus": [2, 0], "env": {"NCCL_DEBUG": "INFO"}}, PLACE).env
    assert (env["CUDA_VISIBLE_DEVICES"], env["CUDA_DEVICE_ORDER"]) == ("2,0", "PCI_BUS_ID")
    assert (env["VLLM_NO_USAGE_STATS"], env["HF_HUB_OFFLINE"], env["NCCL_DEBUG"]) == ("1", "1", "INFO")
    assert "HF_HUB_OFFLINE" not in Vllm().launch({**VLLM, "allow_download": True}, PLACE).env


def test_keys_and_tokens_reach_vllm_and_no_eye() -> None:
    command = Vllm().launch({**VLLM, "api_key": "k-secret", "env": {"HF_TOKEN": "hf-secret"}}, PLACE)
    assert (command.env["VLLM_API_KEY"], command.env["HF_TOKEN"]) == ("k-secret", "hf-secret")
    assert "secret" not in command_text(command) + repr(command)
    assert not any("secret" in part for part in command.argv)


@pytest.mark.parametrize("name", ["1A", "A B", "", "LECTERN_HOME", "SPT_NOENV"])
def test_a_variable_that_cannot_be_or_is_lecterns_own_is_refused(name: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        Vllm().launch({**VLLM, "env": {name: "x"}}, PLACE)
    assert caught.value.params["field"] == "env"


def test_an_engine_that_is_not_installed_says_how_to_install_it(tmp_path: Path) -> None:
    with pytest.raises(EngineNotInstalled) as caught:
        Vllm().launch({"model": "m"}, Place(1, tmp_path, tmp_path))
    assert "lectern engine install vllm" in caught.value.render().message


def test_llamacpp_takes_an_installed_program_with_options_of_its_own() -> None:
    command = LlamaCpp().launch({**LLAMA, "program": sys.executable, "extra_args": ["--jinja"]}, PLACE)
    assert command.argv[0] == sys.executable and command.argv[-2:] == ["--metrics", "--jinja"]
    assert command.argv[command.argv.index("--ctx-size") + 1] == "8192"
    with pytest.raises(InvalidValue, match="llama-server"):
        LlamaCpp().launch({**LLAMA, "extra_args": ["--jinja"]}, PLACE)


def test_llamacpp_reads_a_text_in_one_batch_where_it_reranks() -> None:
    packaged = LlamaCpp().launch({**LLAMA, "reranking": True}, PLACE).argv
    assert packaged[-1] == "--reranking" and "--reranking" not in LlamaCpp().launch(LLAMA, PLACE).argv
    installed = LlamaCpp().launch({**LLAMA, "reranking": True, "context": 600, "program": sys.executable}, PLACE).argv
    assert "--reranking" in installed and installed[installed.index("--ubatch-size") + 1] == "600"
    plain = LlamaCpp().launch({**LLAMA, "program": sys.executable}, PLACE).argv
    assert "--reranking" not in plain and "--ubatch-size" not in plain


def test_transformers_is_told_what_differs_from_its_defaults_and_nothing_else() -> None:
    argv = Transformers().launch(VLLM, PLACE).argv
    assert argv[3:] == ["--served-model-name", "qwen", "/models/qwen", "--host", "127.0.0.1", "--port", "4711"]
    chosen = {**VLLM, "dtype": "float16", "quantization": "bnb-4bit", "default_seed": 0, "compile": True}
    argv = Transformers().launch({**chosen, "extra_args": ["--cb-block-size", "32"]}, PLACE).argv
    assert argv[10:] == [
        *(
            "--dtype",
            "float16",
            "--quantization",
            "bnb-4bit",
            "--compile",
            "--default-seed",
            "0",
            "--cb-block-size",
            "32",
        ),
    ]


@pytest.mark.parametrize("engine", [Transformers(), Embeddings()], ids=lambda engine: engine.key)
def test_a_server_in_python_stays_at_home_and_finds_the_library_not_our_file_of_that_name(engine: Engine) -> None:
    command = engine.launch(VLLM, PLACE)
    assert command.argv[:2] == [sys.executable, "-P"] and Path(command.argv[2]).is_file()
    assert (command.env["HF_HUB_OFFLINE"], command.env["DO_NOT_TRACK"]) == ("1", "1")
    assert "HF_HUB_OFFLINE" not in engine.launch({**VLLM, "allow_download": True}, PLACE).env
    with pytest.raises(EngineNotInstalled, match=f"lectern engine install {engine.environment}"):
        engine.launch({"model": "m"}, PLACE)


def options(argv: list[str]) -> dict[str, str]:
    """What stands behind each -o of ssh."""
    return dict(value.split("=", 1) for flag, value in itertools.pairwise(argv) if flag == "-o")


def test_a_tunnel_ends_on_loopback_and_trusts_only_what_was_accepted() -> None:
    argv = Ssh().launch({**TUNNEL, "user": "me", "port": 2222, "remote_port": 9000}, PLACE).argv
    assert argv[1:9] == ["-N", "-T", "-L", "127.0.0.1:4711:127.0.0.1:9000", "-p", "2222", "-l", "me"]
    assert argv[-1] == "box" and not {"-g", "-C", "-A", "-X"} & set(argv)
    given = options(argv)
    assert (given["StrictHostKeyChecking"], given["UserKnownHostsFile"]) == ("yes", '"/servers/1/known_hosts"')
    assert (given["ExitOnForwardFailure"], given["BatchMode"]) == ("yes", "yes")
    assert int(given["ServerAliveInterval"]) * int(given["ServerAliveCountMax"]) <= 60


def test_a_tunnel_is_open_to_others_only_where_that_was_asked_for_and_warned_of() -> None:
    argv = Ssh().launch({**TUNNEL, "gateway_ports": True, "remote_host": "::1"}, PLACE).argv
    assert "-g" in argv and argv[argv.index("-L") + 1] == "*:4711:[::1]:8000"
    assert SshSpec.of({**TUNNEL, "gateway_ports": True}).warnings() and not SshSpec.of(TUNNEL).warnings()


def test_a_password_reaches_ssh_through_askpass_and_is_kept_only_if_asked() -> None:
    command = Ssh().launch({**TUNNEL, "password": "s3cret", "api_key": "k3y"}, PLACE)
    assert set(command.secrets) == {"s3cret", "k3y"}
    assert "s3cret" not in " ".join(command.argv) + command_text(command) + repr(command)
    assert options(command.argv)["BatchMode"] == "no" and command.env["SSH_ASKPASS_REQUIRE"] == "force"
    said = subprocess.run([command.env["SSH_ASKPASS"], "Password:"], env=command.env, capture_output=True, text=True)
    assert said.stdout == "s3cret\n"
    for keep, kept in ((False, ""), (True, "s3cret")):
        spec = Ssh().launch({**TUNNEL, "password": "s3cret", "keep_password": keep}, PLACE).kept_spec
        assert spec and spec["password"] == kept


@pytest.mark.parametrize("field", ["host", "user", "remote_host"])
@pytest.mark.parametrize("value", ["-oProxyCommand=x", "a b", "a;b", "$(x)"])
def test_a_name_that_would_be_an_option_or_a_command_is_refused(field: str, value: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        Ssh().launch({**TUNNEL, field: value}, PLACE)
    assert caught.value.params["field"] == field


def test_ollama_is_told_in_its_environment_what_was_chosen_and_nothing_else() -> None:
    command = OllamaEngine().launch(OLLAMA, PLACE)
    assert (command.argv[1:], command.env) == (["serve"], {"OLLAMA_HOST": "127.0.0.1:4711"})
    chosen = {"models": "/m", "keep_alive": "-1", "flash_attention": True, "num_parallel": 4, "kv_cache_type": "q8_0"}
    env = OllamaEngine().launch({**OLLAMA, **chosen, "env": {"OLLAMA_DEBUG": "1"}}, PLACE).env
    assert {name.removeprefix("OLLAMA_"): value for name, value in env.items() if name != "OLLAMA_HOST"} == {
        **{"MODELS": "/m", "KEEP_ALIVE": "-1", "FLASH_ATTENTION": "1", "NUM_PARALLEL": "4", "KV_CACHE_TYPE": "q8_0"},
        "DEBUG": "1",
    }
    with pytest.raises(InvalidValue) as caught:
        OllamaEngine().launch({**OLLAMA, "keep_alive": "for a while"}, PLACE)
    assert caught.value.params["field"] == "keep_alive"


@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
@pytest.mark.parametrize("engine", ENGINES.values(), ids=lambda engine: engine.key)
def test_every_flag_of_an_engine_stands_in_both_readmes(engine: Engine, readme: str) -> None:
    text = (children.ROOT / readme).read_text("utf-8")
    (row,) = [line for line in text.splitlines() if line.startswith(f"| `{engine.key}` |")]
    flags = {f"--{name.replace('_', '-')}" for name in set(engine.spec.model_fields) - set(ManagedSpec.model_fields)}
    assert flags <= set(row.replace("`", " ").split()), flags - set(row.replace("`", " ").split())
