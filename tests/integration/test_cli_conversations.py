"""Conversations, golden questions and presets by the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.app import bootstrap
from services.cli.conversation import OWNER
from services.core.settings import load
from tests.fakes.chat_server import ChatServer, running_chat_server
from tests.integration.commands import Shell


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
    assert shell.json("conversation", "list")[0]["shared"]
    assert shell.json("conversation", "share", id, "--take-back") == {"id": id, "link": None}
    assert not shell.json("conversation", "show", id)["shared"]
    assert shell.json("conversation", "rename", id, "Of  wells")["title"] == "Of wells"
    assert shell.error("conversation", "rename", id, " ")["code"] == "invalid_name"
    assert shell.json("conversation", "delete", id) == {"deleted": id}
    assert shell.error("conversation", "show", id)["code"] == "conversation_not_found"


def test_a_conversation_is_read_and_written_as_people_read_it_in_their_language(
    shell: Shell, tmp_path: Path, chat_server: ChatServer
) -> None:
    shell.json("server", "create", "box", "--url", chat_server.url)
    shell.json("kb", "create", "花园")
    id = shell.json("ask", "花园", "水泵是什么？", "--conversation", "new", "--mode", "chat")["conversation_id"]
    listed = shell.text("conversation", "list", "--lang", "zh")
    assert id in listed and "水泵是什么？" in listed and "最近使用" in listed
    file = tmp_path / "谈话.md"
    assert file.name in shell.text("conversation", "export", id, str(file), "--lang", "zh")
    read = file.read_text("utf-8")
    assert "## 水泵是什么？\n\nA machine." in read and read == shell.text("conversation", "show", id, "--lang", "zh")
    assert id not in shell.text("conversation", "list", "--search", "koi")
    assert shell.text("conversation", "delete", id).strip() == "Removed “水泵是什么？”."


def test_an_export_that_cannot_be_is_refused_with_what_to_do(
    shell: Shell, tmp_path: Path, chat_server: ChatServer
) -> None:
    shell.json("server", "create", "box", "--url", chat_server.url)
    shell.json("kb", "create", "Garden")
    id = shell.json("ask", "Garden", "Well?", "--conversation", "new", "--mode", "chat")["conversation_id"]
    (tmp_path / "folder.md").mkdir()
    for name, code in (("a.exe", "invalid_value"), ("nowhere/a.md", "path_not_found"), ("folder.md", "invalid_value")):
        assert shell.error("conversation", "export", id, str(tmp_path / name))["code"] == code
        assert shell.error("conversation", "export", "nobody", str(tmp_path / "a.md"))["code"] == (
            "conversation_not_found"
        )
    for words in (("show", "nobody"), ("delete", "nobody"), ("rename", "nobody", "x"), ("share", "nobody")):
        assert shell.error("conversation", *words)["code"] == "conversation_not_found"
    assert not (tmp_path / "a.md").exists()


def test_conversations_of_the_pages_are_listed_where_they_are_asked_for(shell: Shell) -> None:
    services = bootstrap(load(home=shell.home, embedded=False))
    talks = services.store.conversations
    mine = talks.create(owner_id=OWNER, title="mine", server_id=None)
    theirs = talks.create(owner_id="somebody", title="theirs", server_id=None)
    services.close()
    assert [row["id"] for row in shell.json("conversation", "list")] == [mine.id]
    everybodys = {row["id"]: row["owner"] for row in shell.json("conversation", "list", "--all")}
    assert everybodys == {mine.id: OWNER, theirs.id: "somebody"}


def test_golden_questions_are_listed_by_base_and_exported_with_their_traces(
    shell: Shell, tmp_path: Path, chat_server: ChatServer
) -> None:
    assert shell.json("golden", "list") == [] and shell.text("golden", "list") == ""
    asked = {"Garden": "Why?", "花园": "为什么？"}
    kept = [_golden(shell, chat_server, base, question) for base, question in asked.items()]
    assert [row["question"] for row in shell.json("golden", "list")] == ["为什么？", "Why?"]
    [row] = shell.json("golden", "list", "--base", "Garden")
    assert row["id"] == kept[0] and row["trace"]["mode"] == "knowledge" and row["comment"] == "wrong"
    assert row["expected"] == [{"base_id": row["bases"][0]["id"], "document_id": "d", "document": "pump.md"}]
    assert f"{kept[0]}  Why?\n    -> pump.md" in shell.text("golden", "list", "--base", "Garden")
    file = tmp_path / "golden.jsonl"
    assert shell.json("golden", "export", str(file)) == {"file": str(file), "questions": 2}
    assert [json.loads(line) for line in file.read_text("utf-8").splitlines()] == shell.json("golden", "list")
    assert "花园" in file.read_text("utf-8")
    assert "1" in shell.text("golden", "export", str(file), "--base", "Garden", "--lang", "zh")
    assert len(file.read_text("utf-8").splitlines()) == 1
    assert shell.error("golden", "list", "--base", "Nowhere")["code"] == "base_not_found"
    assert shell.error("golden", "export", str(tmp_path / "no" / "where.jsonl"))["code"] == "invalid_value"
    assert shell.usage("golden", "export") == 2


def test_what_people_think_of_answers_is_listed_and_exported(
    shell: Shell, tmp_path: Path, chat_server: ChatServer
) -> None:
    assert shell.json("feedback", "list") == [] and shell.text("feedback", "list") == ""
    for base, question in {"Garden": "Why?", "花园": "为什么？"}.items():
        _golden(shell, chat_server, base, question)
    services = bootstrap(load(home=shell.home, embedded=False))
    second, first = (services.chat.turns(OWNER, talk.id)[0] for talk in services.chat.conversations(OWNER))
    services.feedback.rate(OWNER, first.id, "bad", "Not so.")
    services.feedback.rate(OWNER, second.id, "", "好问题")
    services.close()
    assert {row["question"] for row in shell.json("feedback", "list")} == {"为什么？", "Why?"}
    [row] = shell.json("feedback", "list", "--base", "Garden")
    assert (row["turn_id"], row["verdict"], row["comment"], row["link"]) == (first.id, "bad", "Not so.", None)
    assert row["answer"] == first.answer and row["conversation_id"] == first.conversation_id
    assert [row["verdict"] for row in shell.json("feedback", "list", "--verdict", "none")] == [None]
    assert shell.json("feedback", "list", "--verdict", "good") == []
    assert f"{first.id}  差评  Why?\n    Not so.\n" in shell.text("feedback", "list", "--lang", "zh")
    file = tmp_path / "feedback.jsonl"
    assert shell.json("feedback", "export", str(file)) == {"file": str(file), "answers": 2}
    assert [json.loads(line) for line in file.read_text("utf-8").splitlines()] == shell.json("feedback", "list")
    assert shell.error("feedback", "list", "--verdict", "fair")["code"] == "invalid_value"
    assert shell.error("feedback", "export", str(tmp_path / "no" / "where.jsonl"))["code"] == "invalid_value"


def _golden(shell: Shell, chat_server: ChatServer, base: str, question: str) -> str:
    """Ask a new base something that it has nothing about, and keep the answer; the id of what was kept."""
    services = bootstrap(load(home=shell.home, embedded=False))
    made = services.knowledge.create(base)
    services.servers.add_remote(f"box for {base}", chat_server.url)
    turn = services.chat.wait(services.chat.ask(OWNER, question, base_ids=[made.id]).id, 30)
    wanted = [{"base_id": made.id, "document_id": "d", "document": "pump.md"}]
    kept = services.feedback.save_golden(OWNER, turn.id, documents=wanted, comment="wrong")
    services.close()
    return kept.id


def test_a_base_has_a_preset_that_is_shown_changed_and_cleared(shell: Shell) -> None:
    shell.json("kb", "create", "Garden")
    assert shell.json("kb", "preset", "Garden", "--temperature", "0.5", "--stop", "END") == {
        "temperature": 0.5,
        "stop": ["END"],
    }
    assert shell.json("kb", "preset", "Garden", "--max-tokens", "99")["temperature"] == 0.5
    assert shell.json("kb", "preset", "Garden", "--clear") == {}
    assert shell.error("kb", "preset", "Garden", "--temperature", "9")["code"] == "invalid_value"
