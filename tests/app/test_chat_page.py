"""Chat: the first step, a question with its sources, and what is said when an answer did not come to its end."""

from __future__ import annotations

from typing import Any

from services.app import Services
from services.chat.choices import Choices
from services.knowledge.loaders.reader import Reader
from services.store.bases import BaseRecord
from tests.app.chat_places import asked
from tests.app.pages import field, labels, opened, parameter, press, settle, speak, words
from tests.fakes.chat_server import ChatServer
from tests.fakes.rerank_server import running_rerank_server
from ui.owner import LOCAL


def popovers(app: Any) -> list[str]:
    """What stands on the buttons that open something."""
    return [block.proto.popover.label for block in app.get("popover")]


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
    services.chat.stop(LOCAL, turn.id)
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
    app.session_state[f"settings-{turn.conversation_id}-0"] = True
    app.run()
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


def test_whoever_reads_a_shared_conversation_sees_how_each_answer_ended_and_can_change_nothing(
    services: Services, base: BaseRecord, chat_server: ChatServer
) -> None:
    chat_server.set(mode="unauthorized")
    failed = services.chat.wait(services.chat.ask("somebody else", "When?", base_ids=[base.id]).id, 30)
    token = services.conversations.share("somebody else", failed.conversation_id)
    app = opened("1_Chat", shared=token)
    assert "refused the API key" in words(app) and "Ask again" not in labels(app)
    for state, told in (("stopped", "Stopped. What was said"), ("interrupted", "Interrupted: the process")):
        services.store.turns.update(failed.id, state=state)
        app = opened("1_Chat", shared=token)
        assert told in words(app) and "Ask again" not in labels(app)
    services.store.turns.update(failed.id, state="done", error_code=None, answer="The documents do not say.")
    assert "Searched: Garden" in words(opened("1_Chat", shared=token))


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


def test_an_answer_says_when_its_passages_were_not_reranked(services: Services, base: BaseRecord) -> None:
    with running_rerank_server() as server:
        services.servers.add_remote("order", server.url)
        services.choose(reranker="order")
        turn = services.chat.wait(services.chat.ask(LOCAL, "When does it start?", base_ids=[base.id], server="box").id)
        said = words(opened("1_Chat", conversation=turn.conversation_id))
        assert ">reranking<" in said and "Not reranked" not in said
        server.set("server_error")
        turn = services.chat.wait(services.chat.ask(LOCAL, "When does it start?", base_ids=[base.id], server="box").id)
        app = opened("1_Chat", conversation=turn.conversation_id)
        assert "Not reranked:" in words(app) and "CUDA out of memory" in words(app)
        assert "未重排：" in words(speak(app, "zh_CN"))


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
