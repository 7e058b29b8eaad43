"""Conversations over HTTP: read and gone on with by whose they are, and by nobody else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.store.api_keys import CHAT, SEARCH, Use
from services.store.conversations import TurnRecord
from tests.fakes import patience
from tests.integration.api_places import ANSWER, QUESTION, Desk, open_desk

until = partial(patience.until, seconds=15)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with open_desk(tmp_path_factory.mktemp("home")) as opened:
        opened.api.services.knowledge.create("Yard")
        yield opened


@pytest.fixture
def desk(shared: Desk) -> Desk:
    shared.script()
    return shared


def key_of(desk: Desk, owner: str | None = None, scope: str = CHAT) -> str:
    keys = desk.api.services.store.keys
    return keys.create(f"key {len(keys.all())}", [scope], owner)[1]


def call(desk: Desk, key: str, method: str, path: str = "", **body: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}"}
    url = f"{desk.api.url}/conversations{path}"
    return httpx.request(method, url, headers=headers, timeout=30, json=body or None)


def on_the_page(desk: Desk, owner: str) -> TurnRecord:
    """A question that somebody has asked the base on the page."""
    services = desk.api.services
    begun = services.chat.ask(owner, QUESTION, base_ids=[services.knowledge.base("Garden").id])
    return services.chat.wait(begun.id, 30)


def test_what_was_begun_on_the_page_is_read_and_gone_on_with_by_a_key_of_its_owner(desk: Desk) -> None:
    turn, key = on_the_page(desk, "me"), key_of(desk, "me")
    [row] = call(desk, key, "GET").json()["data"]
    assert (row["object"], row["id"], row["title"]) == ("conversation", turn.conversation_id, QUESTION)
    shown = call(desk, key, "GET", f"/{row['id']}").json()
    asked, answered = shown["messages"]
    assert asked == {"role": "user", "content": QUESTION}
    assert (answered["role"], answered["content"]) == ("assistant", ANSWER)
    assert answered["lectern"]["state"] == "done" and answered["lectern"]["turn_id"] == turn.id
    assert [cited["document"] for cited in answered["lectern"]["citations"]] == ["pump.md"]
    said = call(desk, key, "POST", f"/{row['id']}/messages", content="When in the morning does the pump start?").json()
    assert (said["object"], said["model"]) == ("chat.completion", "server:fake")
    assert said["choices"][0]["message"] == {"role": "assistant", "content": ANSWER} and said["usage"]
    assert [base["name"] for base in said["lectern"]["searched"]] == ["Garden"], "asked of the same documents"
    turns = desk.api.services.chat.turns("me", turn.conversation_id)
    assert [each.question for each in turns] == [QUESTION, "When in the morning does the pump start?"]
    assert said["lectern"]["turn_id"] == turns[1].id


def test_what_a_key_begins_is_remembered_and_the_keys_own(desk: Desk) -> None:
    key = key_of(desk)
    begun = call(desk, key, "POST", content="What is a pump?").json()["lectern"]
    path = f"/{begun['conversation_id']}"
    assert begun["searched"] == [] and begun["passages"] == []
    assert call(desk, key, "POST", f"{path}/messages", content="And a well?").status_code == 200
    sent = [message["content"] for message in desk.server.chats[-1].body["messages"]]
    assert sent[1:] == ["What is a pump?", ANSWER, "And a well?"]
    garden = call(desk, key, "POST", f"{path}/messages", content=QUESTION, knowledge_bases=["Garden"]).json()
    assert [base["name"] for base in garden["lectern"]["searched"]] == ["Garden"]
    plain = call(desk, key, "POST", f"{path}/messages", content="Thanks, and why?", knowledge_bases=[]).json()
    assert plain["lectern"]["searched"] == []
    assert [row["id"] for row in call(desk, key, "GET").json()["data"]] == [begun["conversation_id"]]
    assert call(desk, key_of(desk), "GET").json()["data"] == []
    record = desk.api.services.store.keys.valid(key)
    assert record and desk.api.services.store.keys.used()[record.id].requests == 5


def test_somebody_elses_is_not_there(desk: Desk) -> None:
    turn = on_the_page(desk, "somebody")
    for key in (key_of(desk), key_of(desk, "me")):
        assert turn.conversation_id not in {row["id"] for row in call(desk, key, "GET").json()["data"]}
        gone = call(desk, key, "GET", f"/{turn.conversation_id}")
        assert (gone.status_code, gone.json()["error"]["code"]) == (404, "conversation_not_found")
        asked = call(desk, key, "POST", f"/{turn.conversation_id}/messages", content="Secret?")
        assert asked.status_code == 404
    assert len(desk.api.services.chat.turns("somebody", turn.conversation_id)) == 1
    searching = key_of(desk, "somebody", SEARCH)
    assert call(desk, searching, "GET").status_code == call(desk, searching, "POST", content="?").status_code == 403


def test_an_answer_streams_as_openais_pieces(desk: Desk) -> None:
    streamed = call(desk, key_of(desk), "POST", content="What is a pump?", stream=True).text
    lines = [line.removeprefix("data: ") for line in streamed.splitlines() if line]
    chunks = [json.loads(line) for line in lines[:-1]]
    assert lines[-1] == "[DONE]"
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == ANSWER
    assert chunks[-1]["lectern"]["conversation_id"] and chunks[-1]["usage"]


def test_an_answer_that_failed_says_why_then_and_later(desk: Desk) -> None:
    turn, key = on_the_page(desk, "unlucky"), key_of(desk, "unlucky")
    desk.server.set(mode="unauthorized")
    failed = call(desk, key, "POST", f"/{turn.conversation_id}/messages", content="Why at six?")
    assert failed.status_code == 502 and failed.json()["error"]["code"] == "unauthorized"
    newest = call(desk, key, "GET", f"/{turn.conversation_id}").json()["messages"][-1]
    assert newest["content"] == "" and newest["lectern"]["state"] == "failed"
    assert newest["lectern"]["error"]["code"] == "unauthorized" and newest["lectern"]["error"]["remedy"]
    assert call(desk, key, "POST", content=" ").json()["error"]["code"] == "empty_question"
    assert call(desk, key, "POST", content="?", model="x").json()["error"]["code"] == "invalid_value"
    wrong = call(desk, key, "POST", content="?", knowledge_bases=["Nowhere"])
    assert wrong.json()["error"]["code"] == "base_not_found"


def test_a_caller_that_goes_stops_the_answer_and_what_was_said_stays(desk: Desk) -> None:
    turn, key = on_the_page(desk, "hasty"), key_of(desk, "hasty")
    desk.server.set(answer=" ".join(f"word{number}" for number in range(400)), delay_s=0.05)
    url = f"{desk.api.url}/conversations/{turn.conversation_id}/messages"
    headers, body = {"Authorization": f"Bearer {key}"}, {"content": "Go on, at length.", "stream": True}
    with httpx.stream("POST", url, headers=headers, json=body, timeout=30) as answer:
        next(answer.iter_lines())
    turns = partial(desk.api.services.chat.turns, "hasty", turn.conversation_id)
    until(lambda: turns()[-1].state == "stopped")
    assert turns()[-1].answer.startswith("word")


def test_without_a_key_there_are_conversations_of_nobody(tmp_path: Path) -> None:
    with open_desk(tmp_path) as fresh:
        fresh.script()
        theirs = on_the_page(fresh, "me")
        begun = call(fresh, "any", "POST", content="What is a pump?").json()["lectern"]["conversation_id"]
        assert [row["id"] for row in call(fresh, "any", "GET").json()["data"]] == [begun]
        assert call(fresh, "any", "GET", f"/{theirs.conversation_id}").status_code == 404
        assert fresh.api.services.store.keys.used()[""] == Use(3, *_tokens(fresh, begun), 0)


def _tokens(desk: Desk, conversation_id: str) -> tuple[int, int]:
    [talk] = [each for each in desk.api.services.chat.conversations("key:") if each.id == conversation_id]
    [turn] = desk.api.services.chat.turns("key:", talk.id)
    return turn.prompt_tokens or 0, turn.completion_tokens or 0
