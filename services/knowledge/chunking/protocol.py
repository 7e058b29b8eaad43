"""What a chunker is: one per strategy; it only says where to cut, and what stands beside a cut."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

from services.core.errors import InvalidValue
from services.core.i18n import N_
from services.core.phrases import phrase
from services.knowledge.embedders.protocol import Vectors
from services.knowledge.types import Extracted

CountTokens = Callable[[Sequence[str]], Sequence[int]]
"""Tokens that each text takes in the embedder's window, prefix and special tokens included."""


class ChunkerSpec(BaseModel):
    """Which strategy, with which sizes (characters); a strategy with further parameters has a spec of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str = "recursive"
    size: int = Field(800, ge=50, le=20_000)
    overlap: int = Field(100, ge=0)

    @property
    def options(self) -> dict[str, Any]:
        """The parameters besides strategy and sizes."""
        return self.model_dump(exclude={"key", "size", "overlap"})

    def check(self) -> None:
        """Whether the parameters fit each other. Raises: InvalidValue."""
        if self.overlap >= self.size:
            reason = phrase(N_("it must be less than the size {size}"), size=self.size)
            raise InvalidValue(field="overlap", value=self.overlap, reason=reason)

    def check_window(self, window_tokens: int) -> None:
        """Whether the sizes fit what an embedder can read; characters may be any number. Raises: InvalidValue."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A stretch of the text that becomes a chunk, half open."""

    start: int
    end: int
    context: str = ""
    """What is embedded in front of it, for a reader would need it: the header row of a table, the headings above."""
    statement: str | None = None
    """What is embedded in its place."""
    shown: tuple[int, int] | None = None
    """The larger stretch that is shown where this one was found."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that stands by itself, and the sentences that it was made of: the first and last one, from 0."""

    text: str
    first: int
    last: int


class Rewriter(Protocol):
    """Rewrites passages into statements that stand by themselves; a passage comes as its sentences."""

    def __call__(self, passages: Sequence[Sequence[str]]) -> Iterator[Sequence[Statement]]:
        """The statements of each passage, in order; none where it could not be rewritten.

        Raises: AppError, Unwanted.
        """
        ...


def _always() -> bool:
    return True


@dataclass(frozen=True)
class Tools:
    """What a strategy may use beside the text."""

    window_tokens: int
    count_tokens: CountTokens
    encode: Callable[[Sequence[str]], Vectors]
    """Vectors of length 1, one for each text."""
    rewrite: Rewriter
    wanted: Callable[[], bool] = _always


class Chunker(Protocol):
    """Cuts a document. Cuts come in order; together they cover every character that is not white space."""

    @property
    def spec(self) -> ChunkerSpec:
        """What it was made of."""
        ...

    def cuts(self, document: Extracted) -> Iterator[Cut]:
        """Stretches of `document.text`, none longer than the spec's size, none over the end of a page."""
        ...
