"""The opened stores of one process: one object for each build of a base, shared by all threads.

A base answers from one build of its index; while it is changed, another one grows beside it. Which of them answers
stands in the file `build` of the base's folder: replacing that file is the switch, for every process at once.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Protocol

from filelock import FileLock

from services.core.paths import Layout
from services.knowledge.index.protocol import BaseStore
from services.knowledge.originals import Originals
from services.knowledge.passwords import Passwords
from services.store.bases import BaseBuild, BaseRecord

POINTER, BUILDS, ORIGINALS, LOCK = "build", "builds", "originals", "documents.lock"
PAGE_IMAGES = "page_images"
SHARED = (POINTER, BUILDS, ORIGINALS, LOCK, PAGE_IMAGES)
"""What all builds of a base have in common."""
FIRST_BUILD = 0
"""Lies in the base's folder itself."""
GRACE_S = 30.0
"""Searches that began before a switch may need the files of the build that answered until then."""


class OpenStore(Protocol):
    """Opens the store in a base's folder, making it where there is none."""

    def __call__(self, folder: Path) -> BaseStore: ...


class Stores:
    """Opens each build once. Thread-safe."""

    def __init__(self, layout: Layout, open_store: OpenStore) -> None:
        self.layout = layout
        self._open_store = open_store
        self._opened: dict[tuple[str, int], BaseStore] = {}
        self._lock = threading.Lock()

    def of(self, base: BaseRecord) -> BaseStore:
        """The store that answers for a base; of a `BaseBuild`, that build's."""
        number = base.build if isinstance(base, BaseBuild) else self.answering(base.id)
        with self._lock:
            if (base.id, number) not in self._opened:
                self._opened[base.id, number] = self._open_store(self.folder(base.id, number))
            return self._opened[base.id, number]

    def answering(self, base_id: str) -> int:
        """The number of the build that answers."""
        try:
            return int((self.layout.base(base_id) / POINTER).read_text("ascii"))
        except FileNotFoundError:
            return FIRST_BUILD

    def answering_base(self, base: BaseRecord) -> BaseBuild:
        """The base as the build that answers has it: `of` this is that build's store."""
        mine = {field.name: getattr(base, field.name) for field in fields(BaseRecord)}
        return BaseBuild(**mine, build=self.answering(base.id))

    def folder(self, base_id: str, build: int) -> Path:
        """Where a build's files lie."""
        home = self.layout.base(base_id)
        return home if build == FIRST_BUILD else home / BUILDS / str(build)

    @property
    def passwords(self) -> Passwords:
        """What was given for originals that wait to be read."""
        return Passwords(self.layout.passwords)

    def originals(self, base: BaseRecord) -> Originals:
        """The stored originals of a base, which all its builds share."""
        return Originals(self.layout.base(base.id) / ORIGINALS)

    @contextmanager
    def changing(self, base: BaseRecord) -> Iterator[BaseStore]:
        """The store that answers, held so that no switch comes between a change of its documents and its end."""
        home = self.layout.base(base.id)
        home.mkdir(parents=True, exist_ok=True)
        with FileLock(home / LOCK):
            yield self.of(base)

    def switch(self, base_id: str, build: int) -> None:
        """Let another build answer; the caller holds `changing`."""
        pointer = self.layout.base(base_id) / POINTER
        unfinished = pointer.with_suffix(".part")
        with unfinished.open("w", encoding="ascii") as file:
            file.write(str(build))
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(pointer)
        self._drop(base_id, lambda number: number != build)

    def sweep(self, base_id: str, kept: int | None) -> None:
        """Remove every build that neither answers nor is `kept`."""
        home = self.layout.base(base_id)
        pointer = home / POINTER
        if pointer.exists() and time.time() - pointer.stat().st_mtime < GRACE_S:
            return
        wanted = {self.answering(base_id), kept}
        self._drop(base_id, lambda number: number not in wanted)
        for folder in (home / BUILDS).glob("*"):
            if folder.name not in {str(number) for number in wanted}:
                shutil.rmtree(folder, ignore_errors=True)
        if FIRST_BUILD not in wanted:
            for path in home.iterdir():
                if path.name not in SHARED:
                    shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)

    def forget(self, base_id: str) -> None:
        """Close the stores of a base that is gone."""
        for store in self._drop(base_id, lambda number: True):
            store.close()

    def close(self) -> None:
        """Close all."""
        for base_id, _ in list(self._opened):
            self.forget(base_id)

    def _drop(self, base_id: str, gone: Callable[[int], bool]) -> list[BaseStore]:
        """Let go of stores without closing them: another thread may be at the end of a search there."""
        with self._lock:
            keys = [key for key in self._opened if key[0] == base_id and gone(key[1])]
            return [self._opened.pop(key) for key in keys]
