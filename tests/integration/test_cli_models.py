"""`lectern model …`: list, download with a real worker, pause, token, catalogue, serve, remove."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from services.app import bootstrap
from services.core.settings import load
from services.health import worker_status
from tests.fakes.model_hub import COMMIT, Hub, model_hub
from tests.fakes.models_on_disk import folder_model, gguf_model, ollama_model
from tests.fakes.processes import command_lines
from tests.integration.commands import Shell
from tests.integration.test_worker import ROOT, until, working

NAME = "Org/Small-GGUF"
TOKEN = "hf_very-secret-token"


@pytest.fixture(autouse=True)
def caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Caches of other tools, away from those of whoever runs the test."""
    for name in ("HF_HOME", "MODELSCOPE_CACHE", "OLLAMA_MODELS"):
        monkeypatch.setenv(name, str(tmp_path / "caches" / name))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "caches"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    (tmp_path / "home").mkdir()
    return Shell(tmp_path / "home")


@pytest.fixture
def hub(shell: Shell, tmp_path: Path) -> Iterator[Hub]:
    with model_hub() as hub:
        content = gguf_model(tmp_path / "draft.gguf").read_bytes()
        hub.add(NAME, **{"small-Q4_K_M__gguf": content, "small-Q8_0__gguf": content, "README__md": b"# Small"})
        services = bootstrap(load(home=shell.home, embedded=False))
        services.choose(hf_endpoint=hub.url, model_folders=[str(tmp_path / "chosen")])
        services.close()
        yield hub


@contextmanager
def awake(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker that has said that it lives."""
    services = bootstrap(load(home=home, embedded=False))
    with working(home) as worker:
        until(lambda: worker_status(services).running)
        services.close()
        yield worker


def test_models_of_all_sources_are_listed_with_the_fields_that_scripts_read(
    shell: Shell, hub: Hub, tmp_path: Path, caches: Path
) -> None:
    path = folder_model(tmp_path / "chosen" / "team-model")
    ollama_model(caches / "OLLAMA_MODELS", "tiny", "1b")
    rows = {row["name"]: row for row in shell.json("model", "list")}
    assert set(rows) == {"team-model", "tiny:1b"}
    row = rows["team-model"]
    assert (row["path"], row["source"], row["revision"], row["format"]) == (str(path), "folder", None, "safetensors")
    assert (row["parameters"], row["context"], row["licence"], row["error"]) == (1000, 4096, "apache-2.0", None)
    assert row["bytes"] == sum(file.stat().st_size for file in path.iterdir())
    assert "team-model" in shell.text("model", "list")


def test_a_model_is_downloaded_served_and_removed(shell: Shell, hub: Hub) -> None:
    with awake(shell.home):
        row = shell.json("model", "download", NAME, "--from", "hf", "--wait")
    assert (row["state"], row["error"], row["done_bytes"]) == ("ready", None, row["total_bytes"])
    (found,) = shell.json("model", "list")
    assert (found["repository"], found["revision"], found["quantization"]) == (NAME, COMMIT, "Q4_K_M")
    assert found["path"].endswith("small-Q4_K_M.gguf") and hub.sent("small-Q8_0.gguf") == []
    server = shell.json("model", "serve", NAME)
    assert (server["name"], server["engine"], server["state"]) == ("small-Q4_K_M", "llama.cpp", "stopped")
    assert shell.error("model", "remove", NAME)["code"] == "model_in_use"
    shell.json("server", "remove", server["id"])
    assert shell.json("model", "remove", NAME)["removed"] == found["name"]
    assert shell.json("model", "list") == [] and not Path(found["path"]).exists()


def test_a_download_that_fails_ends_the_wait_with_its_error(shell: Shell, hub: Hub) -> None:
    with awake(shell.home):
        error = shell.error("model", "download", "Org/Nothing", "--wait")
    assert error["code"] == "model_not_found" and "Org/Nothing" in error["message"]
    (row,) = shell.json("model", "downloads")
    assert (row["state"], row["error"]["code"]) == ("failed", "model_not_found")


def test_without_a_worker_a_wish_waits_and_cannot_be_waited_for(shell: Shell, hub: Hub) -> None:
    row = shell.json("model", "download", NAME, "--file", "*Q8_0*", "--revision", "main")
    assert (row["state"], row["files"], row["revision"]) == ("queued", ["*Q8_0*"], "main")
    assert shell.error("model", "download", NAME, "--wait")["code"] == "worker_not_running"
    assert shell.json("model", "pause", row["id"])["state"] == "paused"
    assert shell.json("model", "resume", NAME)["state"] == "queued"
    assert shell.json("model", "cancel", NAME)["state"] == "cancelled"
    assert shell.json("model", "forget", NAME) == {"forgotten": NAME, "bytes": 0}
    assert shell.json("model", "downloads") == []


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("download", "noslash"), "invalid_value"),
        (("pause", "nothing"), "model_not_found"),
        (("serve", "nothing"), "model_not_found"),
    ],
)
def test_what_makes_no_sense_is_refused(shell: Shell, words: tuple[str, ...], code: str) -> None:
    assert shell.error("model", *words)["code"] == code


def test_a_token_comes_by_standard_input_and_is_never_seen_again(shell: Shell, hub: Hub) -> None:
    command = [sys.executable, "-m", "services", "model", "token", "hf", "--json"]
    environment = {**os.environ, "LECTERN_HOME": str(shell.home)}
    done = subprocess.run(command, cwd=ROOT, env=environment, input=TOKEN + "\n", capture_output=True, text=True)
    assert done.returncode == 0 and TOKEN not in done.stdout + done.stderr
    hub.token, hub.stall_at = TOKEN, "small-Q4_K_M.gguf"
    shell.json("model", "download", NAME)
    with awake(shell.home) as worker:
        assert hub.stalled.wait(60)
        seen = [str(words) + str(child.environ()) for child, words in command_lines(family(worker.pid)).items()]
        assert seen and not [words for words in seen if TOKEN in words]
        hub.released.set()
        assert shell.json("model", "download", NAME, "--wait")["state"] == "ready"
    assert TOKEN not in str(shell.json("model", "downloads")) and set(hub.keys_at_the_store) == {""}
    files = [path for path in shell.home.rglob("*") if path.is_file() and path.name != "tokens.json"]
    assert [path for path in files if TOKEN.encode() in path.read_bytes()] == []


def family(pid: int) -> list[psutil.Process]:
    """A process and those below it."""
    return [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]


def test_the_catalogue_is_printed_and_can_be_narrowed(shell: Shell) -> None:
    rows = shell.json("model", "catalogue", "reranker")
    assert rows and {row["use"] for row in rows} == {"reranker"}
    assert all(row["fits"] in (True, False, None) and row["bytes"] > 0 for row in rows)
    assert len(shell.json("model", "catalogue")) > len(rows)
