"""The settings behind the question, and what else offers documents: how much of a base they read."""

from __future__ import annotations

from typing import Any

import pytest

from services.app import Services
from services.chat.choices import Choices
from services.knowledge.index.local import rows
from services.knowledge.loaders.reader import Reader
from services.store.bases import BaseRecord
from tests.app.chat_places import asked
from tests.app.pages import field, labels, opened, press, put, settle, words
from tests.fakes.chat_server import ChatServer
from ui import conversation, document_choice
from ui.owner import LOCAL


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the documents that were read from the bases, one by one."""
    names: list[str] = []
    known = rows._document

    def noted(row: Any) -> Any:
        document = known(row)
        names.append(document.name)
        return document

    monkeypatch.setattr(rows, "_document", noted)
    return names


@pytest.fixture
def large(services: Services, base: BaseRecord, reader: Reader, monkeypatch: pytest.MonkeyPatch) -> BaseRecord:
    """The base with more documents than a field offers."""
    monkeypatch.setattr(document_choice, "MOST_DOCUMENTS", 2)
    put(
        services, base, reader, apple_md=b"Apples are red.", pear_md=b"Pears are green.", quince_md=b"Quinces are sour."
    )
    return base


def opened_settings(conversation_id: str) -> Any:
    """The conversation with the settings open: the tester cannot press what opens them."""
    app = opened("1_Chat", conversation=conversation_id)
    app.session_state[f"settings-{conversation_id}-0"] = True
    app.run()
    assert not app.exception
    return app


def offered(app: Any, label: str) -> list[str]:
    return list(next(box for box in app.multiselect if box.label == label).options)


def test_while_the_settings_are_closed_no_document_is_read(
    services: Services, base: BaseRecord, read: list[str]
) -> None:
    turn = asked(services, base)
    read.clear()
    app = opened("1_Chat", conversation=turn.conversation_id)
    assert "Apply" not in labels(app) and read == []
    app = opened_settings(turn.conversation_id)
    assert "Apply" in labels(app) and offered(app, "Only these documents") == ["pump.md"]
    assert offered(app, "Only these types") == ["MD"]
    assert set(read) == {"pump.md"}


def test_what_was_applied_is_kept_and_the_settings_close(services: Services, base: BaseRecord) -> None:
    turn = asked(services, base)
    app = opened_settings(turn.conversation_id)
    field(app, "Temperature").set_value(0.5)
    next(box for box in app.multiselect if box.label == "Only these documents").select("pump.md")
    app = press(app, "Apply")
    kept = services.chat.conversation(LOCAL, turn.conversation_id).settings
    assert (kept["temperature"], list(kept["documents"])) == (0.5, ["pump.md"])
    assert "Apply" not in labels(app), "they are closed"


def test_only_what_was_changed_is_pinned_to_the_conversation(services: Services, base: BaseRecord) -> None:
    turn = asked(services, base)
    app = opened_settings(turn.conversation_id)
    next(area for area in app.text_area if area.label == "Stop at").set_value("\\n\nEND, \n\\\\t")
    press(app, "Apply")
    kept = services.chat.conversation(LOCAL, turn.conversation_id).settings
    assert kept["stop"] == ["\n", "END, ", "\\t"] and not {"memory", "memory_turns", "memory_tokens"} & set(kept)
    app = opened_settings(turn.conversation_id)
    assert next(area for area in app.text_area if area.label == "Stop at").value == "\\n\nEND, \n\\\\t"


def test_defaults_of_bases_are_added_to_those_that_they_have_and_can_be_cleared(
    services: Services, base: BaseRecord
) -> None:
    services.presets.choose(base.id, Choices(top_k=3, temperature=0.25))
    turn = asked(services, base)
    app = opened_settings(turn.conversation_id)
    assert "Defaults of: Garden" in words(app)
    field(app, "Most tokens of an answer").set_value(64)
    field(app, "Turns").set_value(2)
    press(app, "Make these the defaults of the bases")
    assert services.presets.of([base.id]).row() == {"top_k": 3, "temperature": 0.25, "max_tokens": 64}
    app = opened("2_Knowledge")
    assert "Most tokens of an answer: 64" in words(app) and "Temperature: 0.25" in words(app)
    app = press(app, "Clear these defaults")
    assert services.presets.of([base.id]) == Choices() and "None: Settings count." in words(app)


def test_of_a_large_base_the_first_documents_are_offered_and_those_that_are_looked_for(
    services: Services, large: BaseRecord, read: list[str]
) -> None:
    turn = asked(services, large)
    app = opened("1_Chat", conversation=turn.conversation_id)
    read.clear()
    app = opened_settings(turn.conversation_id)
    assert offered(app, "Only these documents") == ["apple.md", "pear.md"]
    assert "quince.md" not in read and "pump.md" not in read
    next(box for box in app.multiselect if box.label == "Only these documents").select("pear.md")
    field(app, "Offer documents whose name contains").set_value("QUIN")
    app.run()
    assert offered(app, "Only these documents") == ["pear.md", "quince.md"], "what was chosen stays"
    app = press(app, "Apply")
    assert list(services.chat.conversation(LOCAL, turn.conversation_id).settings["documents"]) == ["pear.md"]


def test_a_golden_question_offers_the_documents_that_are_looked_for(
    services: Services, large: BaseRecord, read: list[str]
) -> None:
    turn = asked(services, large)
    comment, label = "Comment on this answer", "Other documents that should have been found"
    app = press(opened("1_Chat", conversation=turn.conversation_id), comment)
    read.clear()
    next(button for button in app.button if button.label == comment).click()
    app.checkbox[0].set_value(True)
    app.run()
    assert offered(app, label) == ["apple.md", "pear.md"] and set(read) == {"apple.md", "pear.md"}
    next(button for button in app.button if button.label == comment).click()
    field(app, "Offer documents whose name contains").set_value("quince")
    app.run()
    assert offered(app, label) == ["quince.md"]


def test_while_a_fresh_base_is_read_only_what_is_under_way_is_looked_at(
    services: Services, reader: Reader, chat_server: ChatServer, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "BEGUN", 1)
    services.servers.add_remote("box", chat_server.url)
    app = press(opened("1_Chat"), "Try it with sample documents")
    base = services.knowledge.bases()[0].base
    samples = services.knowledge.summary(base).counts.documents
    read.clear()
    app.run()
    assert "Reading the documents" in words(app) and samples > len(read) > 0
    settle(services, base, reader)
    app.run()
    assert len(chat_server.chats) == 1 and "Reading the documents" not in words(app)
