"""The header of a GGUF file: its metadata, and type and size of each tensor. No tensor is read.

Source: the format's description (ggml, docs/gguf.md), versions 2 and 3, little-endian. Every length is checked against
what is left of the file before anything is read, so that a hostile file costs no memory.
"""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from services.core.i18n import N_
from services.hub import ggml
from services.hub.files import MAGIC
from services.hub.numbers import Unreadable

SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
STRING, ARRAY = 8, 9
MAX_ENTRIES, MAX_TENSORS, MAX_PARTS = 1 << 16, 1 << 20, 1000
MAX_TEXT_BYTES = 1 << 20
"""Longer texts are passed over (chat templates are far shorter)."""
MAX_ITEMS = 4096
"""Longer lists, and lists of texts, are only counted."""
MAX_DIMENSIONS = 8

Value = int | float | bool | str | None | list[int | float | bool]


@dataclass(frozen=True, slots=True)
class Listing:
    """An array that was counted and passed over, such as the vocabulary."""

    count: int


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor: its name, type and size."""

    name: str
    type: str
    elements: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the tensors."""

    metadata: dict[str, Value | Listing]
    tensors: tuple[Tensor, ...]


class _Reader:
    """Reads forward, and never beyond the end of the file."""

    def __init__(self, file: BinaryIO, size: int, name: str) -> None:
        self._file, self._left, self._name = file, size, name

    def take(self, count: int) -> bytes:
        self._claim(count)
        return self._file.read(count)

    def skip(self, count: int) -> None:
        self._claim(count)
        self._file.seek(count, 1)

    def scalar(self, kind: int) -> int | float | bool:
        form = SCALARS[kind]
        value: int | float | bool = struct.unpack(form, self.take(struct.calcsize(form)))[0]
        return value

    def whole(self, kind: int = 10) -> int:
        return int(self.scalar(kind))

    def text(self) -> str | None:
        """A text; None where it is too long to be kept."""
        length = self.whole()
        if length > MAX_TEXT_BYTES:
            self.skip(length)
            return None
        return self.take(length).decode("utf-8", "replace")

    def skip_texts(self, count: int) -> None:
        for _ in range(count):  # ends with the file at the latest: each text takes eight bytes
            self.skip(self.whole())

    def damaged(self) -> Unreadable:
        return Unreadable(N_("the header of {file} is damaged"), file=self._name)

    def _claim(self, count: int) -> None:
        if count > self._left:
            raise self.damaged()
        self._left -= count


def read_header(path: Path) -> Header:
    """The header of a file, those of its other parts included where it is split. Raises: Unreadable, OSError."""
    header = _read(path)
    parts = header.metadata.get("split.count")
    if not isinstance(parts, int) or parts < 2:
        return header
    tensors = [tensor for part in _parts(path, parts) for tensor in (header if part == path else _read(part)).tensors]
    return Header(header.metadata, tuple(tensors))


def _parts(path: Path, count: int) -> list[Path]:
    named = re.fullmatch(r"(.*)-\d{5}-of-(\d{5})\.gguf", path.name)
    if not named or count > MAX_PARTS:
        raise Unreadable(N_("it is one of {count} parts, and its name does not tell the others"), count=count)
    paths = [path.with_name(f"{named[1]}-{number:05}-of-{named[2]}.gguf") for number in range(1, count + 1)]
    for other in paths:
        if not other.is_file():
            raise Unreadable(N_("its part {file} is not there"), file=other.name)
    return paths


def _read(path: Path) -> Header:
    with path.open("rb") as file:
        reader = _Reader(file, path.stat().st_size, path.name)
        if reader.take(4) != MAGIC:
            raise Unreadable(N_("it is not a GGUF file"))
        version = reader.whole(4)
        if version not in (2, 3):
            raise Unreadable(N_("GGUF version {version} is not known"), version=version)
        tensors, entries = reader.whole(), reader.whole()
        if tensors > MAX_TENSORS or entries > MAX_ENTRIES:
            raise reader.damaged()
        metadata = dict(_entry(reader) for _ in range(entries))
        return Header(metadata, tuple(_tensor(reader) for _ in range(tensors)))


def _entry(reader: _Reader) -> tuple[str, Value | Listing]:
    key, kind = reader.text() or "", reader.whole(4)
    if kind == ARRAY:
        return key, _array(reader)
    if kind == STRING:
        return key, reader.text()
    if kind not in SCALARS:
        raise reader.damaged()
    return key, reader.scalar(kind)


def _array(reader: _Reader) -> list[int | float | bool] | Listing:
    kind, count = reader.whole(4), reader.whole()
    if kind == STRING:
        reader.skip_texts(count)
        return Listing(count)
    if kind not in SCALARS:
        raise reader.damaged()
    if count > MAX_ITEMS:
        reader.skip(count * struct.calcsize(SCALARS[kind]))
        return Listing(count)
    return [reader.scalar(kind) for _ in range(count)]


def _tensor(reader: _Reader) -> Tensor:
    name, dimensions = reader.text() or "", reader.whole(4)
    if dimensions > MAX_DIMENSIONS:
        raise reader.damaged()
    elements = math.prod(reader.whole() for _ in range(dimensions))
    kind = reader.whole(4)
    reader.skip(8)  # where it lies
    if kind not in ggml.BLOCKS:
        raise Unreadable(N_("the tensor type {kind} is not known"), kind=kind)
    type_name, block, size = ggml.BLOCKS[kind]
    return Tensor(name, type_name, elements, -(-elements // block) * size)
