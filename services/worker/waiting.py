"""Documents that wait for an embedder go on when it can be asked again, and fail when it never will."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

from services.core.clock import now_ms
from services.core.errors import AppError
from services.core.vector_errors import EmbedderAway
from services.knowledge.builds import Builds
from services.knowledge.ingest import Ingest
from services.knowledge.stores import Stores
from services.knowledge.types import Notice, WaitingRevision
from services.store.bases import BaseRecord, BaseRows
from services.worker.reconcile import Queue, Wish

logger = logging.getLogger(__name__)

PAUSE_MS, LONGEST_PAUSE_MS = 2_000, 60_000
"""Doubled with each attempt, so that a server that answers a look and fails at the work is not asked all the time."""
LEAVE_S = 12.0

Place = tuple[str, int, bool]
"""A base, the number of one of its builds, and whether that grows beside the one that answers."""


class WaitingKeeper:
    """Looks at the embedders that documents wait for, in a thread of its own: a server may take seconds to answer.

    What a look has found is made true by `tick`, in the thread that also looks for wishes: no document is queued twice.
    """

    def __init__(
        self, bases: BaseRows, stores: Stores, builds: Builds, ingest: Ingest, queue: Queue, machine_id: str
    ) -> None:
        self._bases = bases
        self._stores = stores
        self._builds = builds
        self._ingest = ingest
        self._queue = queue
        self._machine_id = machine_id
        self._thread: threading.Thread | None = None
        self._found: list[tuple[Place, AppError | None]] = []

    def tick(self) -> None:
        """Make true what the last look has found, and begin the next one."""
        if self._thread is not None and self._thread.is_alive():
            return
        found, self._found = self._found, []
        for place, error in found:
            self._settle(place, error)
        due = list(self._due())
        if due:
            self._thread = threading.Thread(target=self._look, args=(due,), name="embedders", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Let a look come to its end; the next worker goes on."""
        if self._thread is not None:
            self._thread.join(LEAVE_S)

    def _due(self) -> Iterator[Place]:
        for base in self._bases.all():
            if base.machine_id != self._machine_id:
                continue
            answering = self._stores.answering(base.id)
            if _any_due(self._waiting(base)):
                yield base.id, answering, False
            target = base.changed()
            if target is not None and target.build != answering and _any_due(self._waiting(target)):
                yield base.id, target.build, True

    def _waiting(self, base: BaseRecord) -> list[WaitingRevision]:
        try:
            return self._stores.of(base).waiting()
        except AppError as error:
            logger.warning("the base %s cannot be read: %s", base.name, error)
            return []

    def _look(self, due: list[Place]) -> None:
        for place in due:
            base_id, build, _ = place
            base = self._builds.wanted(base_id, build)
            if base is not None:
                self._found.append((place, self._ingest.trouble(base)))

    def _settle(self, place: Place, error: AppError | None) -> None:
        base_id, build, _beside = place
        base = self._builds.wanted(base_id, build)
        if base is None:
            return
        for waiting in self._waiting(base):
            if error is None:
                self._go_on(base, place, waiting)
            elif isinstance(error, EmbedderAway):
                reason = Notice(error.code, error.params)
                if reason != waiting.reason:
                    self._stores.of(base).wait(waiting.key, reason)
            else:
                logger.warning("%s/%s waits no longer: %s", base.name, waiting.key.document_id, error)
                self._ingest.fail(base, waiting.key, error)

    def _go_on(self, base: BaseRecord, place: Place, waiting: WaitingRevision) -> None:
        if not _is_due(waiting):
            return
        base_id, build, beside = place
        key = self._stores.of(base).go_on(waiting.key)
        if key is not None:
            self._queue.enqueue(Wish(base_id, build, beside, key, begin="embed" if waiting.staged else "split"))


def _any_due(waiting: list[WaitingRevision]) -> bool:
    return any(map(_is_due, waiting))


def _is_due(waiting: WaitingRevision) -> bool:
    doublings = min(waiting.key.attempt - 1, 10)
    pause_ms = min(PAUSE_MS << doublings, LONGEST_PAUSE_MS)
    return now_ms() - waiting.since_ms >= pause_ms
