"""Conversations and presets by the command line, run within this process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from services.cli.main import app, hoisted
from tests.fakes.chat_server import ChatServer, running_chat_server


@dataclass
class Shell:
    """Runs commands over one home."""

    home: Path

    def json(self, *words: str) -> Any:
        done = CliRunner().invoke(app, hoisted([*words, "--json", "--home", str(self.home)]))
        assert done.exit_code == 0, done.stderr
        return json.loads(done.stdout)

    def error(self, *words: str) -> dict[str, str]:
        done = CliRunner().invoke(app, hoisted([*words, "--json", "--home", str(self.home)]))
        assert (done.exit_code, done.stdout) == (1, "")
        row: dict[str, str] = json.loads(done.stderr)
        return row


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setattr("services.core.log.configure", lambda *_: None)  # it would take over this process's log
    return Shell(tmp_path)


@pytest.fixture
def chat_server() -> Iterator[ChatServer]:
    with running_chat_server(answer="A machine.") as server:
        yield server


def test_a_conversation_is_kept_continued_listed_exported_and_deleted(
    shell: Shell, tmp_path: Path, chat_server: ChatServer
) -> None:
    shell.json("server", "create", "box", "--url", chat_server.url)
    shell.json("kb", "create", "Garden")
    begun = shell.json("ask", "Garden", "What is a pump?", "--conversation", "new", "--mode", "chat")
    id = begun["conversation_id"]
    shell.json("ask", "Garden", "And a well?", "--conversation", id, "--mode", "chat")
    assert "What is a pump?" in [message["content"] for message in chat_server.chats[-1].body["messages"]]
    assert [row["id"] for row in shell.json("conversation", "list", "--search", "well")] == [id]
    assert shell.json("conversation", "export", id, str(tmp_path / "talk.json"))["turns"] == 2
    assert json.loads((tmp_path / "talk.json").read_text("utf-8"))["turns"][1]["question"] == "And a well?"
    assert shell.json("conversation", "share", id)["link"].startswith("/Chat?shared=")
    assert shell.error("conversation", "export", id, str(tmp_path / "talk.exe"))["code"] == "invalid_value"
    assert shell.json("conversation", "delete", id) == {"deleted": id}
    assert shell.error("conversation", "show", id)["code"] == "conversation_not_found"


def test_a_base_has_a_preset_that_is_shown_changed_and_cleared(shell: Shell) -> None:
    shell.json("kb", "create", "Garden")
    assert shell.json("kb", "preset", "Garden", "--temperature", "0.5", "--stop", "END") == {
        "temperature": 0.5,
        "stop": ["END"],
    }
    assert shell.json("kb", "preset", "Garden", "--max-tokens", "99")["temperature"] == 0.5
    assert shell.json("kb", "preset", "Garden", "--clear") == {}
    assert shell.error("kb", "preset", "Garden", "--temperature", "9")["code"] == "invalid_value"
