"""A base that arrives as a whole: built in a folder that nobody looks at, known to others only when it is complete."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from services.core.errors import NameTaken
from services.core.paths import Layout
from services.knowledge.service import clean_base_name
from services.store.bases import BaseRecord, BaseRows
from services.store.records import new_id

PREFIX = ".arriving-"
FORGOTTEN_S = 86_400.0


class Arrival:
    """One base that is being built. `settle` makes it known; without that its folder goes when the block ends."""

    def __init__(self, rows: BaseRows, layout: Layout, machine_id: str, name: str) -> None:
        self.name = name
        self._rows = rows
        self._id = new_id()
        self._target = layout.base(self._id)
        self._machine_id = machine_id
        self.folder = layout.bases / f"{PREFIX}{self._id}"

    def settle(self, **columns: Any) -> BaseRecord:
        """Let others find it; every file in the folder must be closed. Raises: NameTaken."""
        self.folder.rename(self._target)
        try:
            return self._rows.create(id=self._id, machine_id=self._machine_id, name=self.name, **columns)
        except BaseException:
            self._target.rename(self.folder)
            raise


@contextmanager
def arriving(rows: BaseRows, layout: Layout, machine_id: str, name: str) -> Iterator[Arrival]:
    """A place for a base of this name. Raises: InvalidName, NameTaken."""
    kept = clean_base_name(name)
    if rows.find(kept) is not None:
        raise NameTaken(name=kept)
    arrival = Arrival(rows, layout, machine_id, kept)
    arrival.folder.mkdir(parents=True)
    try:
        yield arrival
    finally:
        shutil.rmtree(arrival.folder, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Remove what killed arrivals have left behind."""
    for left in folder.glob(f"{PREFIX}*"):
        if time.time() - left.stat().st_mtime > FORGOTTEN_S:
            shutil.rmtree(left, ignore_errors=True)
