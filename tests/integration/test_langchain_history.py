"""A LangChain program reads a conversation and goes on with it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

from services.chat.choices import Choices
from services.chat.langchain_history import ConversationHistory
from services.chat.turns import KNOWLEDGE
from services.core.errors import ConversationNotFound, InvalidValue
from services.store.conversations import TurnRecord
from tests.integration.api_places import ANSWER, QUESTION, Desk, open_desk

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with open_desk(tmp_path) as opened:
        opened.script()
        yield opened


def ask(desk: Desk, question: str, *, base: bool = False, conversation_id: str | None = None) -> TurnRecord:
    services = desk.api.services
    base_ids = [services.knowledge.base("Garden").id] if base else []
    turn = services.chat.ask("me", question, base_ids=base_ids, conversation_id=conversation_id)
    return services.chat.wait(turn.id, 30)


def history(desk: Desk, turn: TurnRecord) -> ConversationHistory:
    return ConversationHistory(desk.api.services, turn.conversation_id)


def test_a_program_reads_what_the_chat_remembers_with_the_passages(desk: Desk) -> None:
    turn = ask(desk, QUESTION, base=True)
    asked, answered = history(desk, turn).messages
    assert isinstance(asked, HumanMessage) and asked.content == QUESTION
    assert isinstance(answered, AIMessage) and answered.content == "The pump starts at six (pump.md)."
    assert answered.additional_kwargs == {"answer": ANSWER, "passages": turn.passages}
    assert answered.response_metadata["server"] == "fake"


def test_a_program_goes_on_and_the_chat_remembers_what_it_said(desk: Desk) -> None:
    turn = ask(desk, "What is it?")
    kept = history(desk, turn)
    model = FakeListChatModel(responses=["Because."])
    question = HumanMessage("Why?")
    kept.add_messages([question, model.invoke([*kept.messages, question])])
    turns = desk.api.services.chat.turns("me", turn.conversation_id)
    assert [turn.answer for turn in turns] == [ANSWER, "Because."]
    ask(desk, "Sure?", conversation_id=turn.conversation_id)
    sent = [message["content"] for message in desk.server.chats[-1].body["messages"]]
    assert sent[1:] == ["What is it?", ANSWER, "Why?", "Because.", "Sure?"]
    kept.add_messages([SystemMessage("Be brief.")])
    assert kept.messages[0] == SystemMessage("Be brief.")


def test_what_was_chosen_for_the_conversation_or_its_bases_counts_as_in_the_chat(desk: Desk) -> None:
    services, turn = desk.api.services, ask(desk, "What is it?")
    id, base_id = turn.conversation_id, services.knowledge.base("Garden").id
    ask(desk, "Why?", conversation_id=id)
    services.presets.choose(base_id, Choices(system_prompt="Speak as a gardener."))
    services.conversations.choose("me", id, Choices(mode=KNOWLEDGE, base_ids=(base_id,)))
    assert history(desk, turn).messages[0] == SystemMessage("Speak as a gardener.")
    services.conversations.choose("me", id, Choices(system_prompt="Be brief.", memory="last_turns", memory_turns=1))
    assert [message.content for message in history(desk, turn).messages] == ["Be brief.", "Why?", ANSWER]
    services.conversations.choose("me", id, Choices(memory="summary"))
    summary = {"text": "A pump was spoken of.", "through": turn.id}
    services.store.conversations.change(id, summary=summary)
    assert [message.content for message in history(desk, turn).messages] == [
        "What was said so far: A pump was spoken of.",
        "Why?",
        ANSWER,
    ]
    ask(desk, "Sure?", conversation_id=id)
    assert desk.server.chats[-1].body["messages"][0]["content"].endswith("What was said so far: A pump was spoken of.")


def test_clearing_forgets_and_loses_nothing(desk: Desk) -> None:
    turn = ask(desk, "What is it?")
    kept = history(desk, turn)
    kept.clear()
    assert kept.messages == [] and desk.api.services.chat.turns("me", turn.conversation_id) == [turn]


def test_what_cannot_be_kept_is_refused(desk: Desk) -> None:
    turn = ask(desk, "What is it?")
    with pytest.raises(InvalidValue):
        history(desk, turn).add_messages([AIMessage("Nobody asked.")])
    with pytest.raises(InvalidValue):
        history(desk, turn).add_messages([ToolMessage("1", tool_call_id="x")])
    for id, owner in ((turn.conversation_id, "you"), ("nowhere", None)):
        with pytest.raises(ConversationNotFound):
            ConversationHistory(desk.api.services, id, owner_id=owner).add_messages([HumanMessage("?")])


@pytest.mark.parametrize("guide", ["docs/langchain.md", "docs/langchain.zh-CN.md"])
def test_the_program_of_the_guide_goes_on_with_a_conversation(desk: Desk, guide: str) -> None:
    turn = ask(desk, QUESTION, base=True)
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / guide).read_text("utf-8"), re.MULTILINE | re.DOTALL)
    [program] = [block for block in blocks if "langchain_history" in block]
    here = program.replace("http://127.0.0.1:8501/v1", desk.api.url).replace("server:embedded", "server:fake")
    desk.server.set(answer="The gardener does.")
    desk.server.requests.clear()
    surroundings = {**os.environ, "LECTERN_HOME": str(desk.api.services.settings.home), "LECTERN_EMBEDDED": "false"}
    command = [sys.executable, "-c", here, turn.conversation_id, "Who cleans it?"]
    child = subprocess.run(command, cwd=ROOT, env=surroundings, capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr
    assert child.stdout.splitlines()[-1] == "The gardener does."
    sent = [message["content"] for message in desk.server.chats[-1].body["messages"]]
    assert sent == [QUESTION, "The pump starts at six (pump.md).", "Who cleans it?"]
    newest = desk.api.services.chat.turns("me", turn.conversation_id)[-1]
    assert (newest.question, newest.answer, newest.state) == ("Who cleans it?", "The gardener does.", "done")
