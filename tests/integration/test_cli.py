"""The command line as a real process: one JSON document on stdout, errors with code and remedy, exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from services.app import bootstrap
from services.core.settings import load
from services.knowledge.ingest import Ingest
from services.knowledge.loaders.protocol import Limits
from services.knowledge.loaders.reader import Reader
from tests.fakes.chat_server import ChatServer, running_chat_server
from tests.integration import commands

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Shell:
    """Runs `lectern` over one home."""

    home: Path

    def __call__(self, *words: str, locale: str = "C.UTF-8") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "services", *words],
            cwd=ROOT,
            env={**os.environ, "LECTERN_HOME": str(self.home), "LC_ALL": locale},
            capture_output=True,
            text=True,
            timeout=120,
        )

    def json(self, *words: str) -> Any:
        done = self(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def error(self, *words: str) -> dict[str, str]:
        done = self(*words, "--json")
        assert (done.returncode, done.stdout) == (1, "")
        row: dict[str, str] = json.loads(done.stderr)
        assert set(row) == {"code", "message", "remedy"} and all(row.values())
        return row


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture
def here(tmp_path: Path) -> commands.Shell:
    """The same within this process, where many commands are tried."""
    return commands.Shell(tmp_path)


@pytest.fixture
def chat_server() -> Iterator[ChatServer]:
    with running_chat_server(answer="The pump starts at six [1].") as server:
        yield server


def settle(home: Path) -> None:
    """Do the worker's part for every waiting document."""
    services = bootstrap(load(home=home))
    reader = Reader(Limits(50, 100_000, 60, 4 * 1024**3))
    ingest = Ingest(services.stores, reader, services.embedders)
    for base in services.store.bases.all():
        for key in services.stores.of(base).pending():
            assert all(step(base, key) for step in (ingest.read, ingest.split, ingest.embed, ingest.publish))
    reader.close()
    services.close()


def filled(shell: Shell | commands.Shell, tmp_path: Path) -> None:
    note = tmp_path / "pump.txt"
    note.write_text("The pump of the north well starts at six.")
    here = commands.Shell(shell.home)
    here.json("kb", "create", "Garden", "--chunk-size", "300", "--chunk-overlap", "30")
    here.json("kb", "add", "Garden", str(note))
    settle(shell.home)


def test_a_base_is_created_shown_listed_and_deleted(shell: Shell) -> None:
    made = shell.json("kb", "create", "Garden", "--chunk-size", "300")
    assert {"name": "Garden", "state": "empty", "documents": 0, "chunks": 0, "chunk_size": 300}.items() <= made.items()
    assert {"embedder", "chunker"} <= set(made)
    shown = shell.json("kb", "show", "Garden")
    assert made.items() <= shown.items() and shown["index"]["kind"] == "memory"
    assert shell.json("kb", "list") == [made]
    shell.json("kb", "delete", "Garden")
    assert shell.json("kb", "list") == []


