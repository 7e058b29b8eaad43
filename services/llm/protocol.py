"""What a chat model's server is to Lectern: messages in, a stream of events out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the conversation that is sent."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server answers. `name` is what people call it; `url` ends in /v1."""

    name: str
    url: str
    model: str = ""
    api_key: str = field(default="", repr=False)
    engine: str = "remote"


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the answer is drawn."""

    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """The next piece of what a thinking model says to itself before it answers."""

    text: str


@dataclass(frozen=True, slots=True)
class PromptProgress:
    """How much of the prompt the server has read, tokens."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts and why the answer ended; a count that the server does not tell is None."""

    prompt_tokens: int | None
    completion_tokens: int | None
    finish_reason: str | None


Event = TextDelta | ReasoningDelta | PromptProgress | Usage


class EventStream(Iterator[Event], Protocol):
    """The events of one answer, as they come."""

    def close(self) -> None:
        """End the request at the server. Any thread may call it, also while another one waits for the next event."""
        ...


class ChatModel(Protocol):
    """A model behind a server. Thread-safe.

    Every method raises ServerNotReady, UpstreamTimeout, Unauthorized, BadResponse or ContextLengthExceeded, never the
    client library's own errors.
    """

    endpoint: Endpoint

    def models(self) -> list[str]:
        """Ids that the server lists under /v1/models."""
        ...

    def context_length(self) -> int | None:
        """Tokens of one request's context (prompt and answer); None where the server does not tell."""
        ...

    def count_tokens(self, text: str) -> int:
        """Tokens of a text: the server's own count where it has one, else an estimate that errs on the high side."""
        ...

    def stream(self, messages: Sequence[Message], sampling: Sampling) -> EventStream:
        """The answer as it comes. The last event is a Usage, unless the stream was closed before."""
        ...

    def first_token(self, messages: Sequence[Message], wanted: Callable[[], bool]) -> dict[str, float]:
        """The likeliest tokens that the answer could begin with, and the natural logarithm of how likely each is.

        Empty where the server does not tell, or where the answer is not wanted any more.
        """
        ...
