"""How near texts are to each other in an embedder's space."""

from __future__ import annotations

from collections.abc import Sequence

from services.knowledge.embedders.protocol import Embedder

MOST = 24
"""Texts that are compared at once: what a CPU encodes within about a second."""


def likeness(embedder: Embedder, text: str, others: Sequence[str]) -> list[float]:
    """The cosine of a text and each of the others, of the first `MOST` of them."""
    if not others:
        return []
    # As questions on both sides: the likeness is mutual, and a question is encoded in this process at once.
    vectors = embedder.encode_queries([text, *others[:MOST]])
    return [float(value) for value in vectors[1:] @ vectors[0]]
