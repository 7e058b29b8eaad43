"""Looking at the folders that bases follow, one at a time, beside the worker's other duties."""

from __future__ import annotations

import threading

from services.core.clock import ticks_ms
from services.knowledge.transfer.folders import KIND, Folders
from services.store.jobs import WISHED, WORKING, JobRecord
from services.worker.failures import written_down

REPORT_EVERY_MS = 500


class FolderKeeper:
    """Takes the looks that were wished for, and those that an earlier worker has not ended."""

    def __init__(self, folders: Folders, machine_id: str) -> None:
        self._folders = folders
        self._machine_id = machine_id
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def tick(self) -> None:
        """Begin with the oldest wish, unless a look is under way."""
        if self._thread is not None and self._thread.is_alive():
            return
        rows = self._folders.jobs.of_kind(self._machine_id, KIND)
        waiting = [row for row in reversed(rows) if row.state in (WISHED, WORKING)]
        if waiting:
            self._thread = threading.Thread(target=self._look, args=(waiting[0],), name="folder", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop looking; the next worker goes on."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def _look(self, job: JobRecord) -> None:
        rows = self._folders.jobs
        folder = self._folders.rows.get(job.subject)
        if folder is None or rows.move(job.id, WORKING, WISHED, WORKING) is None:
            rows.remove(job.id)
            return
        told = 0.0

        def progress(done: int, total: int) -> bool:
            nonlocal told
            if done == total or ticks_ms() - told >= REPORT_EVERY_MS:
                rows.report(job.id, done, total, job.note)
                told = ticks_ms()
            return not self._stopping.is_set()

        with written_down(rows, job, f"looking at {folder.path}"):
            found = self._folders.sync(folder, progress)
            if found is not None:
                self._folders.looked(folder, found)
