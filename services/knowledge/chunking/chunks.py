"""From spans to chunks: trimmed, fitted to the embedder's window, numbered, with page and headings."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterator
from math import ceil

from services.core.errors import InvalidValue
from services.core.i18n import N_
from services.knowledge.chunking.protocol import Chunker
from services.knowledge.types import Chunk, Extracted, Heading, Notice

HEADING_JOIN = " › "
_BORDER = re.compile(r"\s+|[。！？；，、.!?;,]+")

CountTokens = Callable[[str], int]


def make_chunks(
    document: Extracted, chunker: Chunker, window_tokens: int, count_tokens: CountTokens
) -> tuple[list[Chunk], list[Notice]]:
    """Cut a document into chunks that the embedder can read whole.

    Args:
        window_tokens: the embedder's window.
        count_tokens: tokens that a text takes in it, prefix and special tokens included.

    Raises: InvalidValue where the window has no room for text.
    """
    window = _Window(window_tokens, count_tokens)
    paths = _HeadingPaths(document.headings)
    chunks: list[Chunk] = []
    cut_again = 0
    for page, begin, finish in _page_spans(document, chunker):
        if chunks:
            begin = _without_spare_overlap(document.text, begin, finish, chunks[-1], window)
        pieces = list(window.fitting(document.text, begin, finish))
        cut_again += len(pieces) > 1
        for start, end in pieces:
            chunks.append(Chunk(len(chunks), start, end, document.text[start:end], page, paths.at(start)))
    notices = [Notice("chunks_split_at_window", {"count": cut_again})] if cut_again else []
    return chunks, notices


def _page_spans(document: Extracted, chunker: Chunker) -> Iterator[tuple[int | None, int, int]]:
    """Page, start and end of each span. A span never runs over the end of a page: a citation names one page."""
    if not document.pages:
        yield from ((None, start, end) for start, end in chunker.spans(document))
    for page in document.pages:
        alone = Extracted(document.text[page.start : page.end], document.media_type)
        yield from ((page.number, page.start + start, page.start + end) for start, end in chunker.spans(alone))


def _without_spare_overlap(text: str, start: int, end: int, earlier: Chunk, window: _Window) -> int:
    """Where a span begins when its overlap is given up before it is cut again, and never reaches behind `earlier`."""
    start = max(start, earlier.start)
    return start if window.fits(text[start:end]) else max(start, earlier.end)


class _Window:
    """What fits into an embedder at once.

    Counting is spared where it cannot matter: a tokenizer makes at most one token of each UTF-8 byte of the normalised
    text (NFKC may lengthen a character eighteenfold), besides what it needs for an empty text and a leading space.
    """

    def __init__(self, tokens: int, count_tokens: CountTokens) -> None:
        self._tokens = tokens
        self._count = count_tokens
        self._room = tokens - count_tokens("") - 1
        if self._room < 1:
            raise InvalidValue(field="window_tokens", value=tokens, reason=N_("it has no room for text"))

    def fitting(self, text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The trimmed span, cut where it would not fit; nothing for white space."""
        start, end = _trimmed(text, start, end)
        while start < end:
            cut = end if self.fits(text[start:end]) else self._cut(text, start, self._even_end(text, start, end))
            yield _trimmed(text, start, cut)
            start, end = _trimmed(text, cut, end)

    def fits(self, text: str) -> bool:
        """Whether the embedder can read a text whole."""
        if len(text) <= self._room and len(unicodedata.normalize("NFKC", text).encode()) <= self._room:
            return True
        return self._count(text) <= self._tokens

    def _even_end(self, text: str, start: int, end: int) -> int:
        """Where the first piece should end so that no small rest is left over."""
        pieces = ceil(self._count(text[start:end]) / self._room)
        return start + ceil((end - start) / pieces) + 1

    def _cut(self, text: str, start: int, end: int) -> int:
        """The end of a beginning that fits and is shorter than `end`; a single character is never cut."""
        fits, beyond = start + 1, end
        while beyond - fits > 1:
            middle = (fits + beyond) // 2
            if self.fits(text[start:middle]):
                fits = middle
            else:
                beyond = middle
        borders = [found.end() for found in _BORDER.finditer(text, (start + fits) // 2, fits)]
        natural = borders[-1] if borders else fits
        return natural if self.fits(text[start:natural]) else fits


class _HeadingPaths:
    """The headings above an offset; offsets may come in any order."""

    def __init__(self, headings: tuple[Heading, ...]) -> None:
        self._starts: list[int] = []
        self._paths: list[str] = []
        above: list[Heading] = []
        for heading in headings:
            above = [*(other for other in above if other.level < heading.level), heading]
            self._starts.append(heading.start)
            self._paths.append(HEADING_JOIN.join(other.title for other in above))

    def at(self, offset: int) -> str:
        """The path of headings that stand at the offset or above it."""
        index = bisect_right(self._starts, offset)
        return self._paths[index - 1] if index else ""


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    inside = text[start:end]
    return start + len(inside) - len(inside.lstrip()), end - (len(inside) - len(inside.rstrip()))
