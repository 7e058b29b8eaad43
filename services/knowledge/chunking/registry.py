"""The chunkers that exist, by the key of their spec."""

from __future__ import annotations

from collections.abc import Callable

from services.core.errors import InvalidValue
from services.knowledge.chunking.protocol import Chunker, ChunkerSpec


def _recursive(spec: ChunkerSpec) -> Chunker:
    from services.knowledge.chunking.recursive import RecursiveChunker

    return RecursiveChunker(spec)


CHUNKERS: dict[str, Callable[[ChunkerSpec], Chunker]] = {"recursive": _recursive}


def make_chunker(spec: ChunkerSpec) -> Chunker:
    """The chunker that a spec describes.

    Raises: InvalidValue.
    """
    if spec.key not in CHUNKERS:
        raise InvalidValue(field="chunker", value=spec.key, reason=f"there are only {', '.join(sorted(CHUNKERS))}")
    return CHUNKERS[spec.key](spec)
