"""What an Ollama server can do beyond OpenAI's API: its models, which of them are in memory, and its own chat."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from services.core.errors import AppError, BadResponse, ServerNotReady, Unauthorized, UpstreamTimeout
from services.llm.addresses import root_url
from services.llm.protocol import Endpoint, Event, Message, ReasoningDelta, Sampling, TextDelta, Usage

if TYPE_CHECKING:
    import httpx

KEY = "ollama"
"""The engine's key."""
SENT_HEADERS = frozenset(("host", "accept", "accept-encoding", "connection", "content-length", "content-type"))
FOREVER = -1
"""As `keep_alive`: stay in memory until it is unloaded."""


@dataclass(frozen=True, slots=True)
class OllamaModel:
    """A model that an Ollama server has on its disk. What it does not tell is None."""

    name: str
    digest: str | None
    size_bytes: int | None
    family: str | None
    parameters: str | None
    quantization: str | None


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model in memory: how much it takes, how much of that on GPUs, and until when it stays."""

    name: str
    size_bytes: int | None
    gpu_bytes: int | None
    context_tokens: int | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class OllamaDetails:
    """What a server tells about one model."""

    name: str
    family: str | None
    parameters: str | None
    quantization: str | None
    context_tokens: int | None
    """The longest that the model was made for."""
    capabilities: tuple[str, ...]
    template: str | None
    licence: str | None


class Ollama:
    """An Ollama server, through its official client. Thread-safe.

    Every method raises ServerNotReady, UpstreamTimeout, Unauthorized or BadResponse.

    Args:
        endpoint: where it answers; its address under /v1, as everywhere in Lectern.
        timeout_s: the longest silence; loading a large model is one.
    """

    def __init__(self, endpoint: Endpoint, *, timeout_s: float = 300) -> None:
        import ollama

        self.endpoint = endpoint
        self._timeout_s = timeout_s
        key = endpoint.api_key
        # As for every other server: no proxy from the environment, and nothing that tells about this machine.
        self._client = ollama.Client(
            host=root_url(endpoint.url),
            timeout=timeout_s,
            trust_env=False,
            follow_redirects=False,
            event_hooks={"request": [lambda request: _only_what_is_needed(request, key)]},
        )

    def version(self) -> str:
        """The server's version; the quickest question that it answers."""
        with self._gate():
            reply = self._client._client.get("/api/version").raise_for_status()
            return str(reply.json()["version"])

    def models(self) -> list[OllamaModel]:
        """The models on its disk."""
        with self._gate():
            found = self._client.list().models
        return [
            OllamaModel(
                model.model or "",
                model.digest,
                model.size,
                *(
                    (part.family, part.parameter_size, part.quantization_level)
                    if (part := model.details)
                    else [None] * 3
                ),
            )
            for model in found
        ]

    def loaded(self) -> list[LoadedModel]:
        """The models in memory."""
        with self._gate():
            found = self._client.ps().models
        return [
            LoadedModel(each.model or "", each.size, each.size_vram, each.context_length, each.expires_at)
            for each in found
        ]

    def show(self, model: str) -> OllamaDetails:
        """What it tells about a model."""
        with self._gate():
            told = self._client.show(model)
        part, facts = told.details, told.modelinfo or {}
        context = next((value for key, value in facts.items() if key.endswith(".context_length")), None)
        return OllamaDetails(
            name=model,
            family=part.family if part else None,
            parameters=part.parameter_size if part else None,
            quantization=part.quantization_level if part else None,
            context_tokens=int(context) if context else None,
            capabilities=tuple(told.capabilities or ()),
            template=told.template,
            licence=told.license,
        )

    def load(self, model: str, keep_alive: float | str = "5m") -> None:
        """Bring a model into memory.

        Args:
            keep_alive: how long it stays there without a question: seconds, or a text such as 30m; `FOREVER`.
        """
        with self._gate():
            self._client.generate(model, keep_alive=keep_alive)

    def unload(self, model: str) -> None:
        """Take a model out of memory."""
        with self._gate():
            self._client.generate(model, keep_alive=0)

    def delete(self, model: str) -> None:
        """Delete a model from the server's disk."""
        with self._gate():
            self._client.delete(model)

    def chat(self, messages: Sequence[Message], sampling: Sampling) -> Generator[Event]:
        """The answer to a conversation, by /api/chat; the last event is a Usage. Closing it ends the request."""
        sent = [{"role": message.role, "content": message.content} for message in messages]
        with self._gate():
            for part in self._client.chat(self._model(), sent, stream=True, options=_options(sampling)):
                if part.message.thinking:
                    yield ReasoningDelta(part.message.thinking)
                if part.message.content:
                    yield TextDelta(part.message.content)
                if part.done:
                    yield Usage(part.prompt_eval_count, part.eval_count, part.done_reason)

    def generate(self, prompt: str, sampling: Sampling) -> Generator[Event]:
        """How the model goes on with a text, by /api/generate; the last event is a Usage."""
        with self._gate():
            for part in self._client.generate(self._model(), prompt, stream=True, options=_options(sampling)):
                if part.response:
                    yield TextDelta(part.response)
                if part.done:
                    yield Usage(part.prompt_eval_count, part.eval_count, part.done_reason)

    def close(self) -> None:
        """Let go of its connections."""
        self._client.close()  # type: ignore[no-untyped-call]

    def _model(self) -> str:
        if self.endpoint.model:
            return self.endpoint.model
        listed = self.models()
        if not listed:
            raise BadResponse(name=self.endpoint.name, reason="it lists no model")
        return listed[0].name

    @contextmanager
    def _gate(self) -> Iterator[None]:
        import httpx
        import ollama

        try:
            yield
        except (ollama.ResponseError, ConnectionError, httpx.HTTPError, ValueError, KeyError) as error:
            raise self._translated(error) from error

    def _translated(self, error: Exception) -> AppError:
        import httpx
        import ollama

        if isinstance(error, ollama.ResponseError) and error.status_code in (401, 403):
            return Unauthorized(name=self.endpoint.name)
        if isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout):
            return UpstreamTimeout(name=self.endpoint.name, seconds=round(self._timeout_s, 1))
        if isinstance(error, ConnectionError | httpx.TransportError):
            return ServerNotReady(name=self.endpoint.name, url=self.endpoint.url)
        told = error.error if isinstance(error, ollama.ResponseError) else str(error)
        return BadResponse(name=self.endpoint.name, reason=" ".join(told.split())[:200])


def _options(sampling: Sampling) -> dict[str, Any]:
    options = {"num_predict": sampling.max_tokens, "temperature": sampling.temperature, "top_p": sampling.top_p}
    return {**options, **({"stop": list(sampling.stop)} if sampling.stop else {})}


def _only_what_is_needed(request: httpx.Request, key: str) -> None:
    for name in set(request.headers) - SENT_HEADERS:
        del request.headers[name]
    if key:
        request.headers["authorization"] = f"Bearer {key}"
