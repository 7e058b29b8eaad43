"""Ollama: the program under the supervisor, and its API through the official client. The server is a small real one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import ollama
import pytest

from services.core.errors import BadResponse, EngineNotInstalled, ServerNotReady
from services.llm.addresses import root_url
from services.llm.client import OpenAIChatModel
from services.llm.ollama import FOREVER, Ollama
from services.llm.protocol import Endpoint, Message, Sampling, TextDelta, Usage
from services.serving import children
from services.serving.engines.ollama import INSTALL, OllamaEngine
from services.serving.engines.protocol import Place
from services.store.servers import ServerRecord
from tests.engines.desk import Desk
from tests.fakes.ollama_server import ABSENT, DETAILS, LAYERS, SIZE, VERSION

NAME = "qwen3:8b"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What stands on PATH as `ollama` where Ollama is installed."""
    path = tmp_path_factory.mktemp("bin") / "ollama"
    path.write_text(f'#!/bin/sh\ncd {children.ROOT} && exec {sys.executable} -m tests.fakes.ollama_server "$@"\n')
    path.chmod(0o755)
    return str(path)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("ollama")
    desk = Desk(folder / "home", folder)
    yield desk
    desk.close()


@pytest.fixture(scope="module")
def row(desk: Desk, program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerRecord]:
    """An Ollama under the supervisor that has no model yet."""
    models = str(tmp_path_factory.mktemp("models"))
    yield desk.started("o", "ollama", program=program, models=models, keep_alive="10m")
    desk.stopped("o")


@pytest.fixture
def server(row: ServerRecord, desk: Desk) -> Iterator[Ollama]:
    """The server with one model on its disk and none in memory."""
    client = ollama.Client(host=root_url(row.url or ""), trust_env=False)
    assert client.pull(NAME).status == "success"
    with closing(Ollama(desk.service.endpoint("o"))) as server:
        server.unload(NAME)
        yield server


def test_a_server_without_a_model_is_ready_so_that_one_can_be_pulled(row: ServerRecord, desk: Desk) -> None:
    with closing(Ollama(desk.service.endpoint("o"))) as server:
        assert server.version() == VERSION
        for model in server.models():
            server.delete(model.name)
        assert server.models() == [] and desk.service.models("o") == []


def test_a_pull_tells_its_progress_layer_by_layer(row: ServerRecord) -> None:
    steps = list(ollama.Client(host=root_url(row.url or ""), trust_env=False).pull("llama4", stream=True))
    assert steps[0].status == "pulling manifest" and steps[-1].status == "success"
    totals = {step.digest: step.total for step in steps if step.digest}
    assert sorted(totals.values(), key=lambda total: -(total or 0)) == list(LAYERS.values())
    with pytest.raises(ollama.ResponseError, match="file does not exist"):
        list(ollama.Client(host=root_url(row.url or ""), trust_env=False).pull(ABSENT, stream=True))
    with closing(Ollama(Endpoint("o", row.url or ""))) as server:
        server.delete("llama4")
        assert "llama4:latest" not in [model.name for model in server.models()]
        with pytest.raises(BadResponse, match="llama4"):
            server.delete("llama4")


def test_models_are_listed_and_shown_with_what_the_server_tells(server: Ollama) -> None:
    (listed,) = server.models()
    assert (listed.name, listed.size_bytes, listed.family) == (NAME, SIZE, DETAILS["family"])
    assert (listed.parameters, listed.quantization) == ("8.2B", "Q4_K_M") and len(listed.digest or "") == 64
    shown = server.show(NAME)
    assert (shown.context_tokens, shown.capabilities, shown.licence) == (40960, ("completion", "tools"), "Apache-2.0")
    with pytest.raises(BadResponse, match="not found"):
        server.show("other")


def test_a_model_is_loaded_for_a_time_or_for_ever_and_unloaded(server: Ollama) -> None:
    assert server.loaded() == []
    server.load(NAME, "30m")
    (loaded,) = server.loaded()
    left = (loaded.expires_at or datetime.now(UTC)) - datetime.now(UTC)
    assert timedelta(minutes=29) < left <= timedelta(minutes=30)
    assert (loaded.name, loaded.gpu_bytes, loaded.context_tokens) == (NAME, SIZE, 4096)
    server.load(NAME, FOREVER)
    assert (server.loaded()[0].expires_at or datetime.now(UTC)) > datetime.now(UTC) + timedelta(days=1000)
    server.unload(NAME)
    assert server.loaded() == []


@pytest.mark.parametrize("way", ["chat", "generate"])
def test_an_answer_comes_in_pieces_and_ends_with_its_counts(server: Ollama, way: str) -> None:
    asked: Any = [Message("user", "one two three four")] if way == "chat" else "one two three four"
    events = list(getattr(server, way)(asked, Sampling(3)))
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["one ", "two ", "three "]
    assert events[-1] == Usage(4, 3, "stop")


def test_the_same_model_answers_under_v1(server: Ollama, desk: Desk) -> None:
    events = list(OpenAIChatModel(desk.service.endpoint("o")).stream([Message("user", "hello")], Sampling(5)))
    assert events == [TextDelta("Yes."), Usage(3, 1, "stop")]
    assert desk.service.models("o") == [NAME]


def test_a_server_that_is_gone_is_said_to_be() -> None:
    gone = Ollama(Endpoint("gone", f"http://127.0.0.1:{children.free_port([])}/v1"))
    with closing(gone):
        with pytest.raises(ServerNotReady):
            gone.version()
        with pytest.raises(ServerNotReady):
            list(gone.chat([Message("user", "hi")], Sampling(1)))


def test_nothing_of_this_machine_is_told_to_the_server(
    row: ServerRecord, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_API_KEY", "not-for-you")
    with closing(Ollama(desk.service.endpoint("o"))) as server:
        sent: dict[str, str] = {}
        server._client._client.event_hooks["request"].append(lambda request: sent.update(request.headers))
        server.version()
    assert set(sent) <= {"host", "accept", "accept-encoding", "connection", "content-type"}


def test_where_ollama_is_missing_its_install_command_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineNotInstalled) as caught:
        OllamaEngine().launch({}, Place(1, tmp_path, tmp_path))
    assert INSTALL in caught.value.render().message


def test_the_command_line_lists_loads_and_unloads(server: Ollama, desk: Desk) -> None:
    def lectern(*arguments: str) -> Any:
        command = [sys.executable, "-m", "services", "--json", "--home", str(desk.settings.home), "ollama", *arguments]
        done = subprocess.run(command, cwd=children.ROOT, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    lectern("load", "o", NAME, "--keep-alive", "-1")
    (row,) = lectern("list", "o")
    assert (row["name"], row["loaded"]["gpu_bytes"]) == (NAME, SIZE)
    assert lectern("show", "o", NAME)["context_tokens"] == 40960
    lectern("unload", "o", NAME)
    assert lectern("list", "o")[0]["loaded"] is None
    assert lectern("delete", "o", NAME) == {"removed": NAME} and lectern("list", "o") == []
