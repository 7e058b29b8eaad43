"""Answers grow in the service, over a real HTTP server and a real database, whatever the server does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from services.chat.answers import ChatService
from services.chat.making import chat_service
from services.chat.notes import told
from services.chat.ports import Filters, Found, Passage, SearchedBase, Target
from services.core.errors import ConversationNotFound, EmptyQuestion
from services.core.machine import this_process
from services.llm.protocol import Endpoint
from services.store import StateStore
from services.store.conversations import TurnRecord
from tests.fakes import patience
from tests.fakes.chat_server import ChatServer, running_chat_server

until = partial(patience.until, seconds=15)

MACHINE = "machine-1"
NAMES = {"garden": "Garden", "empty": "Empty"}
POND = "The pond was dug in 1962 and holds koi."


def passage(number: int, text: str) -> Passage:
    return Passage(
        document="garden.txt",
        page=None,
        start=0,
        end=len(text),
        text=text,
        number=number,
        chunk_id=number,
        document_id="doc",
        revision=1,
        heading="",
        score=0.9,
    )


@dataclass
class Desk:
    """A chat service with the server it asks and the database it writes to."""

    chat: ChatService
    server: ChatServer
    store: StateStore
    url: str

    def ask(self, question: str, **more: object) -> TurnRecord:
        begun = self.chat.ask("me", question, **more)  # type: ignore[arg-type]
        return self.chat.wait(begun.id, 20)


@contextmanager
def at_desk(home: Path, answer: str) -> Iterator[Desk]:
    """A desk over an empty home, whose server answers with this."""
    url = f"sqlite:///{home / 'state.sqlite3'}"
    store = StateStore(url)
    with running_chat_server(answer=answer, engine="llama.cpp") as server:
        yield Desk(service(store, server.url), server, store, url)
    store.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with at_desk(tmp_path, "It holds koi [1].") as opened:
        yield opened


def service(store: StateStore, server_url: str, *, others: Sequence[str] = (), **more: Any) -> ChatService:
    """A chat over this database that asks the server; `others` are there in case it dies."""

    def search(base_ids: Sequence[str], question: str, top_k: int, filters: Filters) -> Found:
        passages = [] if "empty" in base_ids else [passage(1, POND), passage(2, "Dogs are kept on a lead.")][:top_k]
        return Found([SearchedBase(id, NAMES[id], 3, 1) for id in base_ids], passages, {"embed": 1.0, "dense": 2.0})

    def target(number: int, url: str) -> Target:
        return Target(f"s{number}", Endpoint(f"fake {number}", url, engine="llama.cpp"), 700, slots=more.get("slots"))

    further = [target(number, url) for number, url in enumerate(others, 2)]
    return chat_service(
        store,
        search=search,
        servers=more.get("servers", lambda _: target(1, server_url)),
        others=lambda tried: next((each for each in further if each.server_id not in tried), None),
        bases=lambda: NAMES,
        machine_id=MACHINE,
        background=more.get("background", False),
        idle_s=0,
    )


def test_a_grounded_answer_is_stored_with_its_passages_and_timings(desk: Desk) -> None:
    turn = desk.ask("Which fish live in the pond?", base_ids=["garden"])
    assert (turn.state, turn.answer, turn.base_name) == ("done", "It holds koi [1].", "Garden")
    stored = desk.store.turns.get(turn.id)
    assert stored is not None and stored.timings_ms == turn.timings_ms and stored.bases[0]["pending"] == 1
    assert [row["text"] for row in turn.passages] == [POND, "Dogs are kept on a lead."]
    assert {"embed", "dense", "first_token", "generate", "total"} <= set(turn.timings_ms)
    assert turn.completion_tokens
    assert POND in desk.server.chats[0].body["messages"][-1]["content"]


def test_the_fixed_part_of_the_prompt_comes_first_and_stays_the_same(desk: Desk) -> None:
    desk.ask("Which fish live in the pond?", base_ids=["garden"])
    desk.ask("Are dogs allowed?", base_ids=["garden"])
    first, second = (chat.body["messages"] for chat in desk.server.chats)
    assert first[:-1] == second[:-1] and first[-1] != second[-1]


def test_nothing_found_is_said_without_asking_the_model(desk: Desk) -> None:
    assert desk.ask("What?", base_ids=["empty"]).answer == "The documents do not say."
    assert desk.ask("为什么？", base_ids=["empty"]).answer == "文档中没有说明。"
    assert desk.server.chats == []


def test_plain_chat_sends_what_was_said_before(desk: Desk) -> None:
    desk.server.set(answer="Forty-two.")
    first = desk.ask("What is it?")
    desk.ask("Why?", conversation_id=first.conversation_id)
    sent = [message["content"] for message in desk.server.chats[1].body["messages"]]
    assert sent[1:] == ["What is it?", "Forty-two.", "Why?"]


def test_stop_keeps_what_was_said_and_ends_the_request(desk: Desk) -> None:
    desk.server.set(mode="slow", answer="one two three four five six seven eight nine ten")
    begun = desk.chat.ask("me", "Count.")
    until(lambda: desk.chat.turn(begun.id).answer)
    desk.chat.stop("me", begun.id)
    turn = desk.chat.wait(begun.id, 10)
    assert turn.state == "stopped" and "one" in turn.answer and "ten" not in turn.answer
    desk.server.wait_for(lambda server: server.chats[0].closed_early)


def test_nobody_else_can_stop_an_answer(desk: Desk) -> None:
    desk.server.set(mode="slow", answer=" word" * 5)
    begun = desk.chat.ask("me", "Go on.")
    for chat in (desk.chat, service(StateStore(desk.url), desk.server.url)):
        with pytest.raises(ConversationNotFound):
            chat.stop("stranger", begun.id)
    turn = desk.chat.wait(begun.id, 20)
    assert turn.state == "done" and turn.answer.count("word") == 5


def test_another_process_can_stop_an_answer(desk: Desk) -> None:
    desk.server.set(mode="slow", answer=" word" * 100)
    begun = desk.chat.ask("me", "Go on.")
    elsewhere = service(StateStore(desk.url), desk.server.url)
    until(lambda: elsewhere.turn(begun.id).answer)
    elsewhere.stop("me", begun.id)
    assert desk.chat.wait(begun.id, 10).state == "stopped"


def test_a_server_that_says_nothing_cannot_hold_up_a_stop(desk: Desk) -> None:
    desk.server.set(mode="hangs")
    begun = desk.chat.ask("me", "Hello?")
    until(lambda: desk.server.chats)
    desk.chat.stop("me", begun.id)
    assert desk.chat.wait(begun.id, 5).state == "stopped"
    desk.server.wait_for(lambda server: server.chats[0].closed_early)


@pytest.mark.parametrize(
    ("mode", "code", "kept"),
    [
        ("dies_midway", "server_not_ready", True),
        ("nonsense", "bad_response", False),
        ("empty", "empty_answer", False),
        ("loading", "server_not_ready", False),
        ("unauthorized", "unauthorized", False),
    ],
)
def test_what_goes_wrong_at_the_server_is_named_and_the_text_so_far_is_kept(
    desk: Desk, mode: str, code: str, kept: bool
) -> None:
    desk.server.set(mode=mode, answer="one two three four")
    turn = desk.ask("Hello?")
    assert (turn.state, turn.error_code) == ("failed", code)
    assert bool(turn.answer) is kept


def test_progress_of_a_long_prompt_is_told(desk: Desk) -> None:
    desk.server.set(mode="prompt_progress", delay_s=0.1)
    begun = desk.chat.ask("me", "Which fish?", base_ids=["garden"])
    until(lambda: desk.chat.turn(begun.id).progress_total)
    turn = desk.chat.wait(begun.id, 10)
    assert turn.progress_done == turn.progress_total


def test_asking_again_makes_a_new_turn_in_the_same_conversation(desk: Desk) -> None:
    desk.server.set(mode="dies_midway")
    failed = desk.ask("Which fish?", base_ids=["garden"])
    desk.server.set(mode="normal")
    again = desk.chat.wait(desk.chat.again("me", failed.id).id, 10)
    assert (again.state, again.question, again.base_ids) == ("done", "Which fish?", ("garden",))
    turns = desk.chat.turns("me", failed.conversation_id)
    assert [turn.id for turn in turns] == [again.id], "it takes the place of the other, which is kept"
    assert desk.store.turns.get(failed.id) is not None


def test_an_empty_question_is_refused_and_nothing_is_stored(desk: Desk) -> None:
    with pytest.raises(EmptyQuestion):
        desk.chat.ask("me", "  \n")
    assert desk.chat.conversations("me") == []


def test_a_stranger_sees_no_conversation_of_mine(desk: Desk) -> None:
    turn = desk.ask("Hello?")
    with pytest.raises(ConversationNotFound):
        desk.chat.turns("stranger", turn.conversation_id)
    with pytest.raises(ConversationNotFound):
        desk.chat.ask("stranger", "Hello?", conversation_id=turn.conversation_id)
    with pytest.raises(ConversationNotFound):
        desk.chat.delete("stranger", turn.conversation_id)
    with pytest.raises(ConversationNotFound):
        desk.chat.again("stranger", turn.id)


KILLED = """
import sys, time
from services.store import StateStore
from tests.integration.test_answers import service
chat = service(StateStore(sys.argv[1]), sys.argv[2])
print(chat.ask("me", "Go on.").id, flush=True)
time.sleep(600)
"""


def test_the_answer_of_a_killed_process_is_kept_and_marked_as_interrupted(desk: Desk) -> None:
    desk.server.set(mode="slow", answer=" word" * 300)
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, desk.url, desk.server.url], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    turn_id = child.stdout.readline().strip()
    until(lambda: "word" in desk.chat.turn(turn_id).answer)
    assert desk.chat.turn(turn_id).state == "answering" and desk.chat.mend() == 0
    psutil.Process(child.pid).kill()
    child.wait()
    assert desk.chat.mend() == 1
    turn = desk.chat.turn(turn_id)
    assert turn.state == "interrupted" and "word" in turn.answer
    assert turn.pid == child.pid != this_process().pid


def test_twenty_answers_at_once_are_all_whole(desk: Desk) -> None:
    desk.server.set(answer="It holds koi [1].", delay_s=0.02)
    begun = [desk.chat.ask("me", f"Question {number}?", base_ids=["garden"]) for number in range(20)]
    turns = [desk.chat.wait(turn.id, 30) for turn in begun]
    assert {(turn.state, turn.answer) for turn in turns} == {("done", "It holds koi [1].")}


def test_an_answer_that_repeats_itself_is_ended_and_says_so(desk: Desk) -> None:
    once = "The pond holds koi and tench, and in spring a pair of mallards comes to breed [1]."
    desk.server.set(answer=f"{once} " * 400, delay_s=0.002)
    turn = desk.ask("Which fish live in the pond?", base_ids=["garden"])
    assert (turn.state, turn.answer.strip()) == ("done", once)
    assert [told(note) for note in turn.notes] == ["The model began to repeat itself; its answer was ended there."]
    desk.server.wait_for(lambda server: server.chats[0].closed_early)


def test_in_a_chat_somebody_may_have_wished_for_it(desk: Desk) -> None:
    desk.server.set(answer="I must not run in the greenhouse. " * 20)
    turn = desk.ask("Write it twenty times.")
    assert turn.answer == desk.server.answer and not turn.notes
