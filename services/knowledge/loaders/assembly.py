"""Putting a document's text together: cleaned, joined, with the places of its pages and headings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import accumulate

from services.core.errors import NoExtractableText, TooLarge
from services.core.i18n import N_
from services.core.phrases import phrase
from services.knowledge.loaders.protocol import Limits
from services.knowledge.positions import Box, Boxes, Piece
from services.knowledge.types import Extracted, Heading, Notice, PageSpan

JOIN = "\n\n"
LONGEST_TITLE = 200
"""A longer one is a paragraph that somebody set in large letters."""
_LINE_ENDS = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_UNSEEN = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ufeff\ufffe\uffff\ud800-\udfff]")
_BLANK_LINES = re.compile(r"\n(?:[ \t]*\n){3,}")


def normalise(text: str) -> str:
    """Text with "\\n" as its only line end, no control characters but tab, and at most two blank lines in a row."""
    return _BLANK_LINES.sub("\n\n", _UNSEEN.sub("", _LINE_ENDS.sub("\n", text)))


def check_characters(count: int, name: str, limits: Limits) -> None:
    """Raises: TooLarge beyond the limit of characters."""
    if count > limits.characters:
        size, limit = (phrase(N_("{count} characters"), count=f"{n:,}") for n in (count, limits.characters))
        raise TooLarge(name=name, size=size, limit=limit, setting="max_characters")


def check_pages(count: int, name: str, limits: Limits) -> None:
    """Raises: TooLarge beyond the limit of pages."""
    if count > limits.pages:
        size, limit = (phrase(N_("{count} pages"), count=f"{n:,}") for n in (count, limits.pages))
        raise TooLarge(name=name, size=size, limit=limit, setting="max_pages")


class Assembly:
    """A document as it grows block by block; stops at the limit of characters."""

    def __init__(self, name: str, limits: Limits) -> None:
        self._name = name
        self._limits = limits
        self._parts: list[str] = []
        self._length = 0
        self._pages: list[PageSpan] = []
        self._headings: list[Heading] = []
        self._boxes = bytearray()

    def paragraph(self, text: str) -> None:
        """Add a block of text; an empty one adds nothing."""
        if cleaned := normalise(text).strip():
            self._append(cleaned)

    def heading(self, text: str, level: int) -> None:
        """Add a heading as a line of its own; level 1 is the highest."""
        title = " ".join(normalise(text).split())
        if len(title) > LONGEST_TITLE:
            self.paragraph(title)
        elif title:
            self._headings.append(Heading(self._append(title), level, title))

    def insert(self, document: Extracted, below: int) -> None:
        """Add another document's text with its headings, which stand below level `below`."""
        start = self._append(document.text)
        for heading in document.headings:
            self._headings.append(Heading(start + heading.start, min(below + heading.level, 9), heading.title))

    def page(self, text: str) -> None:
        """Add the next page, which may be empty."""
        self.page_of([Piece(text)])

    def page_with_heading(self, title: str, blocks: Iterable[str]) -> None:
        """Add the next page: a heading of level 1, if it has one, and blocks of text."""
        heading = " ".join(normalise(title).split())
        is_title = 0 < len(heading) <= LONGEST_TITLE
        cleaned = [normalise(block).strip() for block in blocks]
        self.page(JOIN.join(block for block in (heading, *cleaned) if block))
        if is_title:
            self._headings.append(Heading(self._pages[-1].start, 1, heading))

    def page_of(self, pieces: Sequence[Piece]) -> None:
        """Add the next page with the places of its lines, as far as its text is normal already."""
        raw = "".join(piece.text for piece in pieces)
        cleaned = normalise(raw).strip()
        start, number = self._append(cleaned), len(self._pages) + 1
        self._pages.append(PageSpan(number, start, start + len(cleaned)))
        if raw.strip() == cleaned:
            first = start - (len(raw) - len(raw.lstrip()))
            begins = accumulate((len(piece.text) for piece in pieces), initial=first)
            boxes = (
                Box(max(begin, start), min(begin + len(piece.text), self._length), number, *piece.edges)
                for begin, piece in zip(begins, pieces, strict=False)
                if piece.edges and piece.text.strip()
            )
            self._boxes += Boxes.of(boxes).packed

    @property
    def has_text(self) -> bool:
        """Whether anything but white space was added."""
        return any(part.strip() for part in self._parts)

    def extracted(self, media_type: str, notices: Iterable[Notice] = ()) -> Extracted:
        """The document.

        Raises: NoExtractableText.
        """
        text = JOIN.join(self._parts)
        if not text.strip():
            raise NoExtractableText(name=self._name, pages=len(self._pages) or 1)
        return Extracted(
            text, media_type, tuple(self._pages), tuple(self._headings), tuple(notices), Boxes(bytes(self._boxes))
        )

    def _append(self, text: str) -> int:
        start = self._length + len(JOIN) if self._parts else 0
        self._parts.append(text)
        self._length = start + len(text)
        check_characters(self._length, self._name, self._limits)
        return start


def with_headings(document: Extracted, headings: Iterable[Heading]) -> Extracted:
    """The document with these headings, in the order of the text."""
    return replace(document, headings=tuple(sorted(headings, key=lambda heading: heading.start)))
