"""Keeps what searches use up to date: snapshots when they are due, and what people wish to have verified or rebuilt."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace

from services.core import log
from services.core.clock import ticks_ms
from services.core.errors import AppError, Unexpected
from services.knowledge.index.protocol import BaseStore
from services.knowledge.service import KnowledgeService
from services.knowledge.stores import Stores
from services.knowledge.upkeep import UPKEEP, Upkeep, UpkeepKind, UpkeepState
from services.store.bases import BaseRecord, BaseRows

logger = logging.getLogger(__name__)

AGAIN_AFTER_MS = 300_000
"""A compaction that failed is tried again so much later."""
TOLD_EVERY_MS = 500


class UpkeepKeeper:
    """One piece of work at a time, beside the worker's loop."""

    def __init__(self, bases: BaseRows, stores: Stores, knowledge: KnowledgeService, machine_id: str) -> None:
        self._bases = bases
        self._stores = stores
        self._knowledge = knowledge
        self._machine_id = machine_id
        self._thread: threading.Thread | None = None
        self._failed_at: dict[str, float] = {}

    def tick(self) -> None:
        """Begin the next piece of work if none is under way."""
        if self._thread is not None and self._thread.is_alive():
            return
        for base in self._bases.all():
            work = self._work(base) if base.machine_id == self._machine_id else None
            if work is not None:
                self._thread = threading.Thread(target=work, name="upkeep", daemon=True)
                self._thread.start()
                return

    def join(self) -> None:
        """Wait for what is under way."""
        if self._thread is not None:
            self._thread.join()

    def _work(self, base: BaseRecord) -> Callable[[], None] | None:
        try:
            store = self._stores.of(base)
            wish = Upkeep.of(store.note(UPKEEP))
            if wish is not None and not wish.settled:
                return lambda: self._fulfil(base, store, wish)
            store.tidy()
            failed_at = self._failed_at.get(base.id)
            if (failed_at is None or ticks_ms() - failed_at > AGAIN_AFTER_MS) and store.compaction_due():
                return lambda: self._compact(base, store)
        except AppError as error:
            logger.warning("the base %s cannot be looked after: %s", base.name, error)
        return None

    def _compact(self, base: BaseRecord, store: BaseStore) -> None:
        try:
            well = store.compact()
        except Exception as error:  # noqa: BLE001 - searches go on without it
            log.incident(logger, error, f"compaction of {base.name}")
            well = False
        if well:
            self._failed_at.pop(base.id, None)
        else:
            logger.warning("the snapshot of %s could not be made", base.name)
            self._failed_at[base.id] = ticks_ms()

    def _fulfil(self, base: BaseRecord, store: BaseStore, wish: Upkeep) -> None:
        running = replace(wish, state=UpkeepState.RUNNING)
        told_at = -TOLD_EVERY_MS * 1.0

        def tell(step: str, done: int, total: int) -> None:
            nonlocal told_at, running
            if step != running.step or ticks_ms() - told_at > TOLD_EVERY_MS:
                told_at, running = ticks_ms(), replace(running, step=step, done=done, total=total)
                store.set_note(UPKEEP, running.row())

        try:
            tell("checking", 0, 0)
            if wish.kind is UpkeepKind.VERIFY:
                report = self._knowledge.verify(base.id)
            else:
                report = self._knowledge.rebuild(base.id, tell)
            ended = replace(wish, state=UpkeepState.DONE, report=report)
        except AppError as error:
            ended = replace(wish, state=UpkeepState.FAILED, error=(error.code, dict(error.params)))
        except Exception as error:  # noqa: BLE001 - whatever happens, the wish must settle and say so
            number = log.incident(logger, error, f"{wish.kind} of {base.name}")
            unexpected = Unexpected(incident=number)
            ended = replace(wish, state=UpkeepState.FAILED, error=(unexpected.code, dict(unexpected.params)))
        store.set_note(UPKEEP, ended.row())
