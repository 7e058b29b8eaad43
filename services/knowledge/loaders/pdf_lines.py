"""The lines of a PDF's page as pdfium finds them, each with its place on the page as it is shown."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import pypdfium2.raw as pdfium

from services.knowledge.loaders.assembly import normalise
from services.knowledge.loaders.pdf_space import Matrix, as_shown
from services.knowledge.positions import Edges, Piece

_BREAK = re.compile("(?P<hyphen>[\ufffe\u00ad\x02](?:\r?\n)?)|\r?\n")
"""A line ends at a line end, or where a word was parted: then the word goes on without one."""
_WORD_BEFORE, _WORD_AFTER = re.compile(r"[^\W_]+\Z"), re.compile(r"[^\W_]+")

BESIDE = 0.5
"""The share of the lower piece's height in which two pieces of one line overlap."""
FULL, FULL_OF_WORDS = 8, 30
"""Characters of a line from which on it may have been full, in Chinese and in words: shorter ones are no sentences."""
APART, UNLIKE = 2.0, 0.2
"""In heights of a line: how far apart two lines of one paragraph begin, and how much their heights differ."""
_OPEN_END = re.compile(r"[\u3400-\u9fff，、（《“‘]\s*\Z")
_GOING_ON = re.compile(
    r"\s*(?!\d+(?:\.\d+)+\s|\d+[.、)）]|第.{1,3}[章节條条]|[一二三四五六七八九十]+、)[\u3400-\u9fff\d，。、；：）》”’（《“‘]"
)
_OPEN_WORDS = re.compile(r"(?:[^\W_]|[,)\]\"'’”%-])\s*\Z")
_ITEM = re.compile(r"\s*(?:[-–*•·▪●○]|\(?(?:\d{1,2}|[a-z])[.)])\s")
HANGING = 4.0
"""In heights of a line: how much further in the text of a list's entry may stand than its mark."""
_NEXT_WORD = re.compile(r"\s*[(\[\"'‘“]*([^\W\d_])(\S?)\S*")
CELL_GAP = 1.0
WORD_GAP = 0.15
"""In heights of the line: what stands further apart is another cell, or another word."""


class Block(NamedTuple):
    """Pieces that stand apart from the text around them by blank lines."""

    pieces: tuple[Piece, ...]


Style = tuple[bytes, int, int, tuple[int, ...]]
"""The font with its weight and size, and the colour."""


class Stretch(NamedTuple):
    """A line of the text, from and to; the hyphen that its last word keeps, and whether a line end follows."""

    start: int
    end: int
    hyphen: str
    ended: bool


def lines(items: Iterable[Piece | Block], shape: float) -> Iterator[Piece]:
    """The page's whole text in pieces, which joined are the text without line ends inside words and lines.

    Args:
        items: the text as pdfium gives it, each line end a piece of its own.
        shape: the page's width over its height.
    """
    before: Piece | None = None
    begun = ended = apart = False
    for item in items:
        if isinstance(item, Block):
            if begun:
                yield Piece("\n\n")
            yield from item.pieces
            begun, ended, apart, before = True, False, True, None
        elif apart and not item.text.strip():
            continue
        elif item.text == "\n":
            if ended:
                yield item
            ended = True
        else:
            if apart:
                yield Piece("\n\n")
            elif ended:
                yield Piece(between(before, item, shape))
            yield item
            begun, ended, apart = True, False, False
            before = item if item.edges else None


def between(before: Piece | None, after: Piece, shape: float) -> str:
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
        return _goes_on(before, after, shape)
    return "\t" if gap > CELL_GAP else " " if gap > WORD_GAP else ""


def _goes_on(before: Piece, after: Piece, shape: float) -> str:
    """Nothing or a space where a line ended only because it was full, and its sentence goes on below; else a line end.

    A full line of Chinese, which knows no spaces, reaches as far to the right as the next one; one of words would not
    have held the first word of the next one as well. What begins further in is a new paragraph, but for a list's entry.
    """
    if before.edges is None or after.edges is None:
        return "\n"
    (left, top, right, bottom), (begin, upper, finish, lower) = before.edges, after.edges
    high, wide = bottom - top, (bottom - top) / max(shape, 1e-6)
    alike = abs((lower - upper) - high) < UNLIKE * high
    further = HANGING * wide if _ITEM.match(before.text) else wide
    if not (alike and 0 < upper - top < APART * high and begin < left + further):
        return "\n"
    if len(before.text) >= FULL and _OPEN_END.search(before.text) and _GOING_ON.match(after.text):
        return "" if right > finish - wide else "\n"
    word = _NEXT_WORD.match(after.text)
    if word and _within(*word.groups()) and len(before.text) >= FULL_OF_WORDS and _OPEN_WORDS.search(before.text):
        needed = (finish - begin) * (len(word[0]) + 1) / len(after.text)
        space = "" if before.text[-1].isspace() else " "
        return space if right + needed > finish else "\n"
    return "\n"


def _within(first: str, second: str) -> bool:
    """Whether a word that begins so stands within a sentence: in small letters, or an abbreviation."""
    return first.islower() or (first.isupper() and second != "" and not second.islower())


