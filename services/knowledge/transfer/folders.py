"""Folders of this machine that a base follows: new files come in, changed ones are read again, gone ones leave.

A file is taken as unchanged while its size and its time of change are the same. Nothing is removed where a folder
cannot be read, or is empty all at once: a disk that is not mounted looks like that.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from services.core.errors import AppError, BaseNotFound, DiskFull, NameTaken, PathNotFound
from services.core.transfer_errors import FolderEmptied, FolderNotAllowed, FolderNotFound
from services.knowledge.service import KnowledgeService
from services.store.bases import BaseRecord
from services.store.folders import FolderRecord, FolderRows, Seen
from services.store.jobs import JobRecord, JobRows

KIND = "sync_folder"
REFUSALS_KEPT = 20
Progress = Callable[[int, int], bool]
"""Told of the files looked at, and of all; whether to go on."""


@dataclass(slots=True)
class Synced:
    """What a look at a folder has found, in files."""

    new: int = 0
    changed: int = 0
    gone: int = 0
    same: int = 0
    refused: int = 0
    refusals: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    """Name, code and parameters of the first that were refused."""

    @property
    def looked_at(self) -> int:
        """All of them."""
        return self.new + self.changed + self.gone + self.same + self.refused


@dataclass(frozen=True, slots=True)
class FolderState:
    """A followed folder with how its last look went; `found` is None before the first has ended."""

    folder: FolderRecord
    job: JobRecord | None
    found: Synced | None


class Folders:
    """Follows folders. Any process may wish for a look; the worker, or a command, takes it."""

    def __init__(
        self, rows: FolderRows, jobs: JobRows, knowledge: KnowledgeService, roots: tuple[Path, ...], machine_id: str
    ) -> None:
        self.rows = rows
        self.jobs = jobs
        self.roots = roots
        self._knowledge = knowledge
        self._machine_id = machine_id

    def follow(self, base: BaseRecord, path: str) -> FolderRecord:
        """Let a base follow a folder. Raises: FolderNotFound, FolderNotAllowed."""
        return self.rows.follow(self._machine_id, base.id, str(self._allowed(Path(path).expanduser())))

    def unfollow(self, folder: FolderRecord) -> None:
        """Stop following; the documents stay."""
        self.rows.remove(folder.id)
        job = self.jobs.find(self._machine_id, KIND, folder.id)
        if job:
            self.jobs.remove(job.id)

    def wish(self, folder: FolderRecord) -> None:
        """Ask for a look, as soon as the worker comes to it."""
        self.jobs.ask(self._machine_id, KIND, folder.id, "files")

    def looked(self, folder: FolderRecord, found: Synced) -> None:
        """Keep what a look has found, for whoever looks at the folder's state."""
        job = self.jobs.begin(self._machine_id, KIND, folder.id, "files")
        self.jobs.report(job.id, found.looked_at, found.looked_at, json.dumps(asdict(found)))
        self.jobs.finish(job.id)

    def states(self, base: BaseRecord) -> list[FolderState]:
        """The folders of a base."""
        states = []
        for folder in self.rows.of(base.id):
            job = self.jobs.find(self._machine_id, KIND, folder.id)
            states.append(FolderState(folder, job, Synced(**json.loads(job.note)) if job and job.note else None))
        return states

    def sweep(self) -> None:
        """Forget the folders of bases that are gone."""
        for folder in self.rows.all(self._machine_id):
            try:
                self._knowledge.base(folder.base_id)
            except BaseNotFound:
                self.unfollow(folder)

    def sync(self, folder: FolderRecord, progress: Progress = lambda done, total: True) -> Synced | None:
        """Look at a folder and take in what is new, changed or gone; None where it was told to stop.

        It may be repeated after a kill: each file is noted as soon as it was taken in.

        Raises: FolderNotFound, FolderNotAllowed, FolderEmptied, BaseNotFound.
        """
        base = self._knowledge.base(folder.base_id)
        root = self._allowed(Path(folder.path))
        before, now = self.rows.seen(folder.id), dict(_files(root))
        if before and not now:
            raise FolderEmptied(path=folder.path, count=len(before))
        others = self._others(folder)
        found = Synced()
        names = [*sorted(now), *sorted(before.keys() - now.keys())]
        for done, name in enumerate(names):
            if not progress(done, len(names)):
                return None
            if name not in now:
                self._remove(base, folder, name)
                found.gone += 1
            elif before.get(name) == now[name]:
                found.same += 1
            elif error := self._take(base, folder, root / name, name, now[name], others):
                found.refused += 1
                found.refusals += [(name, error.code, error.params)][: REFUSALS_KEPT - len(found.refusals)]
            else:
                found.new += name not in before
                found.changed += name in before
        progress(len(names), len(names))
        return found

    def _others(self, folder: FolderRecord) -> set[str]:
        """Names that belong to another folder of the same base."""
        return {
            name for other in self.rows.of(folder.base_id) if other.id != folder.id for name in self.rows.seen(other.id)
        }

    def _take(
        self, base: BaseRecord, folder: FolderRecord, path: Path, name: str, seen: Seen, others: set[str]
    ) -> AppError | None:
        if name in others:
            return NameTaken(name=name)
        try:
            with path.open("rb") as stream:
                self._knowledge.add(base, name, stream)
        except DiskFull:
            raise
        except AppError as error:
            return error
        except OSError:
            return PathNotFound(path=str(path))
        self.rows.note(folder.id, name, seen)
        return None

    def _remove(self, base: BaseRecord, folder: FolderRecord, name: str) -> None:
        self._knowledge.remove_name(base, name)
        self.rows.forget_file(folder.id, name)

    def _allowed(self, path: Path) -> Path:
        try:
            real = path.resolve(strict=True)
            if not real.is_dir() or not os.access(real, os.R_OK | os.X_OK):
                raise FolderNotFound(path=str(path))
        except OSError as error:
            raise FolderNotFound(path=str(path)) from error
        if not any(real.is_relative_to(root.resolve()) for root in self.roots):
            raise FolderNotAllowed(path=str(real))
        return real


def _files(root: Path) -> Iterator[tuple[str, Seen]]:
    """Every file that is not hidden, by its path in the folder. A link counts where it stays inside."""
    for folder, below, files in os.walk(root):
        below[:] = [name for name in below if not name.startswith(".")]
        for file in files:
            path = Path(folder, file)
            try:
                if file.startswith(".") or not path.resolve().is_relative_to(root) or not path.is_file():
                    continue
                facts = path.stat()
            except OSError:
                continue
            yield path.relative_to(root).as_posix(), Seen(facts.st_size, facts.st_mtime_ns)
