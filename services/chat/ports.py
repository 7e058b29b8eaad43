"""What the chat room needs of its neighbours, as protocols: `app` hands it the parts that fulfil them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from services.chat.prompts import PromptPassage
from services.llm.protocol import ChatModel, Endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage(PromptPassage):
    """A chunk as it is shown to the model, with where it comes from; `number` is its mark, from 1."""

    number: int
    chunk_id: int
    document_id: str
    revision: int
    heading: str
    score: float

    def row(self) -> dict[str, Any]:
        """As stored with the turn."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Found:
    """What a search brought: passages by falling score, and the time of each step."""

    base_name: str
    passages: Sequence[Passage]
    timings_ms: dict[str, float]
    documents_pending: int


class PassageSearch(Protocol):
    """Finds passages in a knowledge base."""

    def __call__(self, base_id: str, question: str, top_k: int) -> Found: ...


@dataclass(frozen=True, slots=True)
class Target:
    """A server to ask: its endpoint, and the most passage tokens it should be given to read.

    `when_ready` waits for a server that is still starting: it takes whether the asker has given up, and returns the
    endpoint, or None then.
    """

    server_id: str
    endpoint: Endpoint
    passage_cap: int
    when_ready: Callable[[Callable[[], bool]], Endpoint | None] | None = None


class Servers(Protocol):
    """Finds the server to ask."""

    def __call__(self, reference: str | None) -> Target:
        """The server with this id or name; None: the one that is ready. Raises: ServerNotFound, NoServer."""
        ...


class OpenModel(Protocol):
    """Opens a model behind an endpoint."""

    def __call__(self, endpoint: Endpoint) -> ChatModel: ...
