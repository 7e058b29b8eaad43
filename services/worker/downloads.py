"""Making downloads true: at most a few at a time, each in a child process, each heard and stopped within a second."""

from __future__ import annotations

import shutil
import threading
from collections import deque
from typing import Any

from services.core.clock import ticks_ms
from services.core.errors import from_row
from services.core.hub_errors import LoadingFailed
from services.core.i18n import N_
from services.hub.downloads import KIND, Downloads, DownloadWish, Step
from services.hub.downloads_child import Loading, Order, bytes_below
from services.store.jobs import DONE, WISHED, WORKING, JobRecord
from services.worker.failures import written_down

AT_A_TIME = 2
LOOK_EVERY_S = 0.25
RATE_OVER_MS = 10_000


class DownloadKeeper:
    """Loads what is wished for, and goes on with what an earlier worker has left."""

    def __init__(self, downloads: Downloads, machine_id: str) -> None:
        self._downloads = downloads
        self._machine_id = machine_id
        self._stopping = threading.Event()
        self._threads: dict[str, threading.Thread] = {}

    def tick(self) -> None:
        """Begin with the oldest wishes that nobody works on."""
        self._threads = {id: thread for id, thread in self._threads.items() if thread.is_alive()}
        rows = self._downloads.rows.of_kind(self._machine_id, KIND)
        for row in reversed(rows):
            if len(self._threads) >= AT_A_TIME:
                return
            if row.state in (WISHED, WORKING) and row.id not in self._threads:
                self._begin(row)

    def close(self) -> None:
        """Stop loading; what was loaded is kept, and the next worker goes on."""
        self._stopping.set()
        for thread in self._threads.values():
            thread.join(timeout=10)

    def _begin(self, row: JobRecord) -> None:
        if row.state == WISHED and self._downloads.rows.move(row.id, WORKING, WISHED) is None:
            return
        thread = threading.Thread(target=self._load, args=(row,), name="download", daemon=True)
        self._threads[row.id] = thread
        thread.start()

    def _load(self, row: JobRecord) -> None:
        rows = self._downloads.rows
        with written_down(rows, row, f"downloading {row.subject}"):
            order = self._downloads.order(DownloadWish.of(row.subject))
            if self._follow(row.id, order):
                rows.move(row.id, DONE, WORKING)

    def _follow(self, id: str, order: Order) -> bool:
        """Have it loaded, writing down how far it is; False where it was stopped. Raises: AppError."""
        loading, progress = Loading(order), _Progress(order)
        try:
            while not self._stopping.is_set():
                told = _heard(loading, order)
                if told and told[0] == "done":
                    progress.finished()
                elif told:
                    progress.hear(told)
                row = self._downloads.rows.get(id)
                if row is None or (row.state != WORKING and not progress.whole):
                    return False
                self._downloads.rows.report(id, *progress.now())
                if progress.whole:
                    return True
            return False
        finally:
            loading.end()
            if self._downloads.rows.get(id) is None:  # forgotten meanwhile, perhaps before the last byte was written
                shutil.rmtree(order.draft, ignore_errors=True)


class _Progress:
    """How far a load is: what its child has said, and what lies in the folder."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._total: int | None = None
        self._pulled: int | None = None
        self._step = Step()
        self._before = 0
        self._seen: deque[tuple[float, int]] = deque()
        self.whole = False

    def hear(self, told: list[Any]) -> None:
        kind, *rest = told
        if kind == "begun":
            self._total, count = rest
            self._step = Step(of=count)
        elif kind == "file":
            number, path, size = rest
            self._before = self._bytes() - _draft_bytes(self._order, path)
            self._step = Step(path, number, self._step.of, file_total=size)
        elif kind == "pulled":
            self._pulled, self._total, status = rest
            self._step = Step(status)

    def finished(self) -> None:
        self.whole = True

    def now(self) -> tuple[int, int | None, str]:
        """Bytes that are there, bytes in all, and the step."""
        done = self._total if self.whole and self._total is not None else self._bytes()
        now = ticks_ms()
        self._seen.append((now, done))
        while now - self._seen[0][0] > RATE_OVER_MS:
            self._seen.popleft()
        (since, first), elapsed = self._seen[0], now - self._seen[0][0]
        rate = (done - first) / elapsed * 1000 if elapsed > 1000 and since < now else None
        step, size = self._step, self._step.file_total
        loaded = min(max(0, done - self._before), size) if size is not None and not self.whole else size
        return done, self._total, Step(step.file, step.number, step.of, loaded, size, rate).note

    def _bytes(self) -> int:
        return self._pulled or 0 if self._order.hub == "ollama" else bytes_below(self._order.draft)


def _draft_bytes(order: Order, path: str) -> int:
    """What an earlier try has left of a file, whatever the client calls its draft."""
    whole = order.draft / path
    return sum(one.stat().st_size for one in whole.parent.glob(f"{whole.name}*") if one.is_file())


def _heard(loading: Loading, order: Order) -> list[Any] | None:
    """What the child says within a moment. Raises: the AppError that it has met."""
    try:
        told = loading.hear(LOOK_EVERY_S)
    except EOFError:
        reason = N_("its process was ended")
        raise LoadingFailed(name=order.repository, place=order.address.place, reason=reason) from None
    if told and told[0] == "failed":
        raise from_row(told[1], told[2])
    if told and told[0] == "bug":
        raise RuntimeError(told[1])
    return told
