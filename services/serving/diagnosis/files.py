"""A log as a file of any size: read line by line, of a huge one the end, and never a line that fills the memory."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from services.core.errors import InvalidValue, PathNotFound
from services.core.i18n import N_
from services.serving.diagnosis.lines import LONGEST

LIMIT_BYTES = 64_000_000
"""Of a larger file the end is read."""
_CHUNK = 1 << 20
_LOOK = 8192
_BINARY_SHARE = 0.1
_MARKS = ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


@dataclass(frozen=True)
class Part:
    """Which part of a file was read."""

    size_bytes: int
    skipped_bytes: int
    first_line: int


def part_of(path: Path, limit_bytes: int = LIMIT_BYTES) -> Part:
    """How much of a log is read. Raises: PathNotFound; InvalidValue where it is no readable text."""
    try:
        with path.open("rb") as file:
            _check_text(path, file.read(_LOOK))
            size = file.seek(0, io.SEEK_END)
            skipped = max(0, size - limit_bytes)
            return Part(size, skipped, 1 + _count_lines(file, skipped))
    except FileNotFoundError as error:
        raise PathNotFound(path=str(path)) from error
    except IsADirectoryError as error:
        raise InvalidValue(field="FILE", value=str(path), reason=N_("it is a folder")) from error
    except OSError as error:
        raise InvalidValue(field="FILE", value=str(path), reason=N_("it cannot be read")) from error


def lines_of(path: Path, part: Part) -> Iterator[str]:
    """The lines of a part of a file, undecodable bytes replaced."""
    with path.open("rb") as file:
        encoding = dict(_MARKS).get(file.read(2))
        file.seek(part.skipped_bytes)
        if encoding:
            yield from io.TextIOWrapper(file, encoding, "replace", newline="\n")
        else:
            yield from decoded(file)


def decoded(file: BinaryIO) -> Iterator[str]:
    """The lines of an open file, in UTF-8 with undecodable bytes replaced; what is too long of a line is left out."""
    begun = False
    while raw := file.readline(LONGEST * 4):
        if not begun:
            yield raw.decode("utf-8", "replace").rstrip("\n")
        begun = not raw.endswith(b"\n")


def _check_text(path: Path, head: bytes) -> None:
    if not head.startswith(tuple(mark for mark, _ in _MARKS)) and head.count(0) > _BINARY_SHARE * len(head):
        raise InvalidValue(field="FILE", value=str(path), reason=N_("it is not a text file"))


def _count_lines(file: BinaryIO, end: int) -> int:
    file.seek(0)
    count = 0
    while end > 0 and (chunk := file.read(min(_CHUNK, end))):
        count += chunk.count(b"\n")
        end -= len(chunk)
    return count