def _compound(text: str, end: int, start: int) -> bool:
    """Whether the hyphen belongs to the word: before a capital or figure, or as the page writes it elsewhere."""
    left, right = _WORD_BEFORE.search(text, max(0, end - 40), end), _WORD_AFTER.match(text, start)
    if not left or not right:
        return False
    return not right[0][0].islower() or f"{left[0]}-{right[0]}" in text


def _clean(line: str) -> str:
    return normalise(line).replace("\n", " ")


class Written:
    """A page's text as pdfium gives it, and where its stretches stand."""

    def __init__(self, page: Any, textpage: Any) -> None:
        self.text: str = textpage.get_text_range()
        self.width, self.height = map(float, page.get_size())
        self._raw = textpage.raw
        self._known: dict[tuple[int, int], Edges | None] = {}
        self._middles: dict[int, tuple[float, float] | None] = {}
        self._wide = bool(self.text) and max(self.text) > "\uffff"  # pdfium counts UTF-16 units
        self._shown = as_shown(page)
        self.points = self._shown.within(Matrix(self.width, 0.0, 0.0, self.height, 0.0, 0.0))
        """How the page's own space becomes points from the top left corner of the page as it is shown."""
        self._edges = [ctypes.c_double() for _ in range(4)]
        self._pointers = [ctypes.byref(edge) for edge in self._edges]

    @property
    def shape(self) -> float:
        """The page's width over its height."""
        return self.width / max(self.height, 1.0)

    def pieces(self) -> Iterator[Piece]:
        """The lines, and each line end as a piece of its own."""
        for stretch in self.stretches():
            yield self.piece(stretch.start, stretch.end, stretch.hyphen)
            if stretch.ended:
                yield Piece("\n")

    def stretches(self) -> Iterator[Stretch]:
        """The lines of the text, and those that end where a word was parted."""
        begin, text = 0, self.text
        for found in _BREAK.finditer(text):
            hyphen = "-" if found["hyphen"] and _compound(text, found.start(), found.end()) else ""
            yield Stretch(begin, found.start(), hyphen, not found["hyphen"])
            begin = found.end()
        yield Stretch(begin, len(text), "", False)

    def piece(self, start: int, end: int, hyphen: str = "") -> Piece:
        """`text[start:end]` as it is to be read, with its place."""
        return Piece(_clean(self.text[start:end]) + hyphen, self.edges(start, end))

    def edges(self, start: int, end: int) -> Edges | None:
        """The box around `text[start:end]` in fractions of the page; None where nothing is drawn."""
        if (start, end) not in self._known:
            self._known[start, end] = self._found(start, end)
        return self._known[start, end]

    def _found(self, start: int, end: int) -> Edges | None:
        stretch = self.text[start:end]
        if not stretch.strip():
            return None
        start += len(stretch) - len(stretch.lstrip())
        end -= len(stretch) - len(stretch.rstrip())
        first, last = self._character(start), self._character(end - 1)
        if first < 0 or last < first:
            return None
        found = [self._rectangle(n) for n in range(pdfium.FPDFText_CountRects(self._raw, first, last - first + 1))]
        return self._shown.around(found) if found else None

    def box(self, start: int, end: int) -> Edges | None:
        """The box around `text[start:end]` in points from the top left corner of the page as it is shown."""
        edges = self.edges(start, end)
        return edges and (
            *(edges[0] * self.width, edges[1] * self.height),
            *(edges[2] * self.width, edges[3] * self.height),
        )

    def middle(self, offset: int) -> tuple[float, float] | None:
        """The middle of a character in points from the top left corner of the page as it is shown."""
        if offset not in self._middles:
            left, top, right, bottom = self._pointers
            drawn = pdfium.FPDFText_GetCharBox(self._raw, self._character(offset), left, right, bottom, top)
            across, up, to_across, to_up = (edge.value for edge in self._edges)
            self._middles[offset] = self.points.of((across + to_across) / 2, (up + to_up) / 2) if drawn else None
        return self._middles[offset]

    def style(self, offset: int) -> Style:
        """How a character is written."""
        character = self._character(offset)
        name, flags, colour = ctypes.create_string_buffer(128), ctypes.c_int(), [ctypes.c_uint() for _ in range(4)]
        pdfium.FPDFText_GetFontInfo(self._raw, character, name, 128, ctypes.byref(flags))
        pdfium.FPDFText_GetFillColor(self._raw, character, *map(ctypes.byref, colour))
        weight, size = (
            ask(self._raw, character) for ask in (pdfium.FPDFText_GetFontWeight, pdfium.FPDFText_GetFontSize)
        )
        return name.value, weight, round(size), tuple(part.value for part in colour)

    def _character(self, offset: int) -> int:
        return int(pdfium.FPDFText_GetCharIndexFromTextIndex(self._raw, self._units(offset)))

    def _units(self, offset: int) -> int:
        return len(self.text[:offset].encode("utf-16-le", "surrogatepass")) // 2 if self._wide else offset

    def _rectangle(self, number: int) -> tuple[float, ...]:
        left, top, right, bottom = self._pointers
        pdfium.FPDFText_GetRect(self._raw, number, left, top, right, bottom)
        return tuple(edge.value for edge in self._edges)
