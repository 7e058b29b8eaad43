"""Which server answers in a conversation: the one that was chosen for it, whatever else is ready."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.app import Services
from services.store.bases import BaseRecord
from services.store.conversations import TurnRecord
from tests.app.pages import field, labels, opened, press
from tests.fakes.chat_server import ChatServer, running_chat_server
from ui.owner import LOCAL


@pytest.fixture
def large(services: Services, base: BaseRecord) -> Iterator[ChatServer]:
    """A second server, which is never the one that is asked where none is named."""
    with running_chat_server(answer="At six, says the large one [1].") as server:
        services.servers.add_remote("large", server.url)
        yield server


@pytest.fixture
def turn(services: Services, base: BaseRecord, large: ChatServer) -> TurnRecord:
    """An answer of the second server."""
    begun = services.chat.ask(LOCAL, "When does the pump start?", base_ids=[base.id], server="large")
    return services.chat.wait(begun.id, 30)


def newest(services: Services, turn: TurnRecord) -> TurnRecord:
    return services.chat.turns(LOCAL, turn.conversation_id)[-1]


def test_asking_again_with_other_words_or_without_documents_stays_with_the_chosen_server(
    services: Services, turn: TurnRecord
) -> None:
    app = press(opened("1_Chat", conversation=turn.conversation_id), "Answer again")
    assert newest(services, turn).server_name == "large"
    app = press(app, "Answer without the documents")
    assert newest(services, turn).server_name == "large"
    app = press(app, "Change the question")
    next(area for area in app.text_area if area.label == "Question").set_value("Why at six?")
    press(app, "Send")
    assert (newest(services, turn).question, newest(services, turn).server_name) == ("Why at six?", "large")


def test_another_server_is_chosen_for_one_answer(services: Services, turn: TurnRecord) -> None:
    services.servers.create("resting", "llama.cpp", {"model": "/models/none.gguf"})
    app = opened("1_Chat", conversation=turn.conversation_id)
    choice = [button for button in app.button if str(button.key).startswith(f"again-{turn.id}-")]
    told = [(button.label, button.icon, button.disabled) for button in choice]
    assert told == [
        ("box · ready", ":material/refresh:", False),
        ("large · ready", ":material/check:", False),
        ("resting · stopped", ":material/refresh:", True),
    ]
    app = press(app, "box · ready")
    assert newest(services, turn).server_name == "box"
    assert field(app, "Server").value == services.servers.show("large").id, (
        "the next question goes where it went before"
    )


def test_where_there_is_one_server_there_is_no_choice(services: Services, turn: TurnRecord) -> None:
    services.servers.remove("box")
    app = opened("1_Chat", conversation=turn.conversation_id)
    assert "Answer again" in labels(app) and "large · ready" not in labels(app)


def test_a_server_that_was_picked_but_not_asked_is_not_picked_in_another_conversation(
    services: Services, base: BaseRecord, turn: TurnRecord
) -> None:
    other = services.chat.ask(LOCAL, "And the well?", server="large")
    services.chat.wait(other.id, 30)
    app = opened("1_Chat", conversation=turn.conversation_id)
    field(app, "Server").set_value(services.servers.show("box").id)
    app = press(app.run(), "And the well?")
    assert field(app, "Server").value == services.servers.show("large").id


def test_a_new_conversation_begins_with_a_server_that_is_ready(
    services: Services, base: BaseRecord, large: ChatServer
) -> None:
    oldest = services.servers.show("box")
    services.store.servers.update(oldest.id, state="unreachable")
    server = field(opened("1_Chat"), "Server")
    assert server.value == services.servers.show("large").id
