"""A LangChain program reads a conversation and goes on with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

from services.chat.langchain_history import ConversationHistory
from services.core.errors import ConversationNotFound, InvalidValue
from services.store import StateStore
from tests.fakes.chat_server import running_chat_server
from tests.integration.test_answers import MACHINE, Desk, service


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    url = f"sqlite:///{tmp_path / 'state.sqlite3'}"
    store = StateStore(url)
    with running_chat_server(answer="It holds koi [1].", engine="llama.cpp") as server:
        yield Desk(service(store, server.url), server, store, url)
    store.close()


def history(desk: Desk, conversation_id: str, owner: str = "me") -> ConversationHistory:
    return ConversationHistory(desk.store.conversations, desk.store.turns, owner, conversation_id, MACHINE)


def test_a_program_reads_questions_and_answers_with_their_passages(desk: Desk) -> None:
    turn = desk.ask("Which fish?", base_ids=["garden"])
    asked, answered = history(desk, turn.conversation_id).messages
    assert isinstance(asked, HumanMessage) and asked.content == "Which fish?"
    assert isinstance(answered, AIMessage) and answered.content == "It holds koi [1]."
    assert answered.additional_kwargs["passages"] == turn.passages
    assert answered.response_metadata["server"] == "fake 1"


def test_a_program_goes_on_and_the_chat_remembers_what_it_said(desk: Desk) -> None:
    turn = desk.ask("What is it?")
    kept = history(desk, turn.conversation_id)
    model = FakeListChatModel(responses=["Because."])
    question = HumanMessage("Why?")
    kept.add_messages([question, model.invoke([*kept.messages, question])])
    assert [turn.answer for turn in desk.chat.turns("me", turn.conversation_id)] == ["It holds koi [1].", "Because."]
    desk.ask("Sure?", conversation_id=turn.conversation_id)
    sent = [message["content"] for message in desk.server.chats[-1].body["messages"]]
    assert sent[1:] == ["What is it?", "It holds koi [1].", "Why?", "Because.", "Sure?"]
    kept.add_messages([SystemMessage("Be brief.")])
    assert kept.messages[0] == SystemMessage("Be brief.")


def test_clearing_forgets_and_loses_nothing(desk: Desk) -> None:
    turn = desk.ask("What is it?")
    kept = history(desk, turn.conversation_id)
    kept.clear()
    assert kept.messages == [] and desk.chat.turns("me", turn.conversation_id) == [turn]


def test_what_cannot_be_kept_is_refused(desk: Desk) -> None:
    turn = desk.ask("What is it?")
    with pytest.raises(InvalidValue):
        history(desk, turn.conversation_id).add_messages([AIMessage("Nobody asked.")])
    with pytest.raises(InvalidValue):
        history(desk, turn.conversation_id).add_messages([ToolMessage("1", tool_call_id="x")])
    with pytest.raises(ConversationNotFound):
        history(desk, turn.conversation_id, owner="you").add_messages([HumanMessage("?")])