def test_files_and_folders_keep_their_names_and_bad_ones_say_why(shell: Shell, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a.txt").write_text("The pump starts at six.")
    (folder / ".hidden").write_text("not this one")
    (folder / "bad\nname.txt").write_text("text")
    shell.json("kb", "create", "Garden")
    rows = shell.json("kb", "add", "Garden", str(folder))
    by_state = {row["state"]: row for row in rows}
    assert set(by_state) == {"queued", "failed"} and len(rows) == 2
    assert by_state["queued"]["document"] == "sub/a.txt" and by_state["queued"]["document_id"]
    assert by_state["failed"]["error"]["code"] == "invalid_name"
    assert [row["document"] for row in shell.json("kb", "documents", "Garden")] == ["sub/a.txt"]
    shell.json("kb", "remove", "Garden", "sub/a.txt")
    assert shell.json("kb", "documents", "Garden") == []


def test_a_search_prints_hits_as_promised(shell: Shell, tmp_path: Path) -> None:
    filled(shell, tmp_path)
    found = shell.json("kb", "search", "Garden", "When does the pump start?", "--top-k", "3")
    assert {"query", "mode", "timings_ms", "hits"} <= set(found) and found["mode"] == "hybrid"
    assert (found["warnings"], found["documents_pending"]) == ([], 0)
    (hit,) = found["hits"]
    assert (hit["rank"], hit["document"], hit["page"], hit["dense_rank"]) == (1, "pump.txt", None, 1)
    assert hit["text"][hit["start"] : hit["end"]] == "The pump of the north well starts at six."
    assert shell.json("kb", "verify", "Garden")["problems"] == []


def test_an_answer_is_printed_with_citations_and_passages(
    shell: Shell, tmp_path: Path, chat_server: ChatServer
) -> None:
    filled(shell, tmp_path)
    shell.json("server", "create", "fake", "--url", chat_server.url)
    row = shell.json("ask", "Garden", "When does the pump start?")
    assert row["answer"] == "The pump starts at six [1]."
    (citation,) = row["citations"]
    assert citation == {
        **{"marker": 1, "document": "pump.txt", "page": None, "start": 0, "end": 41},
        **{"supported": True, "reason": "supported:words", "attached": False},
    }
    assert [(check["verdict"], check["numbers"]) for check in row["checks"]] == [("supported", [1])]
    assert row["passages"][0]["text"].startswith("The pump") and row["server"] == "fake"
    assert row["timings_ms"]["total"] >= row["timings_ms"]["first_token"] > 0
    text = shell("ask", "Garden", "When does the pump start?")
    assert text.stdout == "The pump starts at six [1].\n\n[1] pump.txt\n"


@pytest.mark.parametrize(
    ("mode", "code"),
    [
        ("empty", "empty_answer"),
        ("nonsense", "bad_response"),
        ("unauthorized", "unauthorized"),
        ("loading", "server_not_ready"),
    ],
)
def test_a_server_that_fails_is_named(
    here: commands.Shell, tmp_path: Path, chat_server: ChatServer, mode: str, code: str
) -> None:
    filled(here, tmp_path)
    here.json("server", "create", "fake", "--url", chat_server.url)
    chat_server.set(mode=mode)
    assert here.error("ask", "Garden", "When?", "--server", "fake")["code"] == code


def test_a_dead_server_is_added_and_says_so(here: commands.Shell, tmp_path: Path) -> None:
    filled(here, tmp_path)
    row = here.json("server", "create", "dead", "--url", "http://127.0.0.1:9/v1")
    assert row["state"] == "unreachable" and row["error"]["code"] == "server_not_ready"
    assert here.error("ask", "Garden", "When?")["code"] == "no_server"
    assert here.error("ask", "Garden", "When?", "--server", "dead")["code"] == "server_not_ready"
    assert here.error("server", "test", "dead")["code"] == "server_not_ready"


def test_an_api_key_is_never_printed(shell: Shell, chat_server: ChatServer) -> None:
    words = ("server", "create", "fake", "--url", chat_server.url, "--api-key", "s3cret")
    printed = shell(*words, "--json").stdout + shell("server", "show", "fake").stdout + shell("server", "list").stdout
    assert "fake" in printed and "s3cret" not in printed


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("kb", "create", "Garden"), "name_taken"),
        (("kb", "create", "../up"), "invalid_name"),
        (("kb", "create", "New", "--chunk-size", "10"), "invalid_value"),
        (("kb", "create", "New", "--chunk-size", "100", "--chunk-overlap", "100"), "invalid_value"),
        (("kb", "create", "New", "--embedder", "other"), "invalid_value"),
        (("kb", "create", "New", "--chunker", "magic"), "invalid_value"),
        (("kb", "create", "New", "--chunker", "tokens", "--chunk-size", "600"), "invalid_value"),
        (("kb", "create", "New", "--rows", "5"), "invalid_value"),
        (("kb", "chunks", "Garden", "no.txt"), "document_not_found"),
        (("kb", "show", "Nothing"), "base_not_found"),
        (("kb", "remove", "Garden", "no.txt"), "document_not_found"),
        (("kb", "add", "Garden", "/no/such/file"), "path_not_found"),
        (("kb", "search", "Garden", " "), "empty_question"),
        (("kb", "add", "Garden", "README.md", "--wait"), "worker_not_running"),
        (("ask", "Garden", "Why?"), "no_server"),
        (("server", "create", "x", "--url", "ftp://example"), "invalid_value"),
        (("server", "show", "Nothing"), "server_not_found"),
        (("server", "start", "Nothing"), "worker_not_running"),
    ],
)
def test_bad_input_exits_with_1_code_message_and_remedy(
    here: commands.Shell, words: tuple[str, ...], code: str
) -> None:
    here.json("kb", "create", "Garden")
    assert here.error(*words)["code"] == code


def test_wrong_usage_exits_with_2(shell: Shell) -> None:
    assert shell("kb", "create").returncode == 2
    assert shell("no-such-verb").returncode == 2


def test_messages_speak_the_shells_language_and_json_speaks_english(shell: Shell) -> None:
    shell.json("kb", "create", "Garden")
    english = shell.error("kb", "create", "Garden")["message"]
    chinese = shell("kb", "create", "Garden", locale="zh_CN.UTF-8").stderr
    assert english == "“Garden” exists already."
    assert "Garden" in chinese and "exists" not in chinese
    asked = json.loads(shell("kb", "create", "Garden", "--json", "--lang", "zh").stderr)
    assert asked["code"] == "name_taken" and "exists" not in asked["message"]


def test_a_setting_that_cannot_be_used_is_named(shell: Shell) -> None:
    (shell.home / "settings.toml").write_text("port = 0\n")
    assert "port" in shell.error("status")["message"]


def test_status_prints_what_the_table_promises(shell: Shell) -> None:
    status = shell.json("status")
    assert set(status) == {"version", "home", "web", "worker", "servers", "knowledge_bases", "gpus", "alerts"}
    assert status["web"] == {"running": False, "url": None} and status["worker"] == {"running": False, "pid": None}
