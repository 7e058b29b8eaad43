"""From wishes to jobs: what is not settled and not under way is enqueued; bases that are changed are built beside."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from services.core.errors import AppError
from services.knowledge.builds import Builds
from services.knowledge.stores import Stores
from services.knowledge.types import RevisionKey
from services.store.bases import BaseRecord, BaseRows

logger = logging.getLogger(__name__)

FIRST_STEP = "read"


@dataclass(frozen=True, slots=True)
class Wish:
    """One revision that one build of a base does not have yet."""

    base_id: str
    build: int
    beside: bool
    """Whether it is for a build that does not answer yet."""
    key: RevisionKey
    begin: str = field(default=FIRST_STEP, compare=False)
    """The step that comes first; those before it were done in an earlier attempt."""


class Queue(Protocol):
    """Takes wishes; one that it knows already is not done twice."""

    def enqueue(self, wish: Wish) -> None: ...


class Reconciler:
    """Looks for wishes in this machine's bases."""

    def __init__(self, bases: BaseRows, stores: Stores, builds: Builds, queue: Queue, machine_id: str) -> None:
        self._bases = bases
        self._stores = stores
        self._builds = builds
        self._queue = queue
        self._machine_id = machine_id
        self._enqueued: dict[Wish, None] = {}

    def tick(self) -> None:
        """Enqueue what is new since the last look."""
        wished: dict[Wish, None] = {}
        for base in self._bases.all():
            if base.machine_id == self._machine_id:
                try:
                    wished |= dict.fromkeys(self._of(base))
                except AppError as error:
                    logger.warning("the base %s cannot be read: %s", base.name, error)
        for wish in wished:
            if wish not in self._enqueued:
                self._queue.enqueue(wish)
        self._enqueued = wished

    def _of(self, base: BaseRecord) -> Iterator[Wish]:
        answering = self._stores.answering(base.id)
        for key in self._stores.of(base).pending():
            yield Wish(base.id, answering, False, key)
        self._builds.tick(base)
        target = base.changed()
        if target is not None and self._stores.answering(base.id) != target.build:
            for key in self._stores.of(target).pending():
                yield Wish(base.id, target.build, True, key)
