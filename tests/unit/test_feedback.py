"""Thumbs, comments, and golden questions that outlive the conversation they came from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.chat.feedback import Feedback, golden_row
from services.core.errors import ConversationNotFound, InvalidValue
from services.store import StateStore
from services.store.conversations import TurnRecord

PASSAGE = {
    **{"document": "pump.md", "page": None, "start": 0, "end": 4, "text": "Pump", "chunk_id": 1, "document_id": "d1"},
    **{"revision": 1, "heading": "", "score": 0.8, "base_id": "b1", "base_name": "Garden"},
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StateStore]:
    opened = StateStore(f"sqlite:///{tmp_path / 'state.sqlite3'}")
    yield opened
    opened.close()


@pytest.fixture
def feedback(store: StateStore) -> Feedback:
    return Feedback(store.conversations, store.turns, store.feedback, store.golden)


def answered(store: StateStore) -> TurnRecord:
    talk = store.conversations.create(owner_id="me", title="Pump", server_id=None, settings={})
    turn = store.turns.create(
        talk.id,
        mode="knowledge",
        question="When does the pump start?",
        server_name="box",
        model="m",
        settings={"top_k": 6, "checks": [{"verdict": "not_found"}]},
        machine_id="here",
        pid=1,
        process_started_at=1.0,
        bases=[{"id": "b1", "name": "Garden", "documents": 2, "pending": 0}],
    )
    passages = [{**PASSAGE, "number": 1}, {**PASSAGE, "number": 2, "document": "pond.md", "document_id": "d2"}]
    changed = store.turns.update(turn.id, answer="At seven [1].", state="done", passages=passages)
    assert changed
    return changed


def test_a_second_verdict_takes_the_place_of_the_first(store: StateStore, feedback: Feedback) -> None:
    turn = answered(store)
    assert feedback.of("me", turn.id) is None
    feedback.rate("me", turn.id, "good")
    feedback.rate("me", turn.id, "bad", "  It is six. ")
    found = feedback.of("me", turn.id)
    assert found and (found.verdict, found.comment) == ("bad", "It is six.")


def test_only_the_owner_rates_and_only_good_or_bad(store: StateStore, feedback: Feedback) -> None:
    turn = answered(store)
    with pytest.raises(ConversationNotFound):
        feedback.rate("somebody else", turn.id, "good")
    with pytest.raises(ConversationNotFound):
        feedback.save_golden("somebody else", turn.id)
    with pytest.raises(InvalidValue):
        feedback.rate("me", turn.id, "fair")


def test_a_golden_question_keeps_the_trace_after_its_conversation_is_gone(
    store: StateStore, feedback: Feedback
) -> None:
    turn = answered(store)
    feedback.rate("me", turn.id, "bad")
    other = {"base_id": "b1", "document_id": "d3", "document": "times.md"}
    feedback.save_golden("me", turn.id, passages=[2], documents=[other], comment="six")
    store.conversations.remove(turn.conversation_id)
    assert feedback.of("me", turn.id) is None, "what was thought of an answer goes with it"
    (kept,) = feedback.golden("b1")
    assert not feedback.golden("another base")
    row = golden_row(kept)
    assert row["question"] == "When does the pump start?" and row["comment"] == "six"
    assert [one["document"] for one in row["expected"]] == ["pond.md", "times.md"]
    assert [one["document"] for one in row["retrieved"]] == ["pump.md", "pond.md"]
    assert row["trace"]["answer"] == "At seven [1]." and row["trace"]["settings"] == {"top_k": 6}
    assert row["trace"]["checks"] == [{"verdict": "not_found"}]
    assert feedback.remove_golden(kept.id) and not feedback.golden()
