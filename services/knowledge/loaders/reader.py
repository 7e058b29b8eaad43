"""Reads files in child processes, so that a bad file can harm nothing but itself.

Each file gets a fresh child of a fork server that has the readers loaded already. The child leaves its result in a
file; the parent looks at it after the child has ended, and unpickles nothing that a child wrote.
"""

from __future__ import annotations

import logging
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from services.core.document_errors import ReaderCrashed, ReaderTimeout
from services.core.errors import from_row
from services.knowledge.loaders import child, drawing
from services.knowledge.loaders.confined import POLL_S, Allowance, Cancelled, Confined, OutOfTime
from services.knowledge.loaders.protocol import PAGE_S, Aids, Limits
from services.knowledge.loaders.recognition import PICTURE_WIDTH_PX, Recogniser, pieces
from services.knowledge.positions import Piece
from services.knowledge.types import Extracted

__all__ = ["Cancelled", "Reader"]

ATTEMPTS = 3
PICTURE_TIMEOUT_S = 60
FORK_SERVER_MODULE = "services.knowledge.loaders.forkserver"

log = logging.getLogger(__name__)


class Reader:
    """Reads one file per call, at most `workers` at a time.

    Thread-safety: calls may come from any thread.
    """

    def __init__(self, limits: Limits, workers: int = 1, recogniser: Recogniser | None = None) -> None:
        self._limits = limits
        self._recogniser = recogniser
        self._seats = threading.Semaphore(workers)
        self._closed = threading.Event()
        self._confined = Confined(FORK_SERVER_MODULE)

    def read(self, path: Path, name: str, cancelled: Callable[[], bool], password: str | None = None) -> Extracted:
        """Read the file at `path` that people call `name`; `cancelled` is asked several times a second.

        Raises: a DocumentError; Cancelled.
        """

        def given_up() -> bool:
            return self._closed.is_set() or cancelled()

        with self._seat(given_up):
            outcome = self._outcome(path, name, Aids(password), given_up)
            if outcome.unread and self._recogniser is not None and self._recogniser.ready():
                wanted = drawing.Wanted(path, name, 0, PICTURE_WIDTH_PX, password)
                recognised = self._recognised(self._recogniser, wanted, outcome.unread, given_up)
                outcome = self._outcome(path, name, Aids(password, recognised), given_up)
            return _document(outcome, name)

    def _recognised(
        self,
        recogniser: Recogniser,
        wanted: drawing.Wanted,
        pages: Sequence[int],
        given_up: Callable[[], bool],
    ) -> dict[int, tuple[Piece, ...]]:
        """The lines of the pages that have no text of their own, as far as they can be drawn and recognised."""
        found: dict[int, tuple[Piece, ...]] = {}
        with tempfile.TemporaryDirectory(prefix="lectern-scan-") as folder, recogniser.session(given_up) as read:
            picture, error = Path(folder, "page.png"), Path(folder, "error.json")
            for number in pages:
                arguments = (replace(wanted, page=number), self._limits, str(picture), str(error))
                with suppress(OutOfTime):
                    self._confined.run(drawing.draw_unread, arguments, Allowance(PICTURE_TIMEOUT_S), given_up)
                lines = read(picture) if picture.exists() else ()
                picture.unlink(missing_ok=True)
                if given_up():
                    raise Cancelled
                if lines is None:
                    log.warning("the program for text recognition ended while it read %s", wanted.path.name)
                    break
                found[number] = pieces(lines)
        return found

    def _outcome(self, path: Path, name: str, aids: Aids, given_up: Callable[[], bool]) -> child.Outcome:
        for attempt in range(1, ATTEMPTS + 1):
            outcome = self._attempt(path, name, aids, given_up)
            if outcome is not None:
                return outcome
            log.warning("the reader of %s crashed (attempt %d)", path.name, attempt)
        raise ReaderCrashed(name=name, attempts=ATTEMPTS)

    def close(self) -> None:
        """Give up what is being read; later calls raise Cancelled."""
        self._closed.set()

    @contextmanager
    def _seat(self, given_up: Callable[[], bool]) -> Iterator[None]:
        while not self._seats.acquire(timeout=POLL_S):
            if given_up():
                raise Cancelled
        try:
            yield
        finally:
            self._seats.release()

    def _attempt(self, path: Path, name: str, aids: Aids, given_up: Callable[[], bool]) -> child.Outcome | None:
        """One child's outcome; None where it crashed."""
        with tempfile.TemporaryDirectory(prefix="lectern-read-") as folder:
            result = Path(folder, "outcome.json")
            allowance = Allowance(self._limits.timeout_s, PAGE_S, partial(_pages_read, str(result)))
            try:
                self._confined.run(child.run, (str(path), name, self._limits, str(result), aids), allowance, given_up)
            except OutOfTime:
                seconds = self._limits.timeout_s
                raise ReaderTimeout(name=name, seconds=seconds, setting="read_timeout_s") from None
            try:
                return child.OUTCOME.validate_json(result.read_bytes())
            except (FileNotFoundError, ValidationError):
                return None


def _pages_read(result: str) -> int:
    try:
        return child.pages_file(result).stat().st_size
    except FileNotFoundError:
        return 0  # the child has not begun yet


def _document(outcome: child.Outcome, name: str) -> Extracted:
    if outcome.detail:
        log.warning("%s could not be read:\n%s", name, outcome.detail)
    if outcome.document is None:
        raise from_row(outcome.code, outcome.params)
    return outcome.document
