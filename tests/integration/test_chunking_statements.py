"""Statements by a chat server: what is asked, what is understood, and that nothing is asked twice."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import pytest

from services.core.errors import NoServer, ServerNotReady
from services.knowledge.chunking.chunks import make_chunks
from services.knowledge.chunking.registry import chunker_spec, make_chunker
from services.knowledge.chunking.statements import BATCH_PASSAGES, understood
from services.knowledge.chunking.tools import no_chat_model, tools_for
from services.knowledge.types import Chunk, Extracted, Notice, Unwanted
from services.llm.client import OpenAIChatModel
from services.llm.protocol import Endpoint
from tests.fakes.chat_server import ChatServer, running_chat_server
from tests.fakes.embedder import HashEmbedder

TEXT = "".join(f"Pump {number} runs. It is loud at noon. The end. " for number in range(20))


def retell(messages: list[dict[str, str]]) -> str:
    """One statement for each first sentence of three, one for the second together with it."""
    lines = [line for line in messages[-1]["content"].splitlines() if line.startswith("[")]
    said = [(int(line[1 : line.index("]")]), line.partition(" ")[2]) for line in lines]
    answers = [f"[{n}] {text} (retold)" for n, text in said if text.startswith("Pump")]
    return "\n".join(
        ["Here you are:", *answers, *(f"[{n}-{n + 1}] both: {text}" for n, text in said if text[:4] == "Pump")]
    )


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with running_chat_server(answer=retell) as running:
        yield running


class Kept(dict[str, str]):
    """Answers as a base keeps them; may stop the work after some."""

    stop_after = 1_000

    def keep(self, answers: Mapping[str, str]) -> None:
        self.update(answers)

    def wanted(self) -> bool:
        return len(self) < self.stop_after


def split(server: ChatServer | None, kept: Kept, text: str = TEXT) -> tuple[list[Chunk], list[Notice]]:
    open_model = (lambda _wanted: OpenAIChatModel(Endpoint("fake", server.url))) if server else no_chat_model
    tools = tools_for(HashEmbedder(), open_model, known=kept, keep=kept.keep, wanted=kept.wanted)
    chunker = make_chunker(chunker_spec("propositions", size=100), tools)
    return make_chunks(Extracted(text, "text/plain"), chunker, tools)


def test_statements_are_embedded_and_keep_the_span_they_were_made_of(server: ChatServer) -> None:
    chunks, notices = split(server, Kept())
    retold = [chunk for chunk in chunks if chunk.indexed_text.endswith("(retold)")]
    both = [chunk for chunk in chunks if chunk.indexed_text.startswith("both")]
    plain = [chunk for chunk in chunks if chunk.embed_text is None]
    assert [chunk.text for chunk in retold] == [f"Pump {number} runs." for number in range(20)]
    assert all(re.fullmatch(r"Pump \d+ runs. It is loud at noon\.", chunk.text) for chunk in both) and len(both) > 10
    assert "The end." in {chunk.text for chunk in plain} and not any(chunk.text.startswith("Pump") for chunk in plain)
    assert notices == [Notice("passages_not_rewritten", {"count": len(plain)})]
    assert all("never an instruction" in chat.body["messages"][0]["content"] for chat in server.chats)


def test_what_was_answered_is_not_asked_again_after_a_kill(server: ChatServer) -> None:
    kept = Kept()
    kept.stop_after = 1
    with pytest.raises(Unwanted):
        split(server, kept)
    asked, answered = len(server.chats), len(kept)
    assert 1 <= answered <= BATCH_PASSAGES
    kept.stop_after = 1_000
    whole = split(server, kept)
    assert len(server.chats) - asked == len(kept) - answered > 0
    assert split(None, kept) == whole, "with every answer kept no server is needed"
    assert whole == split(server, Kept())


def test_without_a_server_the_error_says_so() -> None:
    with pytest.raises(NoServer):
        split(None, Kept())


def test_a_server_that_fails_ends_the_work_and_what_came_before_is_kept(server: ChatServer) -> None:
    def retell_and_fail(messages: list[dict[str, str]]) -> str:
        if "Pump 12 " in messages[-1]["content"]:
            server.set(mode="loading")
        return retell(messages)

    kept = Kept()
    server.set(answer=retell_and_fail)
    with pytest.raises(ServerNotReady):
        split(server, kept)
    assert len(kept) >= BATCH_PASSAGES


def test_a_server_that_talks_of_something_else_loses_nothing(server: ChatServer) -> None:
    server.set(answer="I am sorry, I cannot do that.")
    chunks, notices = split(server, Kept())
    assert [notice.code for notice in notices] == ["passages_not_rewritten"]
    assert " ".join(chunk.text for chunk in chunks) == TEXT.strip()


def test_a_sentence_that_stands_by_itself_already_is_its_own_statement(server: ChatServer) -> None:
    server.set(answer="[1] Pump A runs.\n[2] Pump B rests.")
    chunks, notices = split(server, Kept(), "Pump A runs. Pump B rests.")
    assert [(chunk.text, chunk.embed_text) for chunk in chunks] == [("Pump A runs.", None), ("Pump B rests.", None)]
    assert notices == []


def test_the_line_that_a_full_answer_breaks_off_in_is_left_out(server: ChatServer) -> None:
    server.set(answer="\n".join("[2] It is " + "very " * 30 + "loud." for _ in range(100)))
    chunks, _ = split(server, Kept())
    told = [chunk.indexed_text for chunk in chunks if chunk.embed_text is not None]
    assert told and all(text.endswith("loud.") for text in told)


@pytest.mark.parametrize(
    ("answer", "statements"),
    [
        ("[1] One.\n[2-3] Two and three.", [("One.", 0, 0), ("Two and three.", 1, 2)]),
        ("- [1] 一。\n【2】二。\n3. Three", [("一。", 0, 0), ("二。", 1, 1), ("Three", 2, 2)]),
        ("Sure:\n[4] beyond\n[3-2] turned\n[0] none\n1\n[1]", []),
        ("**[1]** One.\n[2]: Two.\n[2][3] Both.", [("One.", 0, 0), ("Two.", 1, 1), ("Both.", 1, 2)]),
        ("[2, 3] Both.\n[1, 2, 3] All.", [("Both.", 1, 2), ("All.", 0, 2)]),
        ("[1] One.\n[1] One.\n[2] One.", [("One.", 0, 0)]),
        ("3.5 metres of pipe.\n2:30 is the hour.", []),
        ("[1] " + "x" * 700, []),
    ],
)
def test_answers_are_understood_in_the_forms_that_models_write(
    answer: str, statements: list[tuple[str, int, int]]
) -> None:
    found = understood(answer, ["It is one.", "It is two.", "It is three."])
    assert [(one.text, one.first, one.last) for one in found] == statements


def test_statements_with_figures_that_their_sentences_do_not_have_are_not_believed() -> None:
    passage = ["The key costs 35 euros.", "It is blocked within 15 minutes, by 1 March 2026.", "在2,500米处停止。"]
    answer = "[1] The key costs 35 euros.\n[1] The key costs 53 euros.\n[1] The key is lost for 15 days."
    more = "\n[1-2] A key of 35 euros is blocked within 15 minutes.\n[3] 泵在2,500米处停止。\n[3] 泵在500米处停止。"
    assert [(one.text, one.first) for one in understood(answer + more, passage)] == [
        ("The key costs 35 euros.", 0),
        ("A key of 35 euros is blocked within 15 minutes.", 0),
        ("泵在2,500米处停止。", 2),
    ]


def test_statements_whose_numbers_are_miscounted_come_from_the_sentences_that_have_their_words() -> None:
    passage = [
        "# Pumps",
        "The pump runs in spring.",
        "It stops at noon.",
        "Nobody is blamed.",
        "Oil is changed weekly.",
    ]
    answer = "[1] The pump runs in spring.\n[3] The pump stops in spring at noon.\n[1] The oil is changed weekly."
    assert [(one.text, one.first, one.last) for one in understood(answer, passage)] == [
        ("The pump runs in spring.", 1, 1),
        ("The pump stops in spring at noon.", 1, 2),
        ("The oil is changed weekly.", 4, 4),
    ]


def test_a_line_for_a_whole_passage_stands_for_none_of_its_sentences() -> None:
    assert understood("[1-4] It tells of pumps.", ["One.", "Two.", "Three.", "Four."]) == []
