"""A base built anew beside the one that answers, and the switch when nothing would be lost by it.

The old build stays the truth about which documents there are until the switch: the new one follows its documents, so
additions and removals reach both. The switch is one renamed file, done while no document can be changed; a process that
dies anywhere leaves the old build answering, or the new one, and the next tick goes on. Giving up drops the new build.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.core.errors import BeingChanged
from services.knowledge.stores import Stores
from services.knowledge.types import DocumentState
from services.store.bases import DELETING, BaseBuild, BaseRecord, BaseRows

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ChangeProgress:
    """How far the build beside is."""

    target: BaseBuild
    """The base as it will be."""
    documents: int
    ready: int
    failed: int
    """Documents that answer now and could not be built anew: they hold the switch up until tried again or removed."""
    begun_at_ms: int


class Builds:
    """Begins, follows, completes and gives up changes of bases. Thread-safe."""

    def __init__(self, rows: BaseRows, stores: Stores) -> None:
        self._rows = rows
        self._stores = stores

    def begin(self, base: BaseRecord, columns: Mapping[str, Any]) -> BaseRecord:
        """Wish for a base whose row has these columns. Raises: BeingChanged."""
        begun = self._rows.begin_change(base, columns)
        if begun is None:
            raise BeingChanged(name=base.name)
        return begun

    def give_up(self, base: BaseRecord) -> bool:
        """Drop the build beside; the old one goes on answering. False: there was none, or it answers by now."""
        with self._stores.changing(base):
            fresh = self._rows.get(base.id)
            target = fresh.changed() if fresh else None
            if target is None or target.build == self._stores.answering(base.id):
                return False
            return self._rows.end_change(base.id, target.build) is not None

    def retry(self, base: BaseRecord) -> int:
        """Queue what has failed in the build beside again; how many."""
        target = base.changed()
        if target is None:
            return 0
        store = self._stores.of(target)
        failed = [row for row in store.documents() if row.state is DocumentState.FAILED]
        return sum(store.retry(row.document_id) for row in failed)

    def progress(self, base: BaseRecord) -> ChangeProgress | None:
        """How far the change of a base is; None where there is none."""
        target = base.changed()
        if target is None:
            return None
        answering = {entry.document_id for entry in self._stores.of(base).catalogue() if entry.answering is not None}
        there = {row.document_id: row for row in self._stores.of(target).documents()}
        ready = sum(document in there and there[document].answering_revision is not None for document in answering)
        failed = sum(
            document in there
            and there[document].state is DocumentState.FAILED
            and there[document].answering_revision is None
            for document in answering
        )
        begun_at_ms = int(base.change["begun_at_ms"]) if base.change else 0
        return ChangeProgress(target, len(answering), ready, failed, begun_at_ms)

    def tick(self, base: BaseRecord) -> None:
        """Bring the build beside to the documents that there are, and switch when it lacks nothing. For the worker."""
        target = base.changed()
        if target is None:
            return
        if target.build != self._stores.answering(base.id):
            if self._stores.of(target).follow(self._stores.of(base).catalogue()):
                return
            if not self._switch(base, target):
                return
        columns = base.change["columns"] if base.change else {}
        self._rows.end_change(base.id, target.build, columns)
        logger.info("the base %s answers from build %d", base.name, target.build)

    def _switch(self, base: BaseRecord, target: BaseBuild) -> bool:
        with self._stores.changing(base) as store:
            fresh = self._rows.get(base.id)
            given_up = fresh is None or fresh.change is None
            if given_up or self._stores.of(target).follow(store.catalogue()):
                return False
            self._stores.switch(base.id, target.build)
            return True

    def wanted(self, base_id: str, build: int) -> BaseBuild | BaseRecord | None:
        """The base as a build has it, if that build still matters."""
        base = self._rows.get(base_id)
        if base is None or base.state == DELETING:
            return None
        target = base.changed()
        if target is not None and target.build == build:
            return target
        return base if build == self._stores.answering(base_id) else None
