"""What a conversation's filters let through, from its settings to the passages that the model is sent."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime, timedelta

import pytest

from services.chat.choices import Choices
from services.chat.rows import answer_row
from services.chat.turns import OUTSIDE, passages_of
from services.core.clock import now_ms
from services.store.bases import BaseRecord
from services.store.conversations import TurnRecord
from tests.fakes.chat_server import running_chat_server
from tests.fakes.library_desk import Desk

TODAY = datetime.fromtimestamp(now_ms() / 1000, UTC).date()
OPENED = {"gate.txt": "The gate of the park opens at nine.", "park.md": "# Park\n\nThe park opens its gate at eight."}


def base_of(desk: Desk, name: str, files: dict[str, str]) -> BaseRecord:
    base = desk.services.knowledge.create(name)
    for file, text in files.items():
        desk.services.knowledge.add(base, file, io.BytesIO(text.encode()))
    desk.settle(base)
    return base


def asked(desk: Desk, *bases: BaseRecord, **choices: object) -> TurnRecord:
    with running_chat_server(answer="At nine [1].") as server:
        desk.services.servers.add_remote("box", server.url, model="fake")
        chosen = Choices.of(choices)
        ids = [base.id for base in bases]
        chat = desk.services.chat
        turn = chat.wait(chat.ask("me", "When does the gate open?", base_ids=ids, choices=chosen).id, 20)
        desk.services.servers.remove("box")
    assert turn.state == "done", turn.error_code
    return turn


def documents(turn: TurnRecord) -> set[str]:
    return {passage.document for passage in passages_of(turn)}


@pytest.mark.parametrize(
    ("choices", "left"),
    [
        ({}, {"gate.txt", "park.md"}),
        ({"documents": ["park.md"]}, {"park.md"}),
        ({"documents": ["park.md", "sold.pdf"]}, {"park.md"}),
        ({"types": ["text/plain"]}, {"gate.txt"}),
        ({"since": TODAY}, {"gate.txt", "park.md"}),
        ({"until": TODAY}, {"gate.txt", "park.md"}),
    ],
)
def test_only_what_passes_the_filters_is_found(desk: Desk, choices: dict[str, object], left: set[str]) -> None:
    turn = asked(desk, base_of(desk, "Park", OPENED), **choices)
    assert documents(turn) == left and OUTSIDE not in turn.settings


@pytest.mark.parametrize(
    "choices",
    [{"since": TODAY + timedelta(days=2)}, {"until": date(2020, 1, 1)}, {"types": ["application/pdf"]}],
)
def test_where_nothing_passes_what_lies_outside_is_named(desk: Desk, choices: dict[str, object]) -> None:
    turn = asked(desk, base_of(desk, "Park", OPENED), **choices)
    assert turn.answer == "The documents do not say." and not turn.passages
    assert {near["document"] for near in turn.settings[OUTSIDE]} == set(OPENED)
    assert [(base["name"], base["left_out"]) for base in turn.bases] == [("Park", False)]


def test_a_base_without_the_chosen_documents_is_said_to_be_left_out(desk: Desk) -> None:
    park, pond = base_of(desk, "Park", OPENED), base_of(desk, "Pond", {"koi.txt": "The pond holds koi."})
    turn = asked(desk, park, pond, documents=["gate.txt"])
    assert documents(turn) == {"gate.txt"}
    searched = answer_row(turn)["searched"]
    assert [(base["name"], base["documents"], base["left_out"]) for base in searched] == [
        ("Park", 2, False),
        ("Pond", None, True),
    ]


def test_where_the_chosen_document_is_gone_that_is_no_silent_refusal(desk: Desk) -> None:
    turn = asked(desk, base_of(desk, "Park", OPENED), documents=["sold.pdf"])
    assert turn.answer == "The documents do not say."
    assert [(base["name"], base["left_out"]) for base in turn.bases] == [("Park", True)]
    assert {near["document"] for near in turn.settings[OUTSIDE]} == set(OPENED)
