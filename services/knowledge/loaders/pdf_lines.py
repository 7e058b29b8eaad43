"""The lines of a PDF's page as pdfium finds them, each with its place on the page as it is shown."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Iterator
from typing import Any

import pypdfium2.raw as pdfium

from services.knowledge.loaders.assembly import normalise
from services.knowledge.positions import Edges, Piece

_BREAK = re.compile("(?P<hyphen>[\ufffe\u00ad\x02](?:\r?\n)?)|\r?\n")
"""A line ends at a line end, or where a word was parted: then the word goes on without one."""
_FINE = 1 << 20


def lines(page: Any, textpage: Any, text: str) -> Iterator[Piece]:
    """The page's whole text in pieces, which joined are the text without line ends inside words."""
    place = _Places(page, textpage, text)
    begin = 0
    for found in _BREAK.finditer(text):
        yield Piece(_clean(text[begin : found.start()]), place.of(begin, found.start()))
        if not found["hyphen"]:
            yield Piece("\n")
        begin = found.end()
    yield Piece(_clean(text[begin:]), place.of(begin, len(text)))


def _clean(line: str) -> str:
    return normalise(line).replace("\n", " ")


class _Places:
    """Finds where stretches of a page's text stand."""

    def __init__(self, page: Any, textpage: Any, text: str) -> None:
        self._text = text
        self._raw = textpage.raw
        self._wide = bool(text) and max(text) > "\uffff"  # pdfium counts UTF-16 units
        self._turn = _turn(page)
        self._edges = [ctypes.c_double() for _ in range(4)]
        self._pointers = [ctypes.byref(edge) for edge in self._edges]

    def of(self, start: int, end: int) -> Edges | None:
        """The box around `text[start:end]` in fractions of the page; None where nothing is drawn."""
        stretch = self._text[start:end]
        if not stretch.strip():
            return None
        start += len(stretch) - len(stretch.lstrip())
        end -= len(stretch) - len(stretch.rstrip())
        first = pdfium.FPDFText_GetCharIndexFromTextIndex(self._raw, self._units(start))
        last = pdfium.FPDFText_GetCharIndexFromTextIndex(self._raw, self._units(end - 1))
        if first < 0 or last < first:
            return None
        found = [self._rectangle(n) for n in range(pdfium.FPDFText_CountRects(self._raw, first, last - first + 1))]
        return self._turn(found) if found else None

    def _units(self, offset: int) -> int:
        return len(self._text[:offset].encode("utf-16-le", "surrogatepass")) // 2 if self._wide else offset

    def _rectangle(self, number: int) -> tuple[float, ...]:
        left, top, right, bottom = self._pointers
        pdfium.FPDFText_GetRect(self._raw, number, left, top, right, bottom)
        return tuple(edge.value for edge in self._edges)


def _turn(page: Any) -> Callable[[list[tuple[float, ...]]], Edges]:
    """How rectangles of the page's own space become the box around them on the page as it is shown, turned and cut."""
    x, y = ctypes.c_int(), ctypes.c_int()

    def shown(across: float, up: float) -> tuple[float, float]:
        pdfium.FPDF_PageToDevice(page.raw, 0, 0, _FINE, _FINE, 0, across, up, ctypes.byref(x), ctypes.byref(y))
        return x.value / _FINE, y.value / _FINE

    zero, right, up = shown(0, 0), shown(1000, 0), shown(0, 1000)
    along = [(right[axis] - zero[axis]) / 1000 for axis in (0, 1)]
    upwards = [(up[axis] - zero[axis]) / 1000 for axis in (0, 1)]

    def box(rectangles: list[tuple[float, ...]]) -> Edges:
        corners = [(r[column], r[row]) for r in rectangles for column in (0, 2) for row in (1, 3)]
        xs = [zero[0] + along[0] * a + upwards[0] * u for a, u in corners]
        ys = [zero[1] + along[1] * a + upwards[1] * u for a, u in corners]
        return min(xs), min(ys), max(xs), max(ys)

    return box
