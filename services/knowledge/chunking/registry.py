"""The chunkers that exist, by the key of their spec."""

from __future__ import annotations

from collections.abc import Callable

from services.core.errors import InvalidValue
from services.core.i18n import N_
from services.core.phrases import phrase
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
        reason = phrase(N_("there are only {names}"), names=", ".join(sorted(CHUNKERS)))
        raise InvalidValue(field="chunker", value=spec.key, reason=reason)
    return CHUNKERS[spec.key](spec)
