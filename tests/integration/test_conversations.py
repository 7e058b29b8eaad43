"""Conversations: versions, branches, what is remembered, modes in words, queues, other servers, links, exports."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from services.chat.answers import ChatService
from services.chat.choices import Choices
from services.chat.conversations import Conversations
from services.chat.exporting import as_json, as_markdown
from services.chat.parts import tokens_by_kind
from services.chat.ports import Target
from services.core.errors import ConversationNotFound, InvalidName, InvalidValue, ServerNotFound
from services.llm.protocol import Endpoint
from services.store.conversations import TurnRecord
from services.store.product import product_settings
from tests.fakes.chat_server import running_chat_server
from tests.integration.test_answers import POND, Desk, at_desk, service, until


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with at_desk(tmp_path, "It holds koi [1].") as opened:
        yield opened


@pytest.fixture
def talks(desk: Desk) -> Conversations:
    return Conversations(desk.store.conversations, desk.store.turns)


def contents(desk: Desk, chat: int = -1) -> list[str]:
    """What was sent with a request."""
    return [message["content"] for message in desk.server.chats[chat].body["messages"]]


def codes(turn: TurnRecord) -> list[str]:
    return [note["code"] for note in turn.notes]


# versions and branches ------------------------------------------------------------------------------------------------
def test_another_version_follows_the_same_turns_and_forgets_the_one_that_it_replaces(
    desk: Desk, talks: Conversations
) -> None:
    desk.server.set(answer="Forty-two.")
    first = desk.ask("What is it?")
    second = desk.ask("And why?", conversation_id=first.conversation_id)
    changed = desk.chat.wait(desk.chat.again("me", second.id, question="And when?").id, 10)
    assert contents(desk)[1:] == ["What is it?", "Forty-two.", "And when?"]
    assert [turn.id for turn in desk.chat.turns("me", first.conversation_id)] == [first.id, changed.id]
    versions = talks.versions(first.conversation_id)
    assert set(versions) == {second.id, changed.id} and versions[changed.id].before == second.id
    talks.show_version("me", second.id)
    assert [turn.id for turn in desk.chat.turns("me", first.conversation_id)] == [first.id, second.id]


def test_showing_a_version_shows_what_was_last_said_after_it(desk: Desk, talks: Conversations) -> None:
    first = desk.ask("One?")
    later = desk.ask("Two?", conversation_id=first.conversation_id)
    desk.chat.wait(desk.chat.again("me", first.id, question="Another one?").id, 10)
    assert len(desk.chat.turns("me", first.conversation_id)) == 1
    talks.show_version("me", first.id)
    assert [turn.id for turn in desk.chat.turns("me", first.conversation_id)] == [first.id, later.id]


def test_a_branch_begins_with_the_turns_up_to_one_and_leaves_the_old_one_alone(
    desk: Desk, talks: Conversations
) -> None:
    first = desk.ask("Which fish?", base_ids=["garden"], choices=Choices(max_tokens=99))
    second = desk.ask("Why?", conversation_id=first.conversation_id)
    branch = talks.branch("me", first.id)
    (copied,) = desk.chat.turns("me", branch.id)
    assert (copied.question, copied.answer, copied.passages) == (first.question, first.answer, first.passages)
    assert branch.settings["max_tokens"] == 99
    desk.ask("And dogs?", conversation_id=branch.id)
    assert [turn.id for turn in desk.chat.turns("me", first.conversation_id)] == [first.id, second.id]


# modes ----------------------------------------------------------------------------------------------------------------
def test_a_question_may_say_itself_that_the_documents_are_wanted(desk: Desk) -> None:
    first = desk.ask("Which fish live in the pond?")
    turn = desk.ask("查一下知识库：池塘里有什么鱼？", conversation_id=first.conversation_id)
    assert (turn.mode, turn.standalone) == ("knowledge", "池塘里有什么鱼？")
    assert turn.base_ids == ("garden", "empty") and codes(turn) == ["understood_knowledge"]
    without = desk.ask("Don't use the documents: why?", conversation_id=first.conversation_id, base_ids=["garden"])
    assert (without.mode, without.bases, codes(without)) == ("chat", [], ["understood_chat"])
    assert desk.chat.conversation("me", first.conversation_id).settings["mode"] == "chat"


def test_only_saying_to_look_it_up_asks_the_question_before_again(desk: Desk) -> None:
    first = desk.ask("Which fish live in the Garden pond?")
    turn = desk.ask("look it up in the Garden", conversation_id=first.conversation_id)
    assert (turn.base_ids, turn.standalone) == (("garden",), "Which fish live in the Garden pond?")
    assert "\n\nQuestion: Which fish live in the Garden pond?\n" in contents(desk)[-1]


def test_other_words_than_the_mode_that_was_pressed_do_not_count(desk: Desk) -> None:
    turn = desk.ask("look in the documents: why?", heed_words=False)
    assert turn.mode == "chat" and turn.notes == []


# follow-ups and memory ------------------------------------------------------------------------------------------------
def test_a_follow_up_that_points_back_is_rewritten_and_others_are_not(desk: Desk) -> None:
    first = desk.ask("Which fish live in the pond?", base_ids=["garden"])
    desk.ask("Are dogs allowed in the garden?", base_ids=["garden"], conversation_id=first.conversation_id)
    assert len(desk.server.chats) == 2, "a question that stands on its own costs no request"
    desk.server.set(answer=lambda sent: "How old are the koi?" if "Rewrite" in sent[0]["content"] else "Old [1].")
    turn = desk.ask("How old are they?", base_ids=["garden"], conversation_id=first.conversation_id)
    assert turn.standalone == "How old are the koi?" and "rewrite" in turn.timings_ms
    assert "Which fish live in the pond?" in contents(desk, -2)[-1]
    assert "\n\nQuestion: How old are the koi?\n" in contents(desk)[-1]
    assert "It holds koi (garden.txt)" not in "".join(contents(desk)), "an answer from documents stands on its own"


def test_an_answer_from_documents_is_remembered_by_later_chat_with_the_names_of_its_sources(desk: Desk) -> None:
    first = desk.ask("Which fish?", base_ids=["garden"])
    desk.server.set(answer="<think>Koi are fish.</think>Yes.")
    desk.ask("Are those fish?", conversation_id=first.conversation_id, choices=Choices(mode="chat"))
    assert contents(desk)[1:] == ["Which fish?", "It holds koi (garden.txt).", "Are those fish?"]
    desk.ask("Sure?", conversation_id=first.conversation_id, choices=Choices(mode="chat"))
    assert "Yes." in contents(desk) and "Koi are fish." not in "".join(contents(desk))


@pytest.mark.parametrize(
    ("chosen", "remembered"),
    [
        ({"memory": "everything"}, ["1?", "2?", "3?", "4?"]),
        ({"memory": "last_turns", "memory_turns": 2}, ["3?", "4?"]),
        ({"memory": "token_budget", "memory_tokens": 64}, ["3?", "4?"]),
    ],
)
def test_a_strategy_decides_what_is_remembered(desk: Desk, chosen: dict[str, Any], remembered: list[str]) -> None:
    desk.server.set(answer="word " * 24)
    choices = Choices.of(chosen)
    first = desk.ask("1?", choices=choices)
    for number in range(2, 6):
        desk.ask(f"{number}?", conversation_id=first.conversation_id)
    assert contents(desk)[1:-1:2] == remembered


def test_turns_that_have_no_room_are_left_out_and_that_is_said(desk: Desk) -> None:
    desk.server.set(answer="word " * 90, context_length=700)
    first = desk.ask("1?", choices=Choices(max_tokens=300))
    turns = [desk.ask(f"{number}?", conversation_id=first.conversation_id) for number in range(2, 6)]
    assert codes(turns[-1]) == ["left_out"] and turns[-1].state == "done"


def test_a_cleared_memory_begins_anew_and_the_turns_stay(desk: Desk, talks: Conversations) -> None:
    first = desk.ask("What is it?")
    assert [each.question for each in talks.memory("me", first.conversation_id, product(desk)).exchanges] == [
        "What is it?"
    ]
    talks.forget("me", first.conversation_id)
    desk.ask("Why?", conversation_id=first.conversation_id)
    assert contents(desk)[1:] == ["Why?"]
    assert len(desk.chat.turns("me", first.conversation_id)) == 2


def product(desk: Desk) -> Any:
    return product_settings(desk.store.preferences)


def test_what_was_sent_is_kept_part_by_part(desk: Desk, talks: Conversations) -> None:
    turn = desk.ask("Which fish?", base_ids=["garden"], choices=Choices(system_prompt="Be brief."))
    rows = talks.prompt("me", turn.id)
    assert list(tokens_by_kind(rows)) == ["instruction", "system_prompt", "examples", "passages", "question"]
    sent = contents(desk)
    assert sent[0] == f"{rows[0]['text']}\n\nBe brief." and sent[-1] == f"{rows[-2]['text']}\n\n{rows[-1]['text']}"
    assert POND in rows[-2]["text"]


# settings -------------------------------------------------------------------------------------------------------------
def test_settings_of_turn_conversation_base_and_installation_count_in_this_order(
    desk: Desk, talks: Conversations
) -> None:
    from services.chat.choices import Presets

    Presets(desk.store.preferences).choose("garden", Choices(temperature=0.5, top_p=0.5, stop=("END",)))
    first = desk.ask("Which fish?", base_ids=["garden"], choices=Choices(top_p=0.25))
    body = desk.server.chats[-1].body
    assert (body["temperature"], body["top_p"], body["stop"]) == (0.5, 0.25, ["END"])
    talks.choose("me", first.conversation_id, Choices(temperature=0.75))
    desk.ask("Which dogs are allowed there?", base_ids=["garden"], conversation_id=first.conversation_id)
    body = desk.server.chats[-1].body
    assert (body["temperature"], body["top_p"], body["max_tokens"]) == (0.75, 0.5, 400)


@pytest.mark.parametrize("values", [{"temperature": 9}, {"top_p": 0}, {"max_tokens": 1}, {"stop": ["x" * 101]}])
def test_a_setting_that_cannot_be_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue):
        Choices.of(values)


def test_an_answer_longer_than_the_context_is_trimmed_and_that_is_said(desk: Desk) -> None:
    desk.server.set(context_length=1000)
    turn = desk.ask("Hello?", choices=Choices(max_tokens=5000))
    assert codes(turn) == ["trimmed"] and desk.server.chats[-1].body["max_tokens"] < 1000
    desk.server.set(answer="word " * 40)
    cut = desk.ask("Go on.", choices=Choices(max_tokens=16))
    assert codes(cut) == ["cut"] and cut.state == "done"


# servers --------------------------------------------------------------------------------------------------------------
def test_a_busy_server_has_a_queue_with_places(desk: Desk) -> None:
    chat = service(desk.store, desk.server.url, slots=1)
    desk.server.set(mode="slow", answer=" word" * 100)
    running, second, third = (chat.ask("me", f"{number}?") for number in range(3))
    until(lambda: chat.turn(running.id).answer and chat.turn(third.id).queue_place == 2)
    assert chat.turn(second.id).queue_place == 1 and len(desk.server.chats) == 1
    chat.stop("me", second.id)
    until(lambda: chat.turn(third.id).queue_place == 1)
    assert chat.wait(second.id, 10).state == "stopped"
    desk.server.set(mode="normal", answer="Yes.")
    chat.stop("me", running.id)
    assert chat.wait(third.id, 10).answer == "Yes."


def test_another_server_answers_where_one_dies_in_the_middle(desk: Desk) -> None:
    desk.server.set(mode="dies_midway", answer="one two three four")
    with running_chat_server(answer="It holds koi [1].", engine="llama.cpp") as second:
        chat = service(desk.store, desk.server.url, others=[second.url])
        turn = chat.wait(chat.ask("me", "Which fish?", base_ids=["garden"]).id, 20)
        assert (turn.state, turn.answer, turn.server_name) == ("done", "It holds koi [1].", "fake 2")
        assert turn.notes == [{"code": "elsewhere", "params": {"first": "fake 1", "second": "fake 2"}}]
        second.set(mode="dies_midway", answer="five six seven eight")
        failed = chat.wait(chat.ask("me", "Which fish?").id, 20)
    assert (failed.state, failed.error_code) == ("failed", "server_not_ready") and "five" in failed.answer


# the server of a conversation -----------------------------------------------------------------------------------------
@dataclass
class Two:
    """A chat with two servers: "small" is asked where none is named, "large" was chosen. Both may be taken away."""

    chat: ChatService
    there: dict[str, Target]
    first: TurnRecord

    def again(self, **more: Any) -> TurnRecord:
        return self.chat.wait(self.chat.again("me", self.first.id, **more).id, 10)

    def next(self, **more: Any) -> TurnRecord:
        id = self.first.conversation_id
        return self.chat.wait(self.chat.ask("me", "And why?", conversation_id=id, **more).id, 10)

    @property
    def kept(self) -> str | None:
        return self.chat.conversation("me", self.first.conversation_id).server_id


@pytest.fixture
def two(desk: Desk) -> Iterator[Two]:
    there = {
        name: Target(name, Endpoint(name, desk.server.url, engine="llama.cpp"), 700) for name in ("small", "large")
    }

    def servers(reference: str | None) -> Target:
        found = there.get(reference or "small")
        if found is None:
            raise ServerNotFound(name=reference)
        return found

    chat = service(desk.store, desk.server.url, servers=servers)
    yield Two(chat, there, chat.wait(chat.ask("me", "Which fish?", base_ids=["garden"], server="large").id, 10))
    chat.close()


@pytest.mark.parametrize("changed", [{}, {"question": "Which dogs?"}, {"mode": "chat"}])
def test_another_version_is_made_by_the_server_of_the_conversation(two: Two, changed: dict[str, Any]) -> None:
    assert two.again(**changed).server_name == "large" and two.kept == "large"


def test_a_conversation_goes_on_with_its_server_where_none_is_named(two: Two) -> None:
    assert two.next().server_name == "large" and two.kept == "large"
    assert two.next(server="small").server_name == "small" and two.kept == "small", "what is named counts from then on"


def test_another_server_may_give_another_version_and_the_conversation_stays_as_it_was(two: Two) -> None:
    before = two.chat.conversation("me", two.first.conversation_id).settings
    assert two.again(server="small", mode="chat").server_name == "small"
    assert two.kept == "large" and two.chat.conversation("me", two.first.conversation_id).settings == before


def test_where_the_server_of_a_conversation_was_removed_the_ready_one_answers(two: Two) -> None:
    del two.there["large"]
    assert two.again().server_name == "small" and two.next().server_name == "small" and two.kept == "small"
    with pytest.raises(ServerNotFound):
        two.again(server="large")


# titles and summaries -------------------------------------------------------------------------------------------------
def test_an_idle_server_gives_a_title_which_a_person_may_change_for_good(desk: Desk, talks: Conversations) -> None:
    desk.server.set(answer=lambda sent: "Fish of the pond" if "title" in sent[0]["content"] else "Koi.")
    chat = service(desk.store, desk.server.url, background=True)
    turn = chat.wait(chat.ask("me", "Which fish live in the pond, and since when?").id, 10)
    until(lambda: chat.conversation("me", turn.conversation_id).title == "Fish of the pond")
    talks.rename("me", turn.conversation_id, "  My   pond ")
    desk.store.conversations.retitle(turn.conversation_id, "x", origin="model", unless="person")
    assert chat.conversation("me", turn.conversation_id).title == "My pond"
    with pytest.raises(InvalidName):
        talks.rename("me", turn.conversation_id, " ")
    chat.close()


def test_a_running_summary_takes_the_place_of_the_turns_that_it_tells_of(desk: Desk) -> None:
    def answer(sent: list[dict[str, str]]) -> str:
        return "They spoke of koi." if "notes" in sent[0]["content"] else "Koi."

    desk.server.set(answer=answer)
    chat = service(desk.store, desk.server.url, background=True)
    choices = Choices(memory="summary_recent", memory_turns=1)
    first = chat.wait(chat.ask("me", "1?", choices=choices).id, 10)
    for number in (2, 3):
        chat.wait(chat.ask("me", f"{number}?", conversation_id=first.conversation_id).id, 10)
    until(lambda: chat.conversation("me", first.conversation_id).summary)
    chat.wait(chat.ask("me", "4?", conversation_id=first.conversation_id).id, 10)
    asked = next(chat.body["messages"] for chat in desk.server.chats if chat.body["messages"][-1]["content"] == "4?")
    assert "They spoke of koi." in asked[0]["content"]
    assert [message["content"] for message in asked[1:]] == ["3?", "Koi.", "4?"]
    chat.close()


# links, exports, search -----------------------------------------------------------------------------------------------
def test_a_link_lets_others_read_until_it_is_taken_back(desk: Desk, talks: Conversations) -> None:
    turn = desk.ask("Which fish?", base_ids=["garden"])
    token = talks.share("me", turn.conversation_id)
    assert token == talks.share("me", turn.conversation_id) and len(token) >= 32
    talk, turns = talks.shared(token)
    assert talk.id == turn.conversation_id and [each.answer for each in turns] == [turn.answer]
    with pytest.raises(ConversationNotFound):
        talks.unshare("stranger", turn.conversation_id)
    talks.unshare("me", turn.conversation_id)
    for gone in (token, ""):
        with pytest.raises(ConversationNotFound):
            talks.shared(gone)


def test_an_export_has_everything_and_reads_well(desk: Desk) -> None:
    turn = desk.ask("Which fish live in the pond?", base_ids=["garden"])
    talk, turns = desk.chat.conversation("me", turn.conversation_id), desk.chat.turns("me", turn.conversation_id)
    row = json.loads(as_json(talk, turns))
    assert row["turns"][0]["passages"] == turn.passages and row["turns"][0]["settings"]["temperature"] == 0
    text = as_markdown(talk, turns, "zh_CN")
    assert "## Which fish live in the pond?" in text and "**[1] garden.txt**" in text and f"> {POND}" in text


def test_conversations_are_found_by_words_in_both_languages(desk: Desk) -> None:
    pond, leave = desk.ask("Which FISH live here?"), desk.ask("年假有多少天？100%")
    assert [talk.id for talk in desk.chat.conversations("me", "fish koi")] == [pond.conversation_id]
    assert [talk.id for talk in desk.chat.conversations("me", "年假")] == [leave.conversation_id]
    assert [talk.id for talk in desk.chat.conversations("me", "100%")] == [leave.conversation_id]
    assert desk.chat.conversations("me", "fish 年假") == desk.chat.conversations("you", "fish") == []


def test_a_stranger_can_do_nothing_with_a_conversation_of_mine(desk: Desk, talks: Conversations) -> None:
    turn = desk.ask("Hello?")
    id = turn.conversation_id
    for attempt in (
        lambda: talks.rename("you", id, "x"),
        lambda: talks.choose("you", id, Choices()),
        lambda: talks.branch("you", turn.id),
        lambda: talks.show_version("you", turn.id),
        lambda: talks.forget("you", id),
        lambda: talks.prompt("you", turn.id),
        lambda: talks.share("you", id),
    ):
        with pytest.raises(ConversationNotFound):
            attempt()
