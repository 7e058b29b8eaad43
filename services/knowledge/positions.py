"""Where text stands on a page: a box for each line, and the regions that a span of text covers.

Coordinates are fractions of the page's width and height, from its top left corner as it is shown.
"""

from __future__ import annotations

import struct
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from pydantic import Base64Bytes

_PACKED = struct.Struct("<IIIHHHH")
_FINEST = 65535
TALL = 2.0
"""A box this many times as high as wide holds text that runs downwards, if it holds several characters."""


class Box(NamedTuple):
    """Where `text[start:end]`, a line or a stretch of one, stands on a page (from 1)."""

    start: int
    end: int
    page: int
    left: float
    top: float
    right: float
    bottom: float


class Region(NamedTuple):
    """A rectangle of a page (from 1)."""

    page: int
    left: float
    top: float
    right: float
    bottom: float


Edges = tuple[float, float, float, float]
"""Left, top, right and bottom as fractions of the page, from its top left corner as it is shown."""


class Piece(NamedTuple):
    """A stretch of a page's text, at most a line, normalised, and where it stands; None for what is not drawn."""

    text: str
    edges: Edges | None = None


@dataclass(frozen=True, slots=True)
class Boxes:
    """The boxes of a text in its order: 20 bytes each, for a long document has half a million."""

    packed: Base64Bytes = b""

    @classmethod
    def of(cls, boxes: Iterable[Box]) -> Boxes:
        """These boxes, what lies beyond the page cut off; those without an area are left out."""
        kept = bytearray()
        for box in boxes:
            edges = [round(min(max(edge, 0.0), 1.0) * _FINEST) for edge in box[3:]]
            if edges[0] < edges[2] and edges[1] < edges[3]:
                kept += _PACKED.pack(*box[:3], *edges)
        return cls(bytes(kept))

    def __iter__(self) -> Iterator[Box]:
        for start, end, page, *edges in _PACKED.iter_unpack(self.packed):
            left, top, right, bottom = (edge / _FINEST for edge in edges)
            yield Box(start, end, page, left, top, right, bottom)

    def __len__(self) -> int:
        return len(self.packed) // _PACKED.size

    def by_page(self) -> Iterator[tuple[int, Boxes]]:
        """Each page that has boxes, with them; pages come in order."""
        begin, size, page = 0, _PACKED.size, None
        for offset in range(0, len(self.packed), size):
            number = _PACKED.unpack_from(self.packed, offset)[2]
            if page is not None and number != page:
                yield page, Boxes(self.packed[begin:offset])
                begin = offset
            page = number
        if page is not None:
            yield page, Boxes(self.packed[begin:])


NO_BOXES = Boxes()


def regions(boxes: Iterable[Box], text: str, start: int, end: int) -> tuple[Region, ...]:
    """The rectangles that `text[start:end]` covers: each line's box, cut to the share of its characters."""
    covered = ((box, max(start, box.start), min(end, box.end)) for box in boxes)
    return tuple(_cut(box, text, first, last) for box, first, last in covered if text[first:last].strip())


def _cut(box: Box, text: str, first: int, last: int) -> Region:
    whole = _width(text[box.start : box.end]) or 1.0
    before, after = _width(text[box.start : first]) / whole, _width(text[last : box.end]) / whole
    width, height = box.right - box.left, box.bottom - box.top
    if height > TALL * width and box.end - box.start > 2:
        return Region(box.page, box.left, box.top + before * height, box.right, box.bottom - after * height)
    return Region(box.page, box.left + before * width, box.top, box.right - after * width, box.bottom)


def _width(text: str) -> float:
    """About how wide a text is set, in halves of a Chinese character."""
    if text.isascii():
        return float(len(text))
    return float(sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text))
