"""The opened stores of one process: one object for each base, shared by all threads."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Protocol

from services.core.paths import Layout
from services.knowledge.index.protocol import BaseStore
from services.knowledge.originals import Originals
from services.store.bases import BaseRecord


class OpenStore(Protocol):
    """Opens the store in a base's folder, making it where there is none."""

    def __call__(self, folder: Path) -> BaseStore: ...


class Stores:
    """Opens each base once. Thread-safe."""

    def __init__(self, layout: Layout, open_store: OpenStore) -> None:
        self._layout = layout
        self._open_store = open_store
        self._opened: dict[str, BaseStore] = {}
        self._lock = threading.Lock()

    def of(self, base: BaseRecord) -> BaseStore:
        """The store of a base."""
        with self._lock:
            if base.id not in self._opened:
                self._opened[base.id] = self._open_store(self._layout.base(base.id))
            return self._opened[base.id]

    def originals(self, base: BaseRecord) -> Originals:
        """The stored originals of a base."""
        return Originals(self._layout.base(base.id) / "originals")

    def forget(self, base_id: str) -> None:
        """Close a store whose base is gone."""
        with self._lock:
            store = self._opened.pop(base_id, None)
        if store:
            store.close()

    def close(self) -> None:
        """Close all."""
        for base_id in list(self._opened):
            self.forget(base_id)
