"""A chat model behind an OpenAI-compatible server, with what llama.cpp and vLLM offer beyond that API."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import Any

import httpx2
from pydantic import BaseModel

from services.core.errors import BadResponse
from services.core.i18n import N_
from services.core.phrases import phrase
from services.llm.addresses import root_url
from services.llm.answering import Line, StreamedAnswer
from services.llm.connection import LLAMA_CPP, Connection
from services.llm.estimate import estimated_tokens
from services.llm.protocol import (
    Endpoint,
    Event,
    EventStream,
    Message,
    PromptProgress,
    ReasoningDelta,
    Sampling,
    TextDelta,
    Usage,
)
from services.llm.waiting import GivenUp, while_wanted

TOP_TOKENS = 12
"""Tokens that an answer could begin with; "yes" and "no" in all their forms are among so many."""

# For an unknown server llama.cpp's form comes first: vLLM rejects it, while llama.cpp would count vLLM's as empty.
_TOKENIZE_FORMS: dict[str, tuple[str, ...]] = {LLAMA_CPP: ("content",), "vllm": ("prompt",)}


class _Tokens(BaseModel):
    tokens: list[int]


class _Delta(BaseModel):
    content: str | None = None
    reasoning_content: str | None = None  # llama.cpp, older vLLM
    reasoning: str | None = None  # vLLM, Ollama


class _Choice(BaseModel):
    delta: _Delta = _Delta()
    finish_reason: str | None = None


class _Counts(BaseModel):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Token(BaseModel):
    token: str
    logprob: float


class _Place(BaseModel):
    top_logprobs: list[_Token] = []


class _Places(BaseModel):
    content: list[_Place] | None = None


class _Begun(BaseModel):
    logprobs: _Places | None = None


class _Beginning(BaseModel):
    choices: list[_Begun]


class _Progress(BaseModel):
    processed: int
    total: int


class _Chunk(BaseModel):
    choices: list[_Choice] = []
    usage: _Counts | None = None
    prompt_progress: _Progress | None = None


class OpenAIChatModel:
    """Implements `ChatModel` over HTTP. Thread-safe.

    Args:
        endpoint: where it answers; an empty model name means the first that the server lists.
        timeout_s: the longest silence, before the answer begins and between its pieces.

    Raises: InvalidValue where the address or the key can't be one.
    """

    def __init__(self, endpoint: Endpoint, *, timeout_s: float = 120) -> None:
        self._connection = Connection(endpoint, timeout_s=timeout_s)
        self.endpoint = self._connection.endpoint
        self._tokenize_forms = _TOKENIZE_FORMS.get(endpoint.engine, ("content", "prompt"))

    def models(self) -> list[str]:
        """Ids that the server lists under /v1/models."""
        return [model.id for model in self._connection.listed()]

    def context_length(self) -> int | None:
        """Tokens of one request's context (prompt and answer); None where the server does not tell."""
        return self._connection.context_length(self.endpoint.model)

    def count_tokens(self, text: str) -> int:
        """Tokens of a text: the server's own count where it has one, else an estimate that errs on the high side."""
        for form in self._tokenize_forms:
            body = {form: text, "model": self._connection.model()} if form == "prompt" else {form: text}
            try:
                reply = self._connection.asked("POST", root_url(self.endpoint.url) + "/tokenize", _Tokens, body)
            except BadResponse:
                self._tokenize_forms = tuple(other for other in self._tokenize_forms if other != form)
            else:
                self._tokenize_forms = (form,)
                return len(reply.tokens)
        return estimated_tokens(text)

    def stream(self, messages: Sequence[Message], sampling: Sampling) -> EventStream:
        """The answer as it comes. The last event is a Usage, unless the stream was closed before.

        The request is sent when the first event is asked for. `close` may be called from any thread, also while another
        one waits for the next event; that one then finds the stream ended.
        """
        line = Line()
        return StreamedAnswer(line, self._events(line, messages, sampling))

    def first_token(self, messages: Sequence[Message], wanted: Callable[[], bool]) -> dict[str, float]:
        """The likeliest tokens that the answer could begin with, and the natural logarithm of how likely each is.

        Empty where the server does not tell, or where the answer is not wanted any more.
        """
        body: dict[str, Any] = {
            "model": self._connection.model(),
            "messages": [{"role": message.role, "content": message.content} for message in messages],
            **{"max_tokens": 1, "temperature": 0, "logprobs": True, "top_logprobs": TOP_TOKENS},
        }
        url = self.endpoint.url + "/chat/completions"
        try:
            reply = while_wanted(lambda line: self._connection.asked("POST", url, _Beginning, body, line=line), wanted)
        except GivenUp:
            return {}
        places = [place for choice in reply.choices[:1] if choice.logprobs for place in choice.logprobs.content or []]
        return {each.token: each.logprob for place in places[:1] for each in place.top_logprobs}

    def _events(self, line: Line, messages: Sequence[Message], sampling: Sampling) -> Generator[Event]:
        prompt_tokens = completion_tokens = finish_reason = None
        connection = self._connection
        with (
            connection.gate(),
            connection.http(line) as http,
            closing(self._chunks(http, messages, sampling)) as chunks,
        ):
            for chunk in chunks:
                if chunk.prompt_progress:
                    yield PromptProgress(chunk.prompt_progress.processed, chunk.prompt_progress.total)
                for choice in chunk.choices[:1]:
                    finish_reason = choice.finish_reason or finish_reason
                    if thought := choice.delta.reasoning_content or choice.delta.reasoning:
                        yield ReasoningDelta(thought)
                    if choice.delta.content:
                        yield TextDelta(choice.delta.content)
                if chunk.usage:
                    prompt_tokens, completion_tokens = chunk.usage.prompt_tokens, chunk.usage.completion_tokens
        if finish_reason is None:
            raise BadResponse(name=self.endpoint.name, reason=N_("the stream ended in the middle of the answer"))
        yield Usage(prompt_tokens, completion_tokens, finish_reason)

    def _chunks(self, http: httpx2.Client, messages: Sequence[Message], sampling: Sampling) -> Generator[_Chunk]:
        import openai
        from openai.types.chat import ChatCompletionChunk

        sent: Any = [{"role": message.role, "content": message.content} for message in messages]
        beyond: dict[str, Any] = {}
        if self.endpoint.engine == LLAMA_CPP:
            beyond = {"return_progress": True, "cache_prompt": True}
        stream = self._connection.client.with_options(http_client=http).chat.completions.create(
            model=self._connection.model(),
            messages=sent,
            max_tokens=sampling.max_tokens,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            stop=list(sampling.stop) or openai.omit,
            stream=True,
            stream_options={"include_usage": True},
            extra_body=beyond or None,
        )
        with stream:
            kind = stream.response.headers.get("content-type", "")
            if "event-stream" not in kind:
                got = kind or phrase(N_("something unnamed"))
                raise BadResponse(name=self.endpoint.name, reason=phrase(N_("{kind} instead of a stream"), kind=got))
            for chunk in stream:
                if not isinstance(chunk, ChatCompletionChunk):
                    raise BadResponse(name=self.endpoint.name, reason=N_("a piece of the stream is no JSON object"))
                yield _Chunk.model_validate(chunk.to_dict(mode="python", warnings=False))
