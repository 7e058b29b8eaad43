"""What stands around an answer: where its sources come from, what was not searched yet, who is before it."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
import streamlit as st

from services.app import Services
from services.core.machine import this_process
from services.store.bases import BaseRecord
from services.store.conversations import TurnRecord
from tests.app.chat_places import asked
from tests.app.pages import labels, opened, speak, words
from tests.fakes.chat_server import ChatServer
from ui import conversation
from ui.owner import LOCAL


@pytest.fixture
def one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page looks once at an answer that grows, where it would look again and again until that has ended."""
    monkeypatch.setattr(conversation, "time", SimpleNamespace(sleep=lambda _seconds: st.stop()))


def waiting(services: Services) -> TurnRecord:
    """A question that is not answered yet, owned by a process that lives."""
    talk, me = services.store.conversations.create(owner_id=LOCAL, title="Pump", server_id=None), this_process()
    return services.store.turns.create(
        talk.id,
        mode="chat",
        question="When?",
        server_name="box",
        model="m",
        settings={},
        machine_id=services.machine_id,
        pid=me.pid,
        process_started_at=me.started_at,
    )


def test_sources_that_the_model_has_not_named_are_said_to_be_attached(
    services: Services, base: BaseRecord, chat_server: ChatServer
) -> None:
    named = opened("1_Chat", conversation=asked(services, base).conversation_id)
    assert "attached by likeness" not in words(named)
    chat_server.set(answer="The pump of the north well starts at six in the morning.")
    app = opened("1_Chat", conversation=asked(services, base).conversation_id)
    assert "sources attached by likeness, not named by the model" in words(app)
    assert "#cite-" in app.chat_message[1].markdown[0].value
    assert "来源按相似度附上，并非模型所标" in words(speak(app, "zh_CN"))


def test_documents_that_were_not_read_yet_are_said_not_to_have_been_searched(
    services: Services, base: BaseRecord
) -> None:
    services.knowledge.add(base, "late.md", io.BytesIO(b"The pump is blue."))
    app = opened("1_Chat", conversation=asked(services, base).conversation_id)
    assert "Garden is still being read: 1 of 2 documents were not searched." in words(app)
    assert "Garden 仍在读取：2 个文档中有 1 个未被搜索。" in words(speak(app, "zh_CN"))


@pytest.mark.usefixtures("one_look")
def test_a_question_that_waits_says_how_many_are_before_it(services: Services) -> None:
    turn = waiting(services)
    app = opened("1_Chat", conversation=turn.conversation_id)
    assert "Waiting for box (" in words(app) and "before you" not in words(app)
    services.store.turns.update(turn.id, queue_place=2)
    app = opened("1_Chat", conversation=turn.conversation_id)
    assert "Waiting for box: 2 before you" in words(app)
    assert "正在等待 box：前面还有 2 个" in words(speak(app, "zh_CN"))


def test_earlier_conversations_stand_under_their_days(services: Services, chat_server: ChatServer) -> None:
    services.servers.add_remote("box", chat_server.url)
    days = {"Mulch": 0, "Hedges": 1, "Roses": 3, "Ponds": 400}
    for question, days_ago in days.items():
        turn = asked(services, None, question)
        talk = services.store.conversations.get(turn.conversation_id)
        assert talk is not None
        services.store.conversations.change(talk.id, updated_at_ms=talk.updated_at_ms - days_ago * 86_400_000)
    app = opened("1_Chat")
    listed = [element for element in labels(app) if element in days]
    assert listed == ["Mulch", "Hedges", "Roses", "Ponds"]
    told = words(app)
    assert told.index("Today") < told.index("Yesterday") < told.index("The last 7 days")
