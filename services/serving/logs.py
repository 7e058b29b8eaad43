"""The log of one server: written by its runner, turned over by size, read by everybody."""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Sequence
from pathlib import Path

NAME = "server.log"
LIMIT_BYTES = 10_000_000
KEPT = 3
_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_TELLING = re.compile(r"error\b|exception\b|\b(failed|fatal|cannot|unable|aborted|killed)\b", re.IGNORECASE)
_SERIOUS = re.compile(rf"\bwarn(ing)?\b|traceback|{_TELLING.pattern}", re.IGNORECASE)
_TAIL_BYTES = 256_000
_HEAD_BYTES = 1_000_000


class RotatingLog:
    """The file that a runner writes; older ones are named server.log.1, .2, .3."""

    def __init__(self, folder: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        """Begin a new file; the one of the last run becomes server.log.1."""
        self._path = folder / NAME
        self._limit = limit_bytes
        self._file = -1
        self._turn_over()

    def write(self, output: bytes) -> None:
        """Append what the engine has printed."""
        if self._size and self._size + len(output) > self._limit:
            self._turn_over()
        os.write(self._file, output)
        self._size += len(output)

    def _turn_over(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        for number in range(KEPT, 0, -1):
            older = _numbered(self._path, number - 1)
            if older.exists() and older.stat().st_size:
                older.replace(_numbered(self._path, number))
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        self._size = 0


def tail(folder: Path, lines: int) -> list[str]:
    """The last lines, those of earlier runs before those of the newest."""
    found: deque[str] = deque(maxlen=lines)
    for number in range(KEPT, -1, -1):
        found.extend(_lines(_numbered(folder / NAME, number)))
    return list(found)


def first_lines(folder: Path) -> list[str]:
    """What the newest run printed first, as far as the log still has it."""
    try:
        with (folder / NAME).open("rb") as file:
            text = file.read(_HEAD_BYTES).decode("utf-8", "replace")
    except FileNotFoundError:
        return []
    return _CODES.sub("", text).splitlines()


def matching(lines: Sequence[str], text: str, *, serious_only: bool = False) -> list[str]:
    """The lines that hold a text, in whatever case; all of them where it is empty.

    Args:
        serious_only: leaves out lines that speak neither of a warning nor of an error.
    """
    wanted = text.strip().casefold()
    return [line for line in lines if wanted in line.casefold() and (not serious_only or _SERIOUS.search(line))]


def whole(folder: Path) -> bytes:
    """All that is kept of the log, earlier runs first, as the engine has printed it."""
    paths = [_numbered(folder / NAME, number) for number in range(KEPT, -1, -1)]
    return b"".join(path.read_bytes() for path in paths if path.exists())


def last_meaningful(folder: Path) -> str:
    """The line that best tells why the newest run ended: the last that speaks of an error, else the last one."""
    lines = [line.strip() for line in _lines(folder / NAME) if line.strip()]
    telling = [line for line in lines[-60:] if _TELLING.search(line)]
    return (telling or lines or [""])[-1][:500]


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}") if number else path


def _lines(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return []
    lines = _CODES.sub("", text).replace("\r\n", "\n").split("\n")
    kept = lines[1:] if size > _TAIL_BYTES else lines
    return [line.rsplit("\r", 1)[-1] for line in kept if line]
