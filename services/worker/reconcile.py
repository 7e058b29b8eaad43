"""From wishes to jobs: what is not settled and not under way is enqueued."""

from __future__ import annotations

import logging
from typing import Protocol

from services.core.errors import AppError
from services.knowledge.stores import Stores
from services.knowledge.types import RevisionKey
from services.store.bases import BaseRows

logger = logging.getLogger(__name__)


class Queue(Protocol):
    """Takes wishes; one that it knows already is not done twice."""

    def enqueue(self, base_id: str, key: RevisionKey) -> None: ...


class Reconciler:
    """Looks for wishes in this machine's bases."""

    def __init__(self, bases: BaseRows, stores: Stores, queue: Queue, machine_id: str) -> None:
        self._bases = bases
        self._stores = stores
        self._queue = queue
        self._machine_id = machine_id
        self._enqueued: set[tuple[str, RevisionKey]] = set()

    def tick(self) -> None:
        """Enqueue what is new since the last look."""
        wished: set[tuple[str, RevisionKey]] = set()
        for base in self._bases.all():
            if base.machine_id == self._machine_id:
                try:
                    wished |= {(base.id, key) for key in self._stores.of(base).pending()}
                except AppError as error:
                    logger.warning("the base %s cannot be read: %s", base.name, error)
        for base_id, key in sorted(wished - self._enqueued, key=lambda wish: wish[0]):
            self._queue.enqueue(base_id, key)
        self._enqueued = wished
