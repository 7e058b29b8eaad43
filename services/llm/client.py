"""A chat model behind an OpenAI-compatible server, with what llama.cpp and vLLM offer beyond that API."""

from __future__ import annotations

import ssl
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import httpx2
import openai
from openai.types.chat import ChatCompletionChunk
from pydantic import BaseModel, field_validator

from services.core.errors import BadResponse, InvalidValue
from services.core.i18n import N_
from services.core.phrases import phrase
from services.llm.addresses import normalise_url, root_url
from services.llm.answering import Line, StreamedAnswer
from services.llm.estimate import estimated_tokens
from services.llm.failures import FOREIGN, translated
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

LLAMA_CPP = "llama.cpp"
CONNECT_TIMEOUT_S = 10.0
# The client library adds headers that tell about this machine, and those that OPENAI_* variables name.
_SENT_HEADERS = frozenset(
    ("host", "accept", "accept-encoding", "authorization", "connection", "content-length", "content-type", "user-agent")
)
# For an unknown server llama.cpp's form comes first: vLLM rejects it, while llama.cpp would count vLLM's as empty.
_TOKENIZE_FORMS: dict[str, tuple[str, ...]] = {LLAMA_CPP: ("content",), "vllm": ("prompt",)}


class _Meta(BaseModel):
    n_ctx: int | None = None


class _Model(BaseModel):
    id: str
    max_model_len: int | None = None
    meta: _Meta | None = None


class _Models(BaseModel):
    data: list[_Model]

    @field_validator("data", mode="before")
    @classmethod
    def _none_is_empty(cls, data: object) -> object:
        return [] if data is None else data  # an Ollama without models


class _Slot(BaseModel):
    n_ctx: int | None = None


class _Props(BaseModel):
    default_generation_settings: _Slot


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


class _Progress(BaseModel):
    processed: int
    total: int


class _Chunk(BaseModel):
    choices: list[_Choice] = []
    usage: _Counts | None = None
    prompt_progress: _Progress | None = None


Reply = TypeVar("Reply", bound=BaseModel)


class OpenAIChatModel:
    """Implements `ChatModel` over HTTP. Thread-safe.

    Args:
        endpoint: where it answers; an empty model name means the first that the server lists.
        timeout_s: the longest silence, before the answer begins and between its pieces.

    Raises: InvalidValue where the address or the key can't be one.
    """

    def __init__(self, endpoint: Endpoint, *, timeout_s: float = 120) -> None:
        if not (endpoint.api_key.isascii() and endpoint.api_key.isprintable()):
            raise InvalidValue(field=N_("API key"), value="…", reason=N_("it has characters that a key cannot have"))
        self.endpoint = replace(endpoint, url=normalise_url(endpoint.url))
        self._timeout_s = timeout_s
        # Without TLS none of its certificates need be read; redirects from http to https are not followed.
        self._tls = ssl.create_default_context() if self.endpoint.url.startswith("https:") else False
        self._openai = openai.OpenAI(
            base_url=self.endpoint.url,
            # Anything but None, which would make the library look into the environment.
            api_key=endpoint.api_key or "none",
            max_retries=0,
            timeout=self._patience(),  # the library has one of its own where the client's looks like httpx's default
            http_client=self._http(),
        )
        self._tokenize_forms = _TOKENIZE_FORMS.get(endpoint.engine, ("content", "prompt"))

    def models(self) -> list[str]:
        """Ids that the server lists under /v1/models."""
        return [model.id for model in self._listed()]

    def context_length(self) -> int | None:
        """Tokens of one request's context (prompt and answer); None where the server does not tell."""
        if self.endpoint.engine == LLAMA_CPP:
            # What one slot has; the model list tells of the model, and of all slots together.
            props = self._asked("GET", root_url(self.endpoint.url) + "/props", _Props)
            if props.default_generation_settings.n_ctx:
                return props.default_generation_settings.n_ctx
        listed = self._listed()
        model = next((model for model in listed if model.id == self.endpoint.model), listed[0] if listed else None)
        if model is None:
            return None
        return model.max_model_len or (model.meta.n_ctx if model.meta else None)

    def count_tokens(self, text: str) -> int:
        """Tokens of a text: the server's own count where it has one, else an estimate that errs on the high side."""
        for form in self._tokenize_forms:
            body = {form: text, "model": self._model()} if form == "prompt" else {form: text}
            try:
                reply = self._asked("POST", root_url(self.endpoint.url) + "/tokenize", _Tokens, body)
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

    def _events(self, line: Line, messages: Sequence[Message], sampling: Sampling) -> Generator[Event]:
        prompt_tokens = completion_tokens = finish_reason = None
        with self._gate(), self._http(line) as http, closing(self._chunks(http, messages, sampling)) as chunks:
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
        sent: Any = [{"role": message.role, "content": message.content} for message in messages]
        beyond: dict[str, Any] = {}
        if self.endpoint.engine == LLAMA_CPP:
            beyond = {"return_progress": True, "cache_prompt": True}
        stream = self._openai.with_options(http_client=http).chat.completions.create(
            model=self._model(),
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

    def _model(self) -> str:
        if self.endpoint.model:
            return self.endpoint.model
        listed = self._listed()
        if not listed:
            raise BadResponse(name=self.endpoint.name, reason=N_("it lists no model"))
        return listed[0].id

    def _listed(self) -> list[_Model]:
        return self._asked("GET", self.endpoint.url + "/models", _Models).data

    def _asked(self, method: str, url: str, shape: type[Reply], body: dict[str, str] | None = None) -> Reply:
        with self._gate():
            response = (
                self._openai.get(url, cast_to=httpx2.Response)
                if method == "GET"
                else self._openai.post(url, cast_to=httpx2.Response, body=body)
            )
            return shape.model_validate_json(response.content)

    @contextmanager
    def _gate(self) -> Iterator[None]:
        try:
            yield
        except FOREIGN as error:
            raise translated(error, self.endpoint, self._timeout_s) from error

    def _patience(self) -> httpx2.Timeout:
        return httpx2.Timeout(self._timeout_s, connect=min(CONNECT_TIMEOUT_S, self._timeout_s))

    def _http(self, line: Line | None = None) -> httpx2.Client:
        """A client that goes to the endpoint itself: no proxy from the environment, no redirect.

        No idle connections either: one that the server has closed meanwhile looks like a server that is gone.
        """
        return httpx2.Client(
            verify=self._tls,
            trust_env=False,
            follow_redirects=False,
            timeout=self._patience(),
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=0),
            event_hooks={"request": [_only_what_is_needed, *([line.watch] if line else [])]},
        )


def _only_what_is_needed(request: httpx2.Request) -> None:
    for name in set(request.headers) - _SENT_HEADERS:
        del request.headers[name]
