"""Thumbs, comments, and golden questions that outlive the conversation they came from."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from services.chat.feedback import Feedback, golden_row, rated_row
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


def test_a_comment_may_stand_alone_and_what_is_taken_back_is_gone(store: StateStore, feedback: Feedback) -> None:
    turn = answered(store)
    feedback.rate("me", turn.id, "good", "Just so.")
    feedback.rate("me", turn.id, "", "Just so.")
    found = feedback.of("me", turn.id)
    assert found and (found.verdict, found.comment) == ("", "Just so.")
    assert feedback.rate("me", turn.id, "", " ") is None and feedback.of("me", turn.id) is None
    assert feedback.rated() == []


def test_whoever_looks_after_a_base_reads_what_people_think_of_its_answers(
    store: StateStore, feedback: Feedback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.store.feedback.now_ms", count(1).__next__)
    first, second = answered(store), answered(store)
    feedback.rate("me", first.id, "bad", "It is six.")
    feedback.rate("me", second.id, "good")
    assert [one.turn_id for one in feedback.rated("b1")] == [second.id, first.id]
    assert not feedback.rated("another base") and not feedback.rated(verdict="")
    assert feedback.rated_count("b1") == 2 and feedback.rated_count("b") == 0
    assert [one.turn_id for one in feedback.rated("b1", most=1)] == [second.id]
    [one] = feedback.rated("b1", "bad")
    row = rated_row(one)
    assert (row["question"], row["answer"]) == ("When does the pump start?", "At seven [1].")
    assert (row["verdict"], row["comment"], row["link"], row["owner"]) == ("bad", "It is six.", None, "me")
    store.conversations.change(first.conversation_id, share_token="token")
    assert rated_row(feedback.rated(verdict="bad")[0])["link"] == "/Chat?shared=token"
    assert store.feedback.counts("here") == {"good": 1, "bad": 1, "": 0}
    assert store.feedback.counts("elsewhere") == {"good": 0, "bad": 0, "": 0}


def test_only_the_owner_rates_and_only_good_or_bad(store: StateStore, feedback: Feedback) -> None:
    turn = answered(store)
    with pytest.raises(ConversationNotFound):
        feedback.rate("somebody else", turn.id, "good")
    with pytest.raises(ConversationNotFound):
        feedback.save_golden("somebody else", turn.id)
    with pytest.raises(InvalidValue):
        feedback.rate("me", turn.id, "fair")


def test_a_golden_question_has_all_that_is_needed_to_ask_it_again(store: StateStore, feedback: Feedback) -> None:
    turn = answered(store)
    hits = [{"number": number, "document": f"{number}.md", "dense_rank": number} for number in (1, 2, 3)]
    changes = {"standalone": "When does the north pump start?", "reasoning": "Seven, I think."}
    store.turns.update(turn.id, **changes, notes=[{"code": "cut"}], settings={**turn.settings, "found": hits})
    store.turns.update(turn.id, error_code="upstream_timeout", error_params={"name": "box"})
    store.turns.sent(turn.id, [{"kind": "question", "role": "user", "text": "When?", "joined": False, "tokens": 2}])
    row = golden_row(feedback.save_golden("me", turn.id, passages=[1]))
    assert [(hit["number"], hit["shown"], hit.get("text")) for hit in row["retrieved"]] == [
        (1, True, "Pump"),
        (2, True, "Pump"),
        (3, False, None),
    ]
    trace = row["trace"]
    assert (trace["standalone"], trace["reasoning"]) == (changes["standalone"], changes["reasoning"])
    assert trace["notes"] == [{"code": "cut"}]
    assert trace["error"] == {"code": "upstream_timeout", "params": {"name": "box"}}
    assert [part["text"] for part in trace["prompt"]] == ["When?"] and trace["settings"] == {"top_k": 6}


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
