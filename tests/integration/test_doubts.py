"""A model that was measured is asked whether it believes that the passages answer; the reader hears of its doubts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.chat.answers import ChatService
from services.chat.making import chat_service
from services.chat.notes import told
from services.chat.ports import Filters, Found, SearchedBase, Target
from services.llm.protocol import Endpoint
from services.store import StateStore
from services.store.conversations import TurnRecord
from tests.fakes.chat_server import ChatServer, running_chat_server
from tests.integration.test_answers import passage

TEXT = "The pond was dug in 1962 and holds koi."
DOUBTED = ["The model itself doubts that the passages answer this question. Read them before you rely on it."]


@dataclass
class Pond:
    """A chat about one passage."""

    chat: ChatService
    server: ChatServer

    def ask(self, question: str, mode: str = "knowledge") -> TurnRecord:
        base_ids = ["garden"] if mode == "knowledge" else []
        return self.chat.wait(self.chat.ask("me", question, base_ids=base_ids).id, 20)


@pytest.fixture(params=[{"en": 0.38, "zh": 0.745}])
def pond(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Pond]:
    store = StateStore(f"sqlite:///{tmp_path / 'state.sqlite3'}")
    with running_chat_server(answer="It holds koi [1].", engine="llama.cpp") as server:
        yield Pond(pond_chat(store, server, request.param), server)
    store.close()


def pond_chat(store: StateStore, server: ChatServer, doubts: Mapping[str, float]) -> ChatService:
    def search(base_ids: Sequence[str], question: str, top_k: int, filters: Filters) -> Found:
        return Found([SearchedBase("garden", "Garden", 1, 0)], [passage(1, TEXT)], {})

    endpoint = Endpoint("small", server.url, engine="llama.cpp")
    return chat_service(
        store,
        search=search,
        servers=lambda _: Target("s1", endpoint, 700, slots=1, doubts=doubts),
        others=lambda _: None,
        bases=lambda: {"garden": "Garden"},
        machine_id="machine",
    )


def likely(**words: float) -> dict[str, float]:
    return {word: math.log(share) for word, share in words.items()}


@pytest.mark.parametrize(
    ("first", "doubted"),
    [
        (likely(No=0.6, Yes=0.2, no=0.1, yes=0.05), True),
        (likely(Yes=0.4, No=0.4, yes=0.1), False),
        (likely(no=0.9), True),
        (likely(The=0.9), False),
        (None, False),
    ],
)
def test_it_is_said_where_yes_is_unlikely(pond: Pond, first: dict[str, float] | None, doubted: bool) -> None:
    pond.server.set(first=first)
    turn = pond.ask("Who dug the pond?")
    assert (turn.state, turn.answer) == ("done", "It holds koi [1].")
    assert [told(note) for note in turn.notes] == (DOUBTED if doubted else [])
    assert turn.timings_ms["doubt"] > 0


def test_each_language_has_its_own_measure(pond: Pond) -> None:
    pond.server.set(first=likely(有=0.6, 无=0.3), answer="池塘里养着锦鲤[1]。")
    assert [told(note) for note in pond.ask("池塘是谁挖的？").notes] == DOUBTED
    pond.server.set(first=likely(有=0.8, 无=0.15))
    assert not pond.ask("池塘里养着什么鱼？").notes


def test_all_but_the_end_of_the_prompt_is_what_the_answer_was_asked_with(pond: Pond) -> None:
    pond.server.set(first=likely(Yes=0.9))
    pond.ask("Who dug the pond?")
    answered, doubted = pond.server.chats[0].body["messages"], pond.server.doubts[0].body["messages"]
    assert doubted[:-1] == answered[:-1]
    asked, tail = doubted[-1]["content"].split("Question: Who dug the pond?\n")
    assert answered[-1]["content"].startswith(asked + "Question: Who dug the pond?\n")
    assert TEXT in asked and "Reply only yes or no" in tail


@pytest.mark.parametrize("pond", [{}], indirect=True)
def test_a_model_that_was_not_measured_is_not_asked(pond: Pond) -> None:
    pond.server.set(first=likely(No=0.9))
    turn = pond.ask("Who dug the pond?")
    assert not turn.notes and not pond.server.doubts and "doubt" not in turn.timings_ms


def test_a_refusal_and_a_chat_need_no_doubts(pond: Pond) -> None:
    pond.server.set(first=likely(No=0.9), answer="The documents do not say.")
    assert not pond.ask("Who dug the pond?").notes
    pond.server.set(answer="Hello.")
    assert not pond.ask("Hello?", mode="chat").notes and not pond.server.doubts
