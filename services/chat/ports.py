"""What the chat room needs of its neighbours, as protocols: `app` hands it the parts that fulfil them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from services.chat.prompts import PromptPassage
from services.core.errors import AppError
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
    rerank_score: float | None = None
    """What the reranker gives it; None: it was not reranked."""
    base_id: str = ""
    base_name: str = ""
    found_start: int | None = None
    """Where the chunk begins that was found, within a passage that shows more around it; None: the passage itself."""
    found_end: int | None = None
    dense_rank: int | None = None
    """Its rank by vectors; None: they did not bring it."""
    lexical_rank: int | None = None
    """The same by words."""
    cosine: float | None = None
    """How near its vector is to the question's; None where that is not known."""
    share: float | None = None
    """What its words bring, of the most that the question's can; None where that is not known."""

    @property
    def found(self) -> tuple[int, int]:
        """The span that is marked where the passage is shown in its document."""
        if self.found_start is None or self.found_end is None:
            return self.start, self.end
        return self.found_start, self.found_end

    def row(self) -> dict[str, Any]:
        """As stored with the turn."""
        return asdict(self)

    def hit_row(self) -> dict[str, Any]:
        """Which chunk it is and how it was found, without its text."""
        return {name: value for name, value in self.row().items() if name not in ("text", "context")}


@dataclass(frozen=True, slots=True)
class Filters:
    """Which documents are searched; what is empty or None leaves none out."""

    documents: tuple[str, ...] = ()
    """Names of documents."""
    types: tuple[str, ...] = ()
    """Media types."""
    since_ms: int | None = None
    """Added then or later."""
    until_ms: int | None = None
    """Added before."""

    @property
    def any(self) -> bool:
        """Whether a document can be left out."""
        return self != Filters()


@dataclass(frozen=True, slots=True)
class SearchedBase:
    """A base that was searched, and how many of its documents could not be yet."""

    id: str
    name: str
    documents: int | None = None
    pending: int | None = None
    words_only: Mapping[str, Any] | None = None
    """Why it was searched by words only: code and params of an error; None: it was not."""
    left_out: bool = False
    """Whether it was not searched, for it has none of the documents that were named."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search brought: passages, best first, and the time of each step."""

    bases: Sequence[SearchedBase]
    passages: Sequence[Passage]
    timings_ms: dict[str, float]
    not_reranked: AppError | None = None
    """Why the order is not that of the reranker, where one is chosen."""
    outside: Sequence[Passage] = ()
    """The nearest passages that the filters leave out, where they leave none."""


class PassageSearch(Protocol):
    """Finds passages in knowledge bases."""

    def __call__(self, base_ids: Sequence[str], question: str, top_k: int, filters: Filters) -> Found: ...


@dataclass(frozen=True, slots=True)
class Target:
    """A server to ask: its endpoint, and the most passage tokens it should be given to read.

    `when_ready` waits for a server that is still starting: it takes whether the asker has given up, and returns the
    endpoint, or None then. `slots` is how many it answers at once, None where nobody knows. `doubts` says when
    its model doubts that passages answer a question; without any it is not asked that.
    """

    server_id: str
    endpoint: Endpoint
    passage_cap: int
    when_ready: Callable[[Callable[[], bool]], Endpoint | None] | None = None
    slots: int | None = None
    doubts: Mapping[str, float] = field(default_factory=dict)


class Servers(Protocol):
    """Finds the server to ask."""

    def __call__(self, reference: str | None) -> Target:
        """The server with this id or name; None: the one that is ready. Raises: ServerNotFound, NoServer."""
        ...


class OtherServers(Protocol):
    """Finds a server to ask in place of those that did not answer."""

    def __call__(self, tried: Collection[str]) -> Target | None:
        """One that is ready and whose id is not among those; None where there is none."""
        ...


class OpenModel(Protocol):
    """Opens a model behind an endpoint."""

    def __call__(self, endpoint: Endpoint) -> ChatModel: ...
