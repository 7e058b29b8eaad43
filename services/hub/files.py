"""Files of models: room for them, whether they are whole, and their first bytes."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from services.core.errors import DiskFull, DownloadFailed, HashMismatch
from services.core.units import bytes_text
from services.hub.progress import Cancelled, Interrupted

MAGIC = b"GGUF"
RESERVE_BYTES = 200_000_000
"""Left free for everything else."""
_CHUNK = 4 << 20


class Usage(Protocol):
    """What `shutil.disk_usage` gives."""

    @property
    def free(self) -> int: ...


DiskUsage = Callable[[Path], Usage]


def make_room(folder: Path, needed_bytes: int, disk_usage: DiskUsage) -> None:
    """Raise DiskFull where a folder's disk has less than `needed_bytes` and a reserve left."""
    needed = needed_bytes + RESERVE_BYTES
    if disk_usage(folder).free < needed:
        raise DiskFull(path=str(folder), needed=bytes_text(needed))


@contextmanager
def written(path: Path, needed_bytes: int) -> Iterator[None]:
    """Where a file is written: the system's errors become ours. Raises: DiskFull, DownloadFailed."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(path=str(path.parent), needed=bytes_text(needed_bytes)) from error
        raise DownloadFailed(name=path.name, reason=error.strerror or str(error)) from error


def settle(file: BinaryIO) -> None:
    """Bring what was written to the disk itself."""
    file.flush()
    os.fsync(file.fileno())


def check(path: Path, sha256: str, cancelled: Cancelled) -> None:
    """Compare a file's hash; a wrong file is discarded. Raises: HashMismatch, Interrupted."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            if cancelled():
                raise Interrupted
            digest.update(chunk)
    if digest.hexdigest() != sha256:
        path.unlink()
        raise HashMismatch(name=path.name, found=digest.hexdigest(), expected=sha256)


def is_gguf(path: Path) -> bool:
    """Whether a file begins as GGUF files do."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC
