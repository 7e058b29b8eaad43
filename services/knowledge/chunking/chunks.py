"""From cuts to chunks: trimmed, fitted to the embedder's window, numbered, with page and headings."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from math import ceil

from services.core.errors import InvalidValue
from services.core.i18n import N_
from services.knowledge.chunking.parts import HeadingPaths
from services.knowledge.chunking.protocol import Chunker, CountTokens, Cut, Tools
from services.knowledge.chunking.recursive import Span
from services.knowledge.types import Chunk, Extracted, Notice

GROUP_CUTS = 64
"""Cuts whose tokens are counted at once."""
_BORDER = re.compile(r"\s+|[。！？；，、.!?;,]+")


def make_chunks(document: Extracted, chunker: Chunker, tools: Tools) -> tuple[list[Chunk], list[Notice]]:
    """Cut a document into chunks that the embedder can read whole.

    Raises: InvalidValue where the embedder's window has no room for text; Unwanted; what the chunker raises.
    """
    window = _Window(tools.window_tokens, tools.count_tokens)
    paths = HeadingPaths(document.headings)
    starts = [page.start for page in document.pages]
    chunks: list[Chunk] = []
    cut_again = unsaid = 0
    for group in _groups(_trimmed_cut(document.text, cut) for cut in chunker.cuts(document)):
        window.look_at(_indexed(cut, document.text[cut.start : cut.end]) for cut in group)
        for cut in group:
            page = document.pages[bisect_right(starts, cut.start) - 1].number if starts else None
            pieces = list(_fitted(document.text, cut, chunks[-1] if chunks else None, window))
            cut_again += len(pieces) > 1
            unsaid += sum(piece.statement is None for piece in pieces)
            for piece in pieces:
                chunks.append(_chunk(document.text, piece, page, paths.at(piece.start), len(chunks)))
    return chunks, list(_notices(chunker, cut_again, unsaid))


def _groups(cuts: Iterator[Cut]) -> Iterator[list[Cut]]:
    while group := list(islice(cuts, GROUP_CUTS)):
        yield group


def _trimmed_cut(text: str, cut: Cut) -> Cut:
    start, end = _trimmed(text, cut.start, cut.end)
    return replace(cut, start=start, end=end, shown=cut.shown and _trimmed(text, *cut.shown))


def _indexed(cut: Cut, text: str) -> str:
    """What is embedded of a cut."""
    return cut.statement or (f"{cut.context}\n{text}" if cut.context else text)


def _fitted(text: str, cut: Cut, earlier: Chunk | None, window: _Window) -> Iterator[Cut]:
    """A cut as pieces that the embedder can read whole, trimmed."""
    if cut.statement and window.fits(cut.statement):
        yield cut
        return
    start, context = cut.start, window.short(cut.context)
    if earlier:
        start = _without_spare_overlap(text, replace(cut, context=context), earlier, window)
    for piece in window.fitting(text, start, cut.end, context):
        yield Cut(*piece, context, shown=cut.shown)


def _without_spare_overlap(text: str, cut: Cut, earlier: Chunk, window: _Window) -> int:
    """Where a cut begins when its overlap is given up before it is cut again, and never reaches behind `earlier`."""
    start = max(cut.start, earlier.start)
    return start if window.fits(_indexed(cut, text[start : cut.end])) else max(start, earlier.end)


def _chunk(text: str, piece: Cut, page: int | None, heading: str, ordinal: int) -> Chunk:
    own = text[piece.start : piece.end]
    embedded = _indexed(piece, own)
    shown = piece.shown if piece.shown != (piece.start, piece.end) else None
    return Chunk(
        *(ordinal, piece.start, piece.end, own, page, heading, piece.context),
        embedded if embedded != own else None,
        *(shown or (None, None)),
    )


def _notices(chunker: Chunker, cut_again: int, unsaid: int) -> Iterator[Notice]:
    if cut_again:
        yield Notice("chunks_split_at_window", {"count": cut_again})
    if chunker.spec.key == "propositions" and unsaid:
        yield Notice("passages_not_rewritten", {"count": unsaid})


class _Window:
    """What fits into an embedder at once.

    Counting is spared where it cannot matter: a tokenizer makes at most one token of each UTF-8 byte of the normalised
    text (NFKC may lengthen a character eighteenfold), besides what it needs for an empty text and a leading space.
    """

    def __init__(self, tokens: int, count_tokens: CountTokens) -> None:
        self._tokens = tokens
        self._count = count_tokens
        self._known: dict[str, int] = {}
        self._contexts: dict[str, str] = {}
        self._room = tokens - self._counted("") - 1
        if self._room < 1:
            raise InvalidValue(field="window_tokens", value=tokens, reason=N_("it has no room for text"))

    def look_at(self, texts: Iterable[str]) -> None:
        """Count texts at once that will be asked for soon; what was counted before is forgotten."""
        unsure = [text for text in texts if not self._surely_fits(text)]
        self._known = dict(zip(unsure, self._count(unsure), strict=True)) if unsure else {}

    def fits(self, text: str) -> bool:
        """Whether the embedder can read a text whole."""
        return self._surely_fits(text) or self._counted(text) <= self._tokens

    def short(self, context: str) -> str:
        """As much of a context as leaves half of the window to the text."""
        if context not in self._contexts:
            kept = context
            while kept and self._counted(kept) > self._tokens // 2:
                kept = kept[: len(kept) // 2]
            self._contexts = {context: kept}  # neighbours mostly have the same
        return self._contexts[context]

    def fitting(self, text: str, start: int, end: int, context: str) -> Iterator[Span]:
        """The trimmed span, cut where it would not fit together with the context; nothing for white space."""
        before = f"{context}\n" if context else ""
        start, end = _trimmed(text, start, end)
        while start < end:
            whole = self.fits(before + text[start:end])
            cut = end if whole else self._cut(text, start, self._even_end(before, text, start, end), before)
            yield _trimmed(text, start, cut)
            start, end = _trimmed(text, cut, end)

    def _surely_fits(self, text: str) -> bool:
        return len(text) <= self._room and len(unicodedata.normalize("NFKC", text).encode()) <= self._room

    def _counted(self, text: str) -> int:
        known = self._known.get(text)
        return self._count([text])[0] if known is None else known

    def _even_end(self, before: str, text: str, start: int, end: int) -> int:
        """Where the first piece should end so that no small rest is left over."""
        taken = self._counted(before.strip()) if before else 0
        pieces = ceil(self._counted(before + text[start:end]) / max(self._room - taken, 1))
        return start + ceil((end - start) / pieces) + 1

    def _cut(self, text: str, start: int, end: int, before: str) -> int:
        """The end of a beginning that fits and is shorter than `end`; a single character is never cut."""
        fits, beyond = start + 1, end
        while beyond - fits > 1:
            middle = (fits + beyond) // 2
            if self.fits(before + text[start:middle]):
                fits = middle
            else:
                beyond = middle
        borders = [found.end() for found in _BORDER.finditer(text, (start + fits) // 2, fits)]
        natural = borders[-1] if borders else fits
        return natural if self.fits(before + text[start:natural]) else fits


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    inside = text[start:end]
    return start + len(inside) - len(inside.lstrip()), end - (len(inside) - len(inside.rstrip()))
