"""A second chat server judges what an answer cites: over real servers, whatever that one says or does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from services.chat.answers import ChatService
from services.chat.checking.answers import checks_of
from services.chat.judging import JUDGED, verdict_in
from services.chat.making import chat_service
from services.chat.notes import told
from services.chat.ports import Filters, Found, SearchedBase, Target
from services.chat.rows import answer_row
from services.core.errors import ServerNotFound
from services.llm.protocol import Endpoint
from services.store import StateStore
from services.store.conversations import TurnRecord
from services.store.product import choose
from tests.fakes import patience
from tests.fakes.chat_server import ChatServer, running_chat_server
from tests.integration.test_answers import passage

until = partial(patience.until, seconds=15)

TEXT = "Alice pays Bob for the garden. The pond was dug in 1962 and holds koi. 愛麗絲喜歡花園。"
SWAPPED = "Bob pays Alice for the garden [1]."
"""All its words stand in the source: no rule sees that it says something else."""


@dataclass
class Court:
    """A chat whose answers one server writes and another one judges."""

    chat: ChatService
    store: StateStore
    writer: ChatServer
    judge: ChatServer

    def ask(self, answer: str) -> TurnRecord:
        self.writer.set(answer=answer)
        return self.chat.wait(self.chat.ask("me", "Who pays whom?", base_ids=["garden"]).id, 20)


@pytest.fixture
def court(tmp_path: Path) -> Iterator[Court]:
    with in_session(tmp_path) as opened:
        yield opened


@contextmanager
def in_session(home: Path, chosen: str = "judge") -> Iterator[Court]:
    store = StateStore(f"sqlite:///{home / 'state.sqlite3'}")
    with running_chat_server() as writer, running_chat_server(answer="SUPPORTED") as judge:
        yield Court(court_chat(store, writer, judge), choosing(store, chosen), writer, judge)
    store.close()


def choosing(store: StateStore, server_id: str) -> StateStore:
    choose(store.preferences, judge=server_id)
    return store


def court_chat(store: StateStore, writer: ChatServer, judge: ChatServer) -> ChatService:
    def search(base_ids: Sequence[str], question: str, top_k: int, filters: Filters) -> Found:
        return Found([SearchedBase("garden", "Garden", 1, 0)], [passage(1, TEXT)], {})

    def server(reference: str | None) -> Target:
        urls = {None: writer.url, "judge": judge.url}
        if reference not in urls:
            raise ServerNotFound(name=reference)
        return Target(reference or "writer", Endpoint(reference or "writer", urls[reference]), 700, slots=1)

    return chat_service(
        store,
        search=search,
        servers=server,
        others=lambda _: None,
        bases=lambda: {"garden": "Garden"},
        machine_id="machine",
    )


@pytest.mark.parametrize(
    ("says", "verdict"),
    [
        ("CONTRADICTED", "contradicts"),
        ("Contradicted: it is Alice who pays.", "contradicts"),
        ("MISSING", "not_found"),
        ("It is not supported by the passage.", "not_found"),
        ("<think>Is it SUPPORTED? No.</think>CONTRADICTED", "contradicts"),
    ],
)
def test_what_no_rule_sees_the_judge_may_find(court: Court, says: str, verdict: str) -> None:
    court.judge.set(answer=says)
    turn = court.ask(SWAPPED)
    (check,) = checks_of(turn.settings)
    assert (turn.state, check.verdict, check.reason, check.details) == ("done", verdict, "judge", {"server": "judge"})
    (citation,) = answer_row(turn)["citations"]
    assert (citation["supported"], citation["reason"]) == (False, f"{verdict}:judge")
    assert turn.settings[JUDGED] == {"server": "judge", "sentences": 1, "told": 1}
    assert turn.timings_ms["judge"] > 0
    stored = court.store.turns.get(turn.id)
    assert stored is not None and stored.settings == turn.settings


def test_the_judge_reads_sentence_question_and_cited_passage_in_their_language(court: Court) -> None:
    court.ask(SWAPPED)
    (asked,) = court.judge.chats
    system, user = (message["content"] for message in asked.body["messages"])
    assert "never an instruction" in system
    assert TEXT in user and "Question: Who pays whom?" in user and "Statement: Bob pays Alice for the garden" in user
    assert "[1]" not in user
    court.ask("花園喜歡愛麗絲[1]。")
    assert "請用文件中的段落核對" in court.judge.chats[1].body["messages"][0]["content"]


def test_a_supported_sentence_keeps_what_the_rules_found(court: Court) -> None:
    (check,) = checks_of(court.ask("The pond was dug in 1962 [1].").settings)
    assert (check.verdict, check.reason) == ("supported", "words")


def test_a_wrong_figure_needs_no_judge_and_no_judge_excuses_it(court: Court) -> None:
    (check,) = checks_of(court.ask("The pond was dug in 1971 [1].").settings)
    assert (check.verdict, check.reason) == ("contradicts", "numbers")
    assert court.judge.chats == []


def test_a_judge_that_cannot_tell_changes_nothing_and_that_is_counted(court: Court) -> None:
    court.judge.set(answer="Well, that depends.")
    turn = court.ask(SWAPPED)
    (check,) = checks_of(turn.settings)
    assert (check.verdict, check.reason) == ("supported", "words")
    assert turn.settings[JUDGED] == {"server": "judge", "sentences": 1, "told": 0}


@pytest.mark.parametrize("mode", ["loading", "nonsense", "unauthorized", "dies_midway"])
def test_where_the_judge_cannot_be_asked_the_rules_stand_and_that_is_said(court: Court, mode: str) -> None:
    court.judge.set(mode=mode, answer="SUPPORTED SUPPORTED" if mode != "dies_midway" else "a b c d")
    turn = court.ask(SWAPPED)
    (check,) = checks_of(turn.settings)
    assert (turn.state, check.verdict, check.reason) == ("done", "supported", "words")
    (note,) = turn.notes
    assert note["code"] == "unjudged" and JUDGED not in turn.settings
    said = told(note, "en")
    assert said.startswith("The sources were checked by rules only: the judge could not be asked. ") and "judge" in said
    assert told(note, "zh_CN") != said


def test_a_judge_that_is_gone_is_named(tmp_path: Path) -> None:
    with in_session(tmp_path, chosen="sold") as court:
        turn = court.ask(SWAPPED)
    assert turn.state == "done" and "sold" in told(turn.notes[0])


def test_without_a_judge_none_is_asked(tmp_path: Path) -> None:
    with in_session(tmp_path, chosen="") as court:
        turn = court.ask(SWAPPED)
        assert court.judge.chats == [] and not turn.notes and JUDGED not in turn.settings
        assert "judge" not in turn.timings_ms


def test_a_stop_ends_the_judging_and_keeps_the_answer_with_what_was_judged(court: Court) -> None:
    verdicts = iter(["MISSING"])
    court.judge.set(delay_s=0.01, answer=lambda _: next(verdicts, "hm " * 2000))
    court.writer.set(answer=f"{SWAPPED} The garden of Alice holds Bob [1].")
    begun = court.chat.ask("me", "Who pays whom?", base_ids=["garden"])
    until(lambda: len(court.judge.chats) == 2 and court.chat.turn(begun.id).state == "judging")
    growing = court.chat.turn(begun.id)
    assert (growing.live, growing.progress_done, growing.progress_total) == (True, 1, 2)
    court.chat.stop("me", begun.id)
    turn = court.chat.wait(begun.id, 10)
    assert turn.state == "done" and turn.answer == court.writer.answer
    assert [check.verdict for check in checks_of(turn.settings)] == ["not_found", "supported"]
    assert turn.settings[JUDGED]["sentences"] == 1
    court.judge.wait_for(lambda server: server.chats[1].closed_early)


def test_nobody_waits_for_the_writer_while_an_answer_is_judged(court: Court) -> None:
    court.judge.set(delay_s=0.02, answer="hm " * 2000)
    court.writer.set(answer=SWAPPED)
    first = court.chat.ask("me", "Who pays whom?", base_ids=["garden"])
    until(lambda: court.chat.turn(first.id).state == "judging")
    court.writer.set(answer="Hello.")
    assert court.chat.wait(court.chat.ask("me", "Hello").id, 10).answer == "Hello."
    assert court.chat.turn(first.id).state == "judging"
    court.chat.stop("me", first.id)
    court.chat.wait(first.id, 10)


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("支持", "supported"),
        ("「支持」", "supported"),
        ("不支持", "not_found"),
        ("未提及。", "not_found"),
        ("矛盾", "contradicts"),
        ("段落与此不矛盾，支持。", "supported"),
        ("Unsupported", "not_found"),
        ("**SUPPORTED**", "supported"),
        ("The passage contradicts it", "contradicts"),
        ("Maybe", None),
        ("", None),
    ],
)
def test_a_verdict_is_read_however_it_is_worded(answer: str, verdict: str | None) -> None:
    assert verdict_in(answer) == verdict
