"""The sources beside an answer: its passages, the opened one in its document, what was found about each sentence."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import streamlit as st

from services.app import Services
from services.chat.choices import Choices
from services.knowledge.loaders.reader import Reader
from services.store.bases import BaseRecord
from tests.app.chat_places import PUMP, asked, marks
from tests.app.pages import labels, opened, parameter, press, put, words
from tests.fakes.chat_server import ChatServer
from tests.fakes.documents import write_pdf
from ui.owner import LOCAL


def test_an_answer_shows_its_sources_and_one_opens_at_its_place(services: Services, base: BaseRecord) -> None:
    app = opened("1_Chat", base=base.id)
    app.chat_input[0].set_value("When does the pump start?")
    app.run()
    (conversation,) = services.chat.conversations(LOCAL)
    (turn,) = services.chat.turns(LOCAL, conversation.id)
    assert parameter(app, "conversation") == conversation.id
    assert f"](#cite-{turn.id}-1 " in app.chat_message[1].markdown[0].value
    assert "When does the pump start?" in app.chat_message[0].get("html")[0].proto.body
    assert "Garden · box · 1 passage" in words(app)
    assert [subheader.value for subheader in app.subheader] == ["Sources"] and marks(words(app)) == []
    press(app, r"\[1\] pump\.md")
    (mark,) = marks(words(app))
    assert "starts at six in the morning" in mark and "[1] pump.md" in words(app)
    assert not app.subheader
    press(app, "Close")
    assert [subheader.value for subheader in app.subheader] == ["Sources"]


def test_sources_of_an_earlier_answer_say_whose_they_are(services: Services, base: BaseRecord) -> None:
    turn = asked(services, base)
    of = "Of the answer to “When does the pump start?”"
    assert of not in words(opened("1_Chat", conversation=turn.conversation_id))
    plain = services.chat.ask(LOCAL, "Thanks.", conversation_id=turn.conversation_id, choices=Choices(mode="chat"))
    services.chat.wait(plain.id, 30)
    assert of in words(opened("1_Chat", conversation=turn.conversation_id))


def test_one_goes_from_passage_to_passage(services: Services, base: BaseRecord, reader: Reader) -> None:
    put(services, base, reader, pond_md=b"# Pond\n\nThe pond was dug in 1962 and holds koi.")
    turn = asked(services, base)
    app = opened("1_Chat", conversation=turn.conversation_id)
    press(app, next(label for label in labels(app) if label.startswith(r"\[1\]")))
    first = marks(words(app))
    assert next(button for button in app.button if button.label == "Previous passage").disabled
    press(app, "Next passage")
    assert marks(words(app)) != first and "Passage 2 of 2" in words(app)
    assert next(button for button in app.button if button.label == "Next passage").disabled
    press(app, "Previous passage")
    assert marks(words(app)) == first


def test_the_source_of_a_document_that_was_replaced_since_shows_the_passage_as_it_was(
    services: Services, base: BaseRecord, reader: Reader
) -> None:
    turn = asked(services, base)
    put(services, base, reader, pump_md=b"# Pump\n\nIt was sold.")
    app = press(opened("1_Chat", conversation=turn.conversation_id), r"\[1\] pump\.md")
    assert "The document was changed or removed since" in words(app)
    assert "starts at six in the morning" in marks(words(app))[0]
    assert "The file that was cited is not kept any more." in words(app)
    assert "Download the original" not in [button.label for button in app.download_button]


def test_the_file_that_was_cited_is_given_while_a_newer_one_is_read(
    services: Services, base: BaseRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []

    def download_button(label: str, *, data: Any, **_options: Any) -> None:
        if label == "Download the file that was cited":
            given.append(data())

    monkeypatch.setattr(st, "download_button", download_button)
    turn = asked(services, base)
    services.knowledge.add(base, "pump.md", io.BytesIO(b"# Pump\n\nIt was sold."))
    press(opened("1_Chat", conversation=turn.conversation_id), r"\[1\] pump\.md")
    assert given == [PUMP]


def test_the_source_in_a_deleted_base_still_shows_its_passage(services: Services, base: BaseRecord) -> None:
    turn = asked(services, base)
    services.knowledge.delete(base.id)
    app = press(opened("1_Chat", conversation=turn.conversation_id), r"\[1\] pump\.md")
    assert "starts at six in the morning" in marks(words(app))[0]


def test_a_sentence_that_its_source_contradicts_is_marked_with_a_word(
    services: Services, base: BaseRecord, chat_server: ChatServer
) -> None:
    chat_server.set(answer="The pump starts at seven in the morning [1]. It is the pump of the north well [1].")
    turn = asked(services, base)
    app = opened("1_Chat", conversation=turn.conversation_id)
    shown = app.chat_message[1].markdown[0].value
    assert f"[The pump starts at seven in the morning](#check-contradicts-{turn.id}-1 " in shown
    assert "The source has other numbers than seven" in shown and shown.count("#check-") == 1
    assert "1 contradicts its source" in words(app) and "1 sentence supported" in words(app)


def test_a_mark_of_a_passage_that_does_not_say_it_is_moved_and_told(
    services: Services, base: BaseRecord, reader: Reader, chat_server: ChatServer
) -> None:
    put(services, base, reader, dogs_md=b"Dogs must be kept on a lead, when the pump starts and later.")
    number = {row["document"]: row["number"] for row in asked(services, base).passages}["dogs.md"]
    chat_server.set(answer=f"Dogs must be kept on a lead [{3 - number}].")
    turn = asked(services, base)
    assert turn.answer == f"Dogs must be kept on a lead [{number}]."
    assert "a source was corrected" in words(opened("1_Chat", conversation=turn.conversation_id))


def test_a_cited_page_of_a_pdf_is_shown_with_its_boxes(
    services: Services, base: BaseRecord, reader: Reader, tmp_path: Path
) -> None:
    written = write_pdf(tmp_path / "rules.pdf", ["Dogs must be kept on a lead.", "The gate closes at six."])
    put(services, base, reader, rules_pdf=written.read_bytes())
    turn = asked(services, base, "When does the gate close?")
    number = next(row["number"] for row in turn.passages if row["document"] == "rules.pdf" and row["page"] == 2)
    app = press(opened("1_Chat", conversation=turn.conversation_id), rf"\[{number}\] rules\.pdf")
    assert (
        "data:image/png;base64," in words(app) and 'class="box"' in words(app) and "page 2 of rules.pdf" in words(app)
    )
    app = press(app, "Page back")
    assert "page 1 of rules.pdf" in words(app) and 'class="box"' not in words(app)
    app = press(press(app, "To the passage"), "Larger")
    assert 'class="box"' in words(app) and "width:150%" in words(app)
    app = press(app, "Show as text")
    assert "The gate closes at six." in marks(words(app))[0] and "data:image" not in words(app)


def test_where_nothing_was_found_it_is_said_what_was_searched(
    services: Services, base: BaseRecord, chat_server: ChatServer
) -> None:
    chat_server.set(answer="The documents do not say.")
    turn = asked(services, base, "How deep is the sea?")
    app = opened("1_Chat", conversation=turn.conversation_id)
    assert "Searched: Garden, 1 document" in words(app) and "The nearest passages" in words(app)
    near = next(label for label in labels(app) if label.startswith(r"\[1\] pump\.md\:"))
    assert "starts at six" in marks(words(press(app, near)))[0]
    assert 'class="lectern-checks"' not in words(app)


def test_where_the_filters_leave_nothing_the_page_says_so_and_what_lies_outside(
    services: Services, base: BaseRecord
) -> None:
    begun = services.chat.ask(
        LOCAL, "When does the pump start?", base_ids=[base.id], choices=Choices.of({"documents": ["sold.pdf"]})
    )
    turn = services.chat.wait(begun.id, 30)
    app = opened("1_Chat", conversation=turn.conversation_id)
    assert "Not searched: Garden has none of the chosen documents" in words(app)
    assert "Only: sold.pdf" in words(app) and "Nothing within these filters" in words(app)
    assert "pump.md: " in words(app) and "No passage came near" not in words(app)
