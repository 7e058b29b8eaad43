"""What every chat model behind a server keeps to, and what becomes of a server that misbehaves.

`ChatModelContract` runs here over a scripted server, and over a real one in tests/integration.
"""

from __future__ import annotations

import gc
import math
import socket
import threading
from collections.abc import Iterator

import pytest

from services.core.errors import (
    AppError,
    BadResponse,
    ContextLengthExceeded,
    InvalidValue,
    ServerFailed,
    ServerNotReady,
    Unauthorized,
    UpstreamTimeout,
)
from services.llm.client import OpenAIChatModel
from services.llm.protocol import ChatModel, Endpoint, Event, Message, PromptProgress, Sampling, TextDelta, Usage
from tests.fakes.chat_server import MODEL, ChatServer, pieces, running_chat_server

ANSWER = "The pond was dug in 1962 [1]. 池塘里养着锦鲤[2]。"
QUESTION = [Message("system", "Be brief."), Message("user", "When was the pond dug?")]
SAMPLING = Sampling(max_tokens=200)


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with running_chat_server(answer=ANSWER) as running:
        yield running


def model_of(server: ChatServer, *, timeout_s: float = 10, api_key: str = "", model: str = MODEL) -> OpenAIChatModel:
    endpoint = Endpoint("fake", server.url, model=model, api_key=api_key, engine=server.engine)
    return OpenAIChatModel(endpoint, timeout_s=timeout_s)


def answer_of(model: ChatModel) -> tuple[str, list[Event]]:
    events = list(model.stream(QUESTION, SAMPLING))
    return "".join(event.text for event in events if isinstance(event, TextDelta)), events


def usage_of(events: list[Event]) -> Usage:
    last = events[-1]
    assert isinstance(last, Usage)
    assert [type(event) for event in events].count(Usage) == 1
    return last


