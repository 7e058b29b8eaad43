"""What an embedder is: text to unit vectors, queries and passages apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

Vectors = npt.NDArray[np.float32]
SERVER = "server:"
"""What the key of an embedder begins with that is a server; its name follows."""


class EmbedderSpec(BaseModel):
    """What decides the vectors of an embedder, where it is found, and what its cosines are worth."""

    model_config = ConfigDict(frozen=True)

    key: str
    """Where it is found: the key of a built-in one, or `server:` with the name of a server."""
    model: str
    revision: str
    """Empty where nobody tells it."""
    dimensions: int = Field(ge=1)
    window_tokens: int = Field(ge=1)
    query_prefix: str
    passage_prefix: str
    pooling: str
    asked_as: str = ""
    """The name that a server is asked by, where the one that it answers with is another."""
    cosine_offset: float = 0.7
    """The cosine of texts that have nothing in common."""
    cosine_range: float = Field(0.2, gt=0)
    """How much above that a very good match is."""

    @property
    def server(self) -> str | None:
        """The name of the server that makes the vectors; None: they are made here."""
        return self.key.removeprefix(SERVER) if self.key.startswith(SERVER) else None


class EncoderClosed(BaseException):
    """An embedder was closed while work was under way. No `Exception`, for a shutdown is no failure of that work."""


class Embedder(Protocol):
    """Encodes texts. Thread-safe. The prefixes of the spec are added by the embedder."""

    spec: EmbedderSpec

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Shape: (len(texts), dimensions), each row of length 1."""
        ...

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        """Shape: (len(texts), dimensions), each row of length 1."""
        ...

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens that each text takes in the window as a passage, prefix and special tokens included, before any cut.

        At least as many as encoding takes, and at most a few more; a server that counts none gets an estimate on the
        high side.
        """
        ...
