"""Chat: the first step, a question with its sources, and what is said when an answer did not come to its end."""

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
from services.store.conversations import TurnRecord
from tests.app.pages import field, labels, opened, parameter, press, put, settle, speak, words
from tests.fakes.chat_server import ChatServer
from tests.fakes.documents import write_pdf
from ui.owner import LOCAL

PUMP = b"# Pump\n\nThe pump of the north well starts at six in the morning."


@pytest.fixture
def base(services: Services, reader: Reader, chat_server: ChatServer) -> BaseRecord:
    """A base with one document, and a server to ask."""
    services.servers.add_remote("box", chat_server.url)
    made = services.knowledge.create("Garden")
    put(services, made, reader, pump_md=PUMP)
    return made


def asked(services: Services, base: BaseRecord | None, question: str = "When does the pump start?") -> TurnRecord:
    turn = services.chat.ask(LOCAL, question, base_ids=[base.id] if base else [])
    return services.chat.wait(turn.id, 30)


def popovers(app: Any) -> list[str]:
    """What stands on the buttons that open something."""
    return [block.proto.popover.label for block in app.get("popover")]


def marks(html: str) -> list[str]:
    """The passage that is marked in its document, its lines as one; nothing where none is."""
    lines = [part.partition("</mark>")[0] for part in html.split("<mark>")[1:]]
    return [" ".join(lines)] if lines else []


def test_without_a_server_the_page_teaches_to_add_one() -> None:
    app = opened("1_Chat")
    assert "No server yet" in words(app)
    assert "Address" in [text.label for text in press(app, "Add a server").text_input]


def test_a_question_without_a_server_is_answered_by_what_to_do() -> None:
    app = opened("1_Chat")
    app.chat_input[0].set_value("Hello?")
    app.run()
    assert "No model server is ready" in words(app) and not app.chat_message


def test_without_documents_the_page_offers_the_samples_and_asks_when_they_are_read(
    services: Services, reader: Reader, chat_server: ChatServer
) -> None:
    services.servers.add_remote("box", chat_server.url)
    app = press(opened("1_Chat"), "Try it with sample documents")
    assert "Next question:" in words(app) and "Reading the documents" in words(app)
    assert chat_server.chats == []
    settle(services, services.knowledge.bases()[0].base, reader)
    app.run()
    assert "The pump starts at six" in app.chat_message[1].markdown[0].value
    assert len(chat_server.chats) == 1 and "Next question:" not in words(app)


def test_a_suggestion_is_asked_when_it_is_pressed(services: Services, reader: Reader, chat_server: ChatServer) -> None:
    services.servers.add_remote("box", chat_server.url)
    settle(services, services.knowledge.add_samples("Sample documents"), reader)
    app = opened("1_Chat")
    assert "Questions to begin with" in words(app)
    suggestion = next(button for button in app.button if button.label.endswith("?"))
    press(app, suggestion.label)
    (conversation,) = services.chat.conversations(LOCAL)
    assert services.chat.turns(LOCAL, conversation.id)[0].question == suggestion.label.replace("\\", "")
    assert len(app.chat_message) == 2


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


def test_plain_chat_has_no_column_of_sources_and_stays_plain(services: Services, base: BaseRecord) -> None:
    turn = asked(services, None, "Hello?")
    app = opened("1_Chat", conversation=turn.conversation_id)
    assert not app.subheader
    assert app.segmented_control[0].value == "chat" and not [
        each for each in app.multiselect if each.label == "Ask about"
    ]
    assert "Garden" not in app.chat_message[1].get("html")[-1].proto.body


def test_an_answer_that_failed_says_why_and_can_be_asked_again(
    services: Services, base: BaseRecord, chat_server: ChatServer
) -> None:
    chat_server.set(mode="unauthorized")
    turn = asked(services, base)
    app = opened("1_Chat", conversation=turn.conversation_id)
    assert "refused the API key" in words(app) and "Enter a valid key" in words(app)
    chat_server.set(mode="normal")
    press(app, "Ask again")
    assert [row.state for row in services.chat.turns(LOCAL, turn.conversation_id)] == ["done"]
    assert "The pump starts at six" in app.chat_message[-1].markdown[0].value