class ChatModelContract:
    """For each implementation: an heir whose fixture `model` answers QUESTION with at least 20 pieces, a while each."""

    @pytest.fixture
    def model(self) -> ChatModel:
        raise NotImplementedError

    def test_lists_at_least_one_model(self, model: ChatModel) -> None:
        assert all(model.models())
        assert model.models()

    def test_answers_in_pieces_and_ends_with_one_usage(self, model: ChatModel) -> None:
        text, events = answer_of(model)
        usage = usage_of(events)
        assert text.strip()
        assert len([event for event in events if isinstance(event, TextDelta)]) > 1
        assert usage.finish_reason in ("stop", "length")
        assert usage.prompt_tokens is None or usage.prompt_tokens > 5

    def test_says_when_the_answer_was_cut_at_max_tokens(self, model: ChatModel) -> None:
        usage = usage_of(list(model.stream(QUESTION, Sampling(max_tokens=3))))
        assert usage.finish_reason == "length"
        assert usage.completion_tokens in (3, None)

    def test_a_closed_stream_is_at_its_end(self, model: ChatModel) -> None:
        stream = model.stream(QUESTION, SAMPLING)
        next(stream)
        stream.close()
        stream.close()
        assert list(stream) == []

    def test_another_thread_may_close_the_stream(self, model: ChatModel) -> None:
        stream = model.stream(QUESTION, SAMPLING)
        begun, seen = threading.Event(), list[Event]()

        def read() -> None:
            for event in stream:
                seen.append(event)
                begun.set()

        reader = threading.Thread(target=read)
        reader.start()
        assert begun.wait(60)
        stream.close()
        reader.join(timeout=10)
        assert not reader.is_alive()
        assert not any(isinstance(event, Usage) for event in seen)

    def test_answers_several_threads(self, model: ChatModel) -> None:
        texts: list[str] = []
        threads = [threading.Thread(target=lambda: texts.append(answer_of(model)[0])) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
        assert len(texts) == 3 and all(texts)

    def test_a_prompt_beyond_the_context_is_refused_with_the_numbers(self, model: ChatModel) -> None:
        available = model.context_length()
        assert available
        with pytest.raises(ContextLengthExceeded) as raised:
            list(model.stream([Message("user", "word " * (available + 50))], SAMPLING))
        assert raised.value.params["available"] == available
        assert raised.value.params["needed"] > available

    def test_counts_more_tokens_in_longer_text(self, model: ChatModel) -> None:
        assert model.count_tokens("") == 0
        assert 0 < model.count_tokens("one word") < model.count_tokens("one word and 池塘 after it")

    def test_tells_what_the_answer_could_begin_with(self, model: ChatModel) -> None:
        first = model.first_token(QUESTION, lambda: True)
        assert len(first) > 1 and all(logarithm <= 0 for logarithm in first.values())
        assert 0 < sum(map(math.exp, first.values())) <= 1.001


class TestOverAScriptedServer(ChatModelContract):
    @pytest.fixture(params=["llama.cpp", "vllm"])
    def model(self, server: ChatServer, request: pytest.FixtureRequest) -> ChatModel:
        first = {"In": -0.2, "The": -2.0}
        server.set(engine=request.param, answer="word " * 100, delay_s=0.005, context_length=300, first=first)
        return model_of(server)


def test_a_server_that_does_not_tell_what_an_answer_could_begin_with_tells_nothing(server: ChatServer) -> None:
    assert model_of(server).first_token(QUESTION, lambda: True) == {}


def test_what_an_answer_could_begin_with_is_given_up_when_nobody_wants_it(server: ChatServer) -> None:
    server.set(mode="hangs", first={"Yes": -0.1})
    assert model_of(server).first_token(QUESTION, lambda: not server.doubts) == {}
    server.wait_for(lambda server: server.doubts[0].closed_early)


def test_streams_the_answer_piece_by_piece_and_ends_with_the_counts(server: ChatServer) -> None:
    text, events = answer_of(model_of(server))
    assert text == ANSWER
    assert len([event for event in events if isinstance(event, TextDelta)]) == len(pieces(ANSWER))
    assert isinstance(events[-1], Usage)
    assert events[-1].completion_tokens == len(pieces(ANSWER))
    assert (events[-1].prompt_tokens or 0) > 0
    assert events[-1].finish_reason == "stop"


def test_sends_messages_and_sampling_as_given(server: ChatServer) -> None:
    sampling = Sampling(max_tokens=7, temperature=0.25, top_p=0.5, stop=("###",))
    events = list(model_of(server).stream(QUESTION, sampling))
    body = server.chats[0].body
    assert body["messages"] == [{"role": message.role, "content": message.content} for message in QUESTION]
    assert (body["max_tokens"], body["temperature"], body["top_p"], body["stop"]) == (7, 0.25, 0.5, ["###"])
    assert events[-1] == Usage(prompt_tokens=events[-1].prompt_tokens, completion_tokens=7, finish_reason="length")  # type: ignore[union-attr]


def test_takes_the_first_model_of_the_list_where_none_is_named(server: ChatServer) -> None:
    server.set(model="first-of-all")
    model = model_of(server, model="")
    assert model.models() == ["first-of-all"]
    assert answer_of(model)[0] == ANSWER
    assert server.chats[0].body["model"] == "first-of-all"


def test_counts_are_unknown_where_the_server_does_not_tell_them(server: ChatServer) -> None:
    server.set(mode="ignores_usage")
    assert answer_of(model_of(server))[1][-1] == Usage(None, None, "stop")


def test_an_empty_answer_is_only_a_usage(server: ChatServer) -> None:
    server.set(mode="empty")
    assert [type(event) for event in answer_of(model_of(server))[1]] == [Usage]


def test_tells_how_much_of_the_prompt_llama_cpp_has_read(server: ChatServer) -> None:
    server.set(engine="llama.cpp", mode="prompt_progress")
    events = answer_of(model_of(server))[1]
    assert events[:5] == [PromptProgress(done, 40) for done in (0, 10, 20, 30, 40)]
    assert server.chats[0].body["return_progress"] is True
    assert server.chats[0].body["cache_prompt"] is True


def test_sends_other_engines_nothing_that_is_llama_cpps(server: ChatServer) -> None:
    answer_of(model_of(server))
    assert not {"return_progress", "cache_prompt"} & server.chats[0].body.keys()


def test_closing_ends_the_request_at_the_server(server: ChatServer) -> None:
    server.set(delay_s=0.05, answer="word " * 400)
    stream = model_of(server).stream(QUESTION, SAMPLING)
    assert isinstance(next(stream), TextDelta)
    stream.close()
    server.wait_for(lambda it: it.chats[0].closed_early)
    assert server.chats[0].pieces_sent < 200
    assert list(stream) == []


def test_dropping_the_iterator_ends_the_request_as_well(server: ChatServer) -> None:
    server.set(delay_s=0.05, answer="word " * 400)
    stream = model_of(server).stream(QUESTION, SAMPLING)
    next(stream)
    del stream
    gc.collect()
    server.wait_for(lambda it: it.chats[0].closed_early)


def test_another_thread_can_close_while_the_server_is_silent(server: ChatServer) -> None:
    server.set(mode="hangs")
    stream = model_of(server, timeout_s=120).stream(QUESTION, SAMPLING)
    seen: list[object] = []
    reader = threading.Thread(target=lambda: seen.append(list(stream)))
    reader.start()
    server.wait_for(lambda it: it.chats)
    stream.close()
    reader.join(timeout=10)
    assert not reader.is_alive()
    assert seen == [[]]
    server.wait_for(lambda it: it.chats[0].closed_early)


def test_closed_before_the_first_event_nothing_is_sent(server: ChatServer) -> None:
    stream = model_of(server).stream(QUESTION, SAMPLING)
    stream.close()
    assert list(stream) == []
    assert server.requests == []


def test_serves_several_threads_at_once(server: ChatServer) -> None:
    model, texts = model_of(server), []
    threads = [threading.Thread(target=lambda: texts.append(answer_of(model)[0])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert texts == [ANSWER] * 8


@pytest.mark.parametrize(
    ("engine", "expected", "asked"),
    [("llama.cpp", 3072, "/props"), ("vllm", 3072, "/v1/models"), ("remote", None, "/v1/models")],
)
def test_asks_each_engine_for_its_context(server: ChatServer, engine: str, expected: int | None, asked: str) -> None:
    server.set(engine=engine, context_length=3072)
    assert model_of(server).context_length() == expected
    assert server.requests[0].path == asked


@pytest.mark.parametrize("engine", ["llama.cpp", "vllm"])
def test_counts_tokens_as_the_server_does(server: ChatServer, engine: str) -> None:
    server.set(engine=engine)
    assert model_of(server).count_tokens("one two 三四") == 4


@pytest.mark.parametrize("behind", ["llama.cpp", "vllm"])
def test_finds_out_how_an_unnamed_server_counts(server: ChatServer, behind: str) -> None:
    model = model_of(server)
    server.set(engine=behind)
    assert [model.count_tokens("one two 三四"), model.count_tokens("one")] == [4, 1]


def test_estimates_where_a_server_cannot_count_and_does_not_ask_again(server: ChatServer) -> None:
    model = model_of(server)
    assert model.count_tokens("池塘里有鱼") == 5
    asked = len(server.requests)
    assert model.count_tokens("a pond") == 2
    assert len(server.requests) == asked


def test_sends_the_key_and_nothing_else_about_this_machine(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "of-someone-else")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-someone-else")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Secret: of-someone-else")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    server.set(api_key="right")
    assert answer_of(model_of(server, api_key="right"))[0] == ANSWER
    headers = server.chats[0].headers
    assert headers["authorization"] == "Bearer right"
    assert not [name for name in headers if name.startswith(("x-", "openai-"))]
    server.set(api_key="")
    answer_of(model_of(server))
    assert not [value for value in server.chats[1].headers.values() if "someone-else" in value]


FAILURES: list[tuple[str, str, type[AppError]]] = [
    ("loading", "remote", ServerNotReady),
    ("dies_midway", "remote", ServerNotReady),
    ("hangs", "remote", UpstreamTimeout),
    ("unauthorized", "remote", Unauthorized),
    ("context_exceeded", "llama.cpp", ContextLengthExceeded),
    ("context_exceeded", "vllm", ContextLengthExceeded),
    ("nonsense", "remote", BadResponse),
    ("broken_json", "remote", BadResponse),
    ("truncated", "remote", BadResponse),
    ("error_midway", "remote", ServerFailed),
    ("server_error", "remote", ServerFailed),
]


@pytest.mark.parametrize(("mode", "engine", "kind"), FAILURES)
def test_maps_what_goes_wrong_while_answering(server: ChatServer, mode: str, engine: str, kind: type[AppError]) -> None:
    server.set(mode=mode, engine=engine)
    with pytest.raises(AppError) as raised:
        answer_of(model_of(server, timeout_s=0.5 if mode == "hangs" else 10))
    assert type(raised.value) is kind
    assert "None" not in str(raised.value) and "?" not in str(raised.value)


@pytest.mark.parametrize("engine", ["llama.cpp", "vllm"])
def test_tells_the_numbers_of_an_exceeded_context(server: ChatServer, engine: str) -> None:
    server.set(mode="context_exceeded", engine=engine, context_length=2048)
    with pytest.raises(ContextLengthExceeded) as raised:
        answer_of(model_of(server))
    assert raised.value.params == {"needed": 3031, "available": 2048}


@pytest.mark.parametrize(
    ("mode", "kind"), [("loading", ServerNotReady), ("unauthorized", Unauthorized), ("nonsense", BadResponse)]
)
def test_maps_what_goes_wrong_while_listing_models(server: ChatServer, mode: str, kind: type[AppError]) -> None:
    server.set(mode=mode)
    with pytest.raises(kind):
        model_of(server).models()


def test_nobody_listening_is_not_ready() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    model = OpenAIChatModel(Endpoint("gone", f"http://127.0.0.1:{port}/v1", model="m"))
    for attempt in (model.models, model.context_length, lambda: model.count_tokens("x"), lambda: answer_of(model)):
        with pytest.raises(ServerNotReady) as raised:
            attempt()
        assert raised.value.params["name"] == "gone"


def test_an_unknown_host_is_not_ready() -> None:
    with pytest.raises(ServerNotReady):
        OpenAIChatModel(Endpoint("nowhere", "http://nowhere.invalid/v1")).models()


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (b"", ServerNotReady),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", BadResponse),
        (b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"data":7', BadResponse),
        (b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"data"', ServerNotReady),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", BadResponse),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n", BadResponse),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 15\r\n\r\n<html>404</html", BadResponse),
    ],
)
def test_maps_what_is_no_proper_reply(reply: bytes, kind: type[AppError]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(reply)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(AppError) as raised:
            OpenAIChatModel(Endpoint("odd", f"http://127.0.0.1:{listening.getsockname()[1]}/v1"), timeout_s=10).models()
        thread.join(timeout=10)
    assert type(raised.value) is kind, raised.value


def test_a_key_that_no_header_can_carry_is_refused_at_once(server: ChatServer) -> None:
    for key in ("钥匙", "two\nlines"):
        with pytest.raises(InvalidValue) as raised:
            model_of(server, api_key=key)
        assert key not in str(raised.value)
