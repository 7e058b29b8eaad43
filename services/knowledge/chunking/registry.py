"""The chunkers that exist, by the key of their spec."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from services.core.errors import InvalidValue
from services.core.i18n import N_
from services.core.phrases import phrase
from services.core.validation import reason_of
from services.knowledge.chunking.protocol import Chunker, ChunkerSpec
from services.store.bases import BaseRecord


def _recursive(spec: ChunkerSpec) -> Chunker:
    from services.knowledge.chunking.recursive import RecursiveChunker

    return RecursiveChunker(spec)


SPECS: dict[str, type[ChunkerSpec]] = {"recursive": ChunkerSpec}
CHUNKERS: dict[str, Callable[[ChunkerSpec], Chunker]] = {"recursive": _recursive}


def make_chunker(spec: ChunkerSpec) -> Chunker:
    """The chunker that a spec describes.

    Raises: InvalidValue.
    """
    if spec.key not in CHUNKERS:
        reason = phrase(N_("there are only {names}"), names=", ".join(sorted(CHUNKERS)))
        raise InvalidValue(field="chunker", value=spec.key, reason=reason)
    return CHUNKERS[spec.key](spec)


def chunker_spec(key: str | None = None, **given: Any) -> ChunkerSpec:
    """The spec of a strategy from the parameters that were given; those that are None are by default.

    Raises: InvalidValue.
    """
    kind = SPECS.get(key or ChunkerSpec.model_fields["key"].default, ChunkerSpec)
    named = {"key": key, **given}
    try:
        return kind(**{name: value for name, value in named.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidValue(field=str(first["loc"][0]), value=first["input"], reason=reason_of(error)) from error


def spec_of(base: BaseRecord) -> ChunkerSpec:
    """The spec of a base's chunker. Raises: InvalidValue."""
    return chunker_spec(base.chunker, size=base.chunk_size, overlap=base.chunk_overlap, **base.chunker_options)
