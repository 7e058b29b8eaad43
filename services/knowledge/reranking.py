"""Putting the best of what was found in the order of a reranker, a model that reads question and passage together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from services.core.errors import AppError
from services.knowledge.embedders.served import acceptable
from services.knowledge.types import Notice, StoredChunk

RERANKED = 20
"""As many as are read for one question: it takes time for each, on a processor a tenth of a second and more."""
MOST_CHARACTERS = 2000
"""Of a passage that are read: more than most rerankers can, and a bound to the time for large chunks."""
NOT_RERANKED = "not_reranked"
"""The notice that the order is not the reranker's."""
Item = TypeVar("Item")


class Reranker(Protocol):
    """A model that says how well texts answer a question. `app` hands one to this room."""

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """A finite number for each text, larger is better, on a scale of its own.

        Raises: an `AppError` where it cannot be asked.
        """
        ...


ChosenReranker = Callable[[], Reranker | None]
"""The reranker of this installation; None where none is chosen."""


def no_reranker() -> None:
    """Stands for the choice where there is none."""
    return None


def reranked(
    reranker: Reranker, question: str, found: Sequence[Item], chunk_of: Callable[[Item], StoredChunk]
) -> list[tuple[Item, float]]:
    """What was found by falling score, with the scores; equals stay in their order. Raises: as `Reranker.scores`."""
    texts = [_read(chunk_of(each)) for each in found]
    scores = reranker.scores(acceptable(question), texts) if texts else []
    return sorted(zip(found, scores, strict=True), key=lambda pair: -pair[1])


def not_reranked(error: AppError) -> Notice:
    """That the order is not the reranker's, and why."""
    return Notice(NOT_RERANKED, {"error": [error.code, error.params]})


def _read(chunk: StoredChunk) -> str:
    """What is read of a chunk: itself, below what a reader needs to know before it."""
    whole = f"{chunk.context}\n{chunk.text}" if chunk.context else chunk.text
    return acceptable(whole[:MOST_CHARACTERS])