def test_an_answer_whose_process_died_keeps_what_was_said_and_can_be_asked_again(
    services: Services, base: BaseRecord
) -> None:
    conversation = services.store.conversations.create(owner_id=LOCAL, title="Pump", server_id=None)
    dead: dict[str, Any] = {
        "machine_id": services.machine_id,
        "pid": 2**22 - 1,
        "process_started_at": 1.0,
        "settings": {"top_k": 6},
    }
    turn = services.store.turns.create(
        conversation.id,
        mode="knowledge",
        question="When?",
        bases=[{"id": base.id, "name": "Garden"}],
        server_name="box",
        model="m",
        **dead,
    )
    services.store.turns.update(turn.id, answer="The pump starts", state="answering")
    app = opened("1_Chat", conversation=conversation.id)
    assert app.chat_message[1].markdown[0].value == "The pump starts"
    assert "Interrupted: the process that was answering ended." in words(app)
    press(app, "Ask again")
    assert "starts at six" in app.chat_message[-1].markdown[0].value


def test_a_stopped_answer_keeps_what_was_said(services: Services, base: BaseRecord, chat_server: ChatServer) -> None:
    chat_server.set(answer="word " * 200, delay_s=0.05)
    turn = services.chat.ask(LOCAL, "Go on.", base_ids=[base.id])
    chat_server.wait_for(lambda server: server.chats and server.chats[-1].pieces_sent > 3)
    services.chat.stop(turn.id)
    services.chat.wait(turn.id, 30)
    app = opened("1_Chat", conversation=turn.conversation_id)
    assert "Stopped. What was said is kept." in words(app) and "Ask again" in labels(app)
    assert app.chat_message[1].markdown[0].value.startswith("word word")


def test_a_conversation_that_is_gone_or_somebody_elses_is_not_shown(services: Services, base: BaseRecord) -> None:
    theirs = services.chat.ask("somebody else", "Secret?", base_ids=[base.id])
    services.chat.wait(theirs.id, 30)
    app = opened("1_Chat", conversation=theirs.conversation_id)
    assert "does not exist any more" in words(app) and "Secret?" not in words(app)
    assert "conversation" not in app.query_params


def test_earlier_conversations_are_opened_and_deleted(services: Services, base: BaseRecord) -> None:
    first, second = asked(services, base, "When?"), asked(services, base, "Why?")
    app = opened("1_Chat", conversation=second.conversation_id)
    press(app, "When?")
    assert parameter(app, "conversation") == first.conversation_id
    press(app, "Delete")
    assert len(services.chat.conversations(LOCAL)) == 2, "it is asked once before"
    press(app, "Delete", within="Delete")
    assert [record.title for record in services.chat.conversations(LOCAL)] == ["Why?"]
    assert "conversation" not in app.query_params


def test_a_changed_question_makes_another_version_and_both_can_be_seen(services: Services, base: BaseRecord) -> None:
    turn = asked(services, base)
    app = press(opened("1_Chat", conversation=turn.conversation_id), "Change the question")
    next(area for area in app.text_area if area.label == "Question").set_value("Why at six?")
    app = press(app, "Send")
    assert [each.question for each in services.chat.turns(LOCAL, turn.conversation_id)] == ["Why at six?"]
    assert "2 / 2" in words(app)
    app = press(app, "Earlier version")
    assert "1 / 2" in words(app) and "When does the pump start?" in words(app)


def test_an_answer_is_given_once_more_without_the_documents(services: Services, base: BaseRecord) -> None:
    turn = asked(services, base)
    app = press(opened("1_Chat", conversation=turn.conversation_id), "Answer without the documents")
    (newest,) = services.chat.turns(LOCAL, turn.conversation_id)
    assert (newest.mode, newest.question, newest.bases) == ("chat", turn.question, [])
    assert "Answer from the documents" in labels(app)


def test_words_in_the_question_choose_the_documents_and_the_page_says_so(services: Services, base: BaseRecord) -> None:
    turn = asked(services, None, "Hello?")
    app = opened("1_Chat", conversation=turn.conversation_id)
    app.chat_input[0].set_value("Look in the documents: when does the pump start?")
    app.run()
    newest = services.chat.turns(LOCAL, turn.conversation_id)[-1]
    assert newest.mode == "knowledge" and newest.base_ids == (base.id,)
    assert "because you wrote “Look in the documents”" in words(app)
    assert "Asked as: when does the pump start?" in words(app)
    assert app.segmented_control[0].value == "chat", "the conversation keeps its mode"


def test_a_conversation_is_renamed_found_branched_and_its_settings_kept(services: Services, base: BaseRecord) -> None:
    turn = asked(services, base)
    app = opened("1_Chat", conversation=turn.conversation_id)
    field(app, "Title").set_value("North well")
    app = press(app, "Rename")
    field(app, "Most tokens of an answer").set_value(64)
    app = press(app, "Apply")
    assert services.chat.conversation(LOCAL, turn.conversation_id).settings["max_tokens"] == 64
    app = press(app, "Go on from here in a new conversation")
    branch = parameter(app, "conversation")
    assert branch != turn.conversation_id and len(services.chat.turns(LOCAL, branch)) == 1
    field(app, "Search in titles, questions and answers").set_value("six nonsense")
    assert "No conversation has these words." in words(app.run())


