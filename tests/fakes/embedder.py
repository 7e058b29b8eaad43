"""Small embedders: one that works without a model, and ones whose process dies of certain texts."""

from __future__ import annotations

import os
import re
import signal
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from services.knowledge.embedders.protocol import EmbedderSpec, Vectors

DIMENSIONS = 64
NGRAMS = (1, 2, 3)
TOKEN = re.compile(r"[一-鿿]|[a-zA-Z0-9_]+|\S")
SPECIAL_TOKENS = 2


class HashEmbedder:
    """Unit vectors from hashed character n-grams: texts that share words are near each other. Thread-safe."""

    spec = EmbedderSpec(
        key="hash",
        model="hashed-ngrams",
        revision="1",
        dimensions=DIMENSIONS,
        window_tokens=128,
        query_prefix="",
        passage_prefix="",
        pooling="sum",
    )

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Vectors of questions."""
        return self.encode_passages(texts)

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        """Vectors of passages."""
        rows = [hashed(text) for text in texts]
        return np.stack(rows) if rows else np.empty((0, DIMENSIONS), np.float32)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Words, Chinese characters and signs, with two special tokens."""
        return [len(TOKEN.findall(text)) + SPECIAL_TOKENS for text in texts]


def hashed(text: str) -> Vectors:
    """The vector of one text."""
    raw = f" {text.lower()} ".encode("utf-8", "surrogatepass")
    vector = np.zeros(DIMENSIONS, np.float32)
    for size in NGRAMS:
        for start in range(max(1, len(raw) - size + 1)):
            number = zlib.crc32(raw[start : start + size])
            vector[number % DIMENSIONS] += 1.0 if number >> 31 else -1.0
    vector[0] += 0.5
    unit: Vectors = vector / np.float32(np.linalg.norm(vector))
    return unit


class OtherHashEmbedder(HashEmbedder):
    """Says that it is the same, but makes other vectors."""

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        """Vectors of passages."""
        return np.ascontiguousarray(super().encode_passages(texts)[:, ::-1])


class FragileEmbedder(HashEmbedder):
    """Its process dies of "die", and of "die once <path>" unless the file is there, which it then makes."""

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        """Vectors of passages."""
        for text in texts:
            self._suffer(text)
        return super().encode_passages(texts)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of passages."""
        for text in texts:
            self._suffer(text)
        return super().count_tokens(texts)

    def _suffer(self, text: str) -> None:
        if text.startswith("die once "):
            marker = Path(text.removeprefix("die once "))
            if marker.exists():
                return
            marker.touch()
        elif text != "die":
            return
        os.kill(os.getpid(), signal.SIGKILL)


class TellingEmbedder(HashEmbedder):
    """Tells about its process: `count_tokens` gives the process id for "pid" and its niceness for "nice"."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """See the class."""
        return [{"pid": os.getpid(), "nice": os.nice(0)}[text] for text in texts]


class BrokenEmbedder(HashEmbedder):
    """Raises what no embedder should."""

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        """Raises: KeyError."""
        raise KeyError(texts[0])
