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
_WORD_BEFORE, _WORD_AFTER = re.compile(r"[^\W_]+\Z"), re.compile(r"[^\W_]+")
_FINE = 1 << 20


BESIDE = 0.5
"""The share of the lower piece's height in which two pieces of one line overlap."""
FULL = 8
"""Characters of a line from which on it may have been full: shorter ones are cells and headings."""
APART, UNLIKE = 2.0, 0.2
"""In heights of a line: how far apart two lines of one paragraph begin, and how much their heights differ."""
_OPEN_END = re.compile(r"[\u3400-\u9fff，、（《“‘]\s*\Z")
_GOING_ON = re.compile(
    r"\s*(?!\d+(?:\.\d+)+\s|\d+[.、)）]|第.{1,3}[章节條条]|[一二三四五六七八九十]+、)[\u3400-\u9fff\d，。、；：）》”’（《“‘]"
)
CELL_GAP = 1.0
WORD_GAP = 0.15
"""In heights of the line: what stands further apart is another cell, or another word."""


def lines(page: Any, textpage: Any, text: str) -> Iterator[Piece]:
    """The page's whole text in pieces, which joined are the text without line ends inside words and lines."""
    width, height = page.get_size()
    before: Piece | None = None
    ended = False
    for piece in _pieces(page, textpage, text):
        if piece.text == "\n":
            if ended:
                yield piece
            ended = True
            continue
        if ended:
            yield Piece(_between(before, piece, width / max(height, 1.0)))
            ended = False
        yield piece
        before = piece if piece.edges else None


def _between(before: Piece | None, after: Piece, shape: float) -> str:
    """A line end; or less where both pieces stand in one line, as raised letters and cells of a table do.

    Args:
        shape: the page's width over its height.
    """
    if before is None or before.edges is None or after.edges is None:
        return "\n"
    (_, top, right, bottom), (left, upper, _, lower) = before.edges, after.edges
    high = max(min(bottom - top, lower - upper), 1e-6)
    gap = (left - right) * shape / high
    if min(bottom, lower) - max(top, upper) < BESIDE * high or gap < -BESIDE:
        return "" if _goes_on(before, after, shape) else "\n"
    return "\t" if gap > CELL_GAP else " " if gap > WORD_GAP else ""


def _goes_on(before: Piece, after: Piece, shape: float) -> bool:
    """Whether a line of Chinese only ended because it was full: then its words, which know no spaces, go on below.

    A full line reaches as far to the right as the next one; what begins further in is a new paragraph.
    """
    if before.edges is None or after.edges is None or len(before.text) < FULL:
        return False
    if not (_OPEN_END.search(before.text) and _GOING_ON.match(after.text)):
        return False
    (left, top, right, bottom), (begin, upper, finish, lower) = before.edges, after.edges
    high, wide = bottom - top, (bottom - top) / max(shape, 1e-6)
    alike = abs((lower - upper) - high) < UNLIKE * high
    return alike and 0 < upper - top < APART * high and right > finish - wide and begin < left + wide


def _pieces(page: Any, textpage: Any, text: str) -> Iterator[Piece]:
    place = _Places(page, textpage, text)
    begin = 0
    for found in _BREAK.finditer(text):
        hyphen = "-" if found["hyphen"] and _compound(text, found.start(), found.end()) else ""
        yield Piece(_clean(text[begin : found.start()]) + hyphen, place.of(begin, found.start()))
        if not found["hyphen"]:
            yield Piece("\n")
        begin = found.end()
    yield Piece(_clean(text[begin:]), place.of(begin, len(text)))


def _compound(text: str, end: int, start: int) -> bool:
    """Whether the hyphen belongs to the word: before a capital or figure, or as the page writes it elsewhere."""
    left, right = _WORD_BEFORE.search(text, max(0, end - 40), end), _WORD_AFTER.match(text, start)
    if not left or not right:
        return False
    return not right[0][0].islower() or f"{left[0]}-{right[0]}" in text


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
