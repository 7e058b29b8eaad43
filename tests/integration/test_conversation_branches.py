"""Branches of conversations: what goes with the turns, and what is not counted twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from services.chat.conversations import Conversations
from services.monitoring.turn_totals import TurnTotals
from services.store.product import product_settings
from tests.integration.test_answers import MACHINE, Desk, at_desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with at_desk(tmp_path, "Forty-two.") as opened:
        yield opened


@pytest.fixture
def talks(desk: Desk) -> Conversations:
    return Conversations(desk.store.conversations, desk.store.turns)


def test_a_branch_shows_what_was_sent_when_and_forgets_what_was_cleared(desk: Desk, talks: Conversations) -> None:
    registry = CollectorRegistry()
    totals = TurnTotals(desk.store.turns, MACHINE, registry)
    first = desk.ask("What is it?")
    talks.forget("me", first.conversation_id)
    second = desk.ask("And why?", conversation_id=first.conversation_id)
    totals.update()
    branch = talks.branch("me", second.id, "zh_CN")
    assert branch.title == "What is it?（分支）"
    copies = desk.chat.turns("me", branch.id)
    assert [copy.created_at_ms for copy in copies] == [first.created_at_ms, second.created_at_ms]
    assert talks.prompt("me", copies[1].id) == talks.prompt("me", second.id) != []
    remembered = talks.memory("me", branch.id, product_settings(desk.store.preferences)).exchanges
    assert [each.question for each in remembered] == ["And why?"]
    totals.update()
    counted = {"mode": "chat", "state": "done"}
    assert registry.get_sample_value("lectern_chat_turns_total", counted) == 2, "a copy is no new question"


def test_a_branch_keeps_a_summary_that_tells_of_its_turns_only(desk: Desk, talks: Conversations) -> None:
    first = desk.ask("1?")
    second = desk.ask("2?", conversation_id=first.conversation_id)
    desk.store.conversations.change(first.conversation_id, summary={"text": "They spoke.", "through": second.id})
    whole, part = talks.branch("me", second.id), talks.branch("me", first.id)
    last = desk.chat.turns("me", whole.id)[-1]
    assert whole.summary == {"text": "They spoke.", "through": last.id} and part.summary is None
