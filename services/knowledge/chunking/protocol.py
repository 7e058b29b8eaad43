"""What a chunker is: one per strategy; it only says where to cut."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

from services.knowledge.types import Extracted


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


class Chunker(Protocol):
    """Cuts a document. Spans come in order; together they cover every character that is not white space."""

    spec: ChunkerSpec

    def spans(self, document: Extracted) -> Iterator[tuple[int, int]]:
        """Half-open (start, end) offsets into `document.text`, none longer than `spec.size`."""
        ...
