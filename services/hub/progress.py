"""What fetching a model asks of its caller: how to load a package, whom to tell how far it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

Cancelled = Callable[[], bool]
"""Whether the caller wants it to end; asked several times a second."""


class Interrupted(Exception):
    """Fetching was cancelled. What was loaded is kept; the next try goes on there."""


Report = Callable[[int, int | None, str], None]
"""Is told the bytes that are there, the bytes in all (None: unknown), and which part it is, as "3/22"."""


class Download(Protocol):
    """Loads one wheel from the package index that the user's pip uses."""

    def __call__(
        self,
        requirement: str,
        sha256: str,
        into: Path,
        cancelled: Cancelled,
        on_progress: Callable[[int], None],
    ) -> Path | None:
        """Load a wheel and check its hash.

        Args:
            requirement: name==version.
            into: an empty folder.
            on_progress: is told the bytes loaded so far.

        Returns: the wheel in `into`; None where it was cancelled.

        Raises: DownloadFailed, HashMismatch, DiskFull.
        """
        ...