def test_whoever_has_the_link_reads_a_shared_conversation_and_nobody_once_it_was_taken_back(
    services: Services, base: BaseRecord
) -> None:
    theirs = services.chat.ask("somebody else", "When?", base_ids=[base.id])
    services.chat.wait(theirs.id, 30)
    token = services.conversations.share("somebody else", theirs.conversation_id)
    app = opened("1_Chat", shared=token)
    assert (
        "Shared with you to read." in words(app) and "The pump starts at six" in app.chat_message[1].markdown[0].value
    )
    assert not app.chat_input and "Delete" not in labels(app) and "Answer again" not in labels(app)
    services.conversations.unshare("somebody else", theirs.conversation_id)
    assert "does not exist any more" in words(opened("1_Chat", shared=token))


def test_what_the_model_was_sent_and_what_the_chat_remembers_can_be_seen_and_cleared(
    services: Services, base: BaseRecord
) -> None:
    turn = asked(services, base)
    counted = sum(row["tokens"] for row in services.conversations.prompt(LOCAL, turn.id))
    changed = services.store.turns.update(turn.id, prompt_tokens=counted + 100)
    app = press(opened("1_Chat", conversation=turn.conversation_id), "What the model was sent")
    assert any("starts at six in the morning" in code.value for code in app.code) and "tokens in all" in words(app)
    assert "Chat template 100" in words(app)
    app = press(opened("1_Chat", conversation=turn.conversation_id), "What the chat remembers")
    assert "The pump starts at six (pump.md)." in [code.value for code in app.code]
    press(app, "Clear the memory", within="What the chat remembers")
    assert services.conversations.memory(LOCAL, turn.conversation_id, services.product).exchanges == ()
    assert services.chat.turns(LOCAL, turn.conversation_id) == [changed]


def test_thinking_is_folded_away(services: Services, base: BaseRecord, chat_server: ChatServer) -> None:
    chat_server.set(answer="<think>Six, I think.</think>The pump starts at six [1].")
    app = opened("1_Chat", conversation=asked(services, base).conversation_id)
    assert [part.label for part in app.expander if part.label == "What the model thought"]
    assert "think" not in app.chat_message[1].markdown[0].value


def test_a_model_cannot_load_a_picture_or_draw_html(
    services: Services, base: BaseRecord, chat_server: ChatServer
) -> None:
    chat_server.set(answer="Look ![x](http://evil.example/a.png) <img src=http://evil.example/b.png> [1].")
    turn = asked(services, base)
    shown = opened("1_Chat", conversation=turn.conversation_id).chat_message[1].markdown[0]
    assert "![" not in shown.value and "<img" not in shown.value.replace("&lt;", "") and not shown.allow_html


def test_the_chat_speaks_chinese(services: Services, base: BaseRecord) -> None:
    turn = asked(services, base)
    app = speak(opened("1_Chat", conversation=turn.conversation_id), "zh_CN")
    assert app.title[0].value == "对话" and [subheader.value for subheader in app.subheader] == ["来源"]
    assert "新对话" in labels(app) and "1 个段落" in words(app)
    assert app.chat_input[0].placeholder == "向“Garden”提问"


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


def test_filters_that_are_set_are_counted_where_one_asks(services: Services, base: BaseRecord) -> None:
    turn = asked(services, base)
    services.conversations.choose(
        LOCAL, turn.conversation_id, Choices(mode="knowledge", base_ids=(base.id,), documents=("pump.md",))
    )
    app = opened("1_Chat", conversation=turn.conversation_id)
    assert "1 filter" in popovers(app)
    app.segmented_control[0].set_value("chat").run()
    assert "1 filter" not in popovers(app)


def test_a_bad_answer_is_kept_as_a_golden_question(services: Services, base: BaseRecord) -> None:
    turn = asked(services, base)
    services.feedback.rate(LOCAL, turn.id, "bad")
    app = opened("1_Chat", conversation=turn.conversation_id)
    app = press(app, "Comment on this answer")
    opener = next(button for button in app.button if button.label == "Comment on this answer")
    opener.click()
    app.text_area[0].set_value("It is seven.")
    app.checkbox[0].set_value(True)
    app.run()
    press(app, "Save", within="Comment on this answer")
    (kept,) = services.feedback.golden(base.id)
    assert (kept.question, kept.comment, kept.expected) == (turn.question, "It is seven.", [])
    assert "1 golden question" in [box.label for box in opened("2_Knowledge").expander]
