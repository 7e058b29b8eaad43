"""What an embedder is: text to unit vectors, queries and passages apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

Vectors = npt.NDArray[np.float32]


class EmbedderSpec(BaseModel):
    """What decides the vectors of an embedder."""

    model_config = ConfigDict(frozen=True)

    key: str
    model: str
    revision: str
    dimensions: int
    window_tokens: int
    query_prefix: str
    passage_prefix: str
    pooling: str


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

        At least as many as encoding takes, and at most a few more.
        """
        ...
