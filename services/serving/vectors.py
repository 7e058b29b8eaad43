"""Servers that make vectors, as knowledge bases ask for them: by name, started where they rest."""

from __future__ import annotations

import threading
from collections.abc import Callable

from services.core.errors import AppError, ServerNotFound, from_row
from services.core.i18n import N_
from services.core.phrases import phrase
from services.core.vector_errors import EmbedderAway, EmbedderGone
from services.llm.embeddings import OpenAIEmbeddings
from services.llm.protocol import Endpoint
from services.serving.engines.registry import EMBEDDERS
from services.serving.purposes import only_reranks
from services.serving.service import ServerService
from services.serving.states import COMING, DEMAND, FAILED, READY, STOPPED, STOPPING, WAITING
from services.store.servers import ServerRecord

QUICK_S, QUICK_RETRIES = 10.0, 0
"""For somebody who waits for the answer to a question."""
KEPT = 32
"""Connections that are kept, beyond what one installation has."""


class EmbeddingServers:
    """Reaches servers of this installation for their vectors. Thread-safe."""

    def __init__(self, servers: ServerService) -> None:
        self._servers = servers
        self._kept: dict[tuple[Endpoint, bool], OpenAIEmbeddings] = {}
        self._lock = threading.Lock()

    def offered(self) -> list[ServerRecord]:
        """The servers that may make vectors: those that surely do come first."""
        able = [row for row in self._servers.list() if not only_reranks(row)]
        return sorted(able, key=lambda row: row.engine not in EMBEDDERS)

    def reached(self, name: str, *, quick: bool = False, wake: bool = True) -> OpenAIEmbeddings:
        """A server to be asked now.

        Args:
            quick: somebody waits for the answer.
            wake: whether one that Lectern runs is wished running where somebody has stopped it; one that was unloaded
                because nobody asked it is in any case.

        Raises: EmbedderGone; EmbedderAway where it is not ready, with the reason.
        """
        try:
            record = self._woken(name) if wake else self._servers.to_ask(name)
        except ServerNotFound as error:
            raise EmbedderGone(name=name) from error
        if record.managed and record.state != READY:
            raise EmbedderAway(name=record.name, reason=why_away(record))
        endpoint = self._servers.endpoint(record)
        with self._lock:
            if (endpoint, quick) not in self._kept:
                while len(self._kept) >= KEPT:
                    self._kept.pop(next(iter(self._kept)))
                made = (
                    OpenAIEmbeddings(endpoint, timeout_s=QUICK_S, retries=QUICK_RETRIES)
                    if quick
                    else OpenAIEmbeddings(endpoint)
                )
                self._kept[endpoint, quick] = made
            return self._kept[endpoint, quick]

    def ready(self, name: str) -> bool:
        """Whether a server is known to answer; one that Lectern runs is wished running if it rests.

        Raises: ServerNotFound.
        """
        return self._woken(name).state == READY

    def hindrance(self, name: str) -> AppError | None:
        """Why a server cannot be asked, as far as that is known without asking; it is not started for this look."""
        try:
            record = self._servers.show(name)
        except ServerNotFound:
            return EmbedderGone(name=name)
        if record.state == READY or _asleep(record):
            return None
        return EmbedderAway(name=record.name, reason=why_away(record))

    def asleep(self, name: str) -> bool:
        """Whether a server was unloaded because nobody asked it: it starts as soon as somebody does.

        Raises: ServerNotFound.
        """
        return _asleep(self._servers.show(name))

    def when_ready(self, name: str, given_up: Callable[[], bool]) -> bool:
        """Wait for a server that Lectern runs; False when the asker has given up.

        Raises: ServerNotFound, and what its start failed with.
        """
        record = self._woken(name)
        return not record.managed or self._servers.when_ready(record.id, given_up) is not None

    def _woken(self, name: str) -> ServerRecord:
        """The server, which is noted to be used; a failed one is left to who looks after it."""
        record = self._servers.to_ask(name)
        resting = record.managed and record.wish not in COMING and record.state != FAILED
        return self._servers.start(record.id) if resting else record


def _asleep(record: ServerRecord) -> bool:
    return record.wish == DEMAND and record.state == STOPPED


def why_away(record: ServerRecord) -> object:
    """Why a server is not ready, as part of a sentence."""
    if not record.managed:
        return N_("it does not answer")
    if record.state == FAILED and record.error_code:
        error = from_row(record.error_code, record.error_params)
        return phrase(N_("its last start has failed ({reason})"), reason=phrase(error.message, **error.params))
    if record.wish in COMING or record.wish == DEMAND:
        return N_("it waits for another server on its GPU") if record.state == WAITING else N_("it is being started")
    return N_("it is being stopped") if record.state == STOPPING else N_("it is stopped")
