"""PDF: pages with their lines, by pdfium; a page that comes out garbled by pypdf, and else from recognised text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from services.core.document_errors import Damaged, Garbled
from services.core.errors import AppError
from services.core.i18n import N_
from services.knowledge.loaders.assembly import Assembly, check_pages, with_headings
from services.knowledge.loaders.garble import garbled
from services.knowledge.loaders.numbers import numbers_text
from services.knowledge.loaders.pdf_outline import headings
from services.knowledge.loaders.pdf_pages import Page, Pdfium, Pypdf
from services.knowledge.loaders.protocol import Aids, Limits, Sample
from services.knowledge.positions import Piece
from services.knowledge.types import Extracted, Notice

SIGNATURE = b"%PDF-"
HARDLY_ANY = 40
"""Characters beside a picture that may be a stamp or a page number on a scan."""


class PdfLoader:
    """Text in reading order of the file; bookmarks become headings."""

    media_types = ("application/pdf",)
    extensions = (".pdf",)
    textual = False

    def claims(self, sample: Sample) -> bool:
        """The signature at the beginning, or near it in a file of that name."""
        near = sample.suffix in self.extensions and SIGNATURE in sample.head[:1024]
        return near or sample.head.lstrip().startswith(SIGNATURE)

    def load(self, path: Path, name: str, limits: Limits) -> Extracted:
        """See Loader.load."""
        return self.load_with(path, name, limits, Aids())

    def load_with(self, path: Path, name: str, limits: Limits, aids: Aids) -> Extracted:
        """See HelpedLoader.load_with."""
        first = Pdfium.opened(path, name, aids.password)
        second = Pypdf(path, name, aids.password)
        source: Pdfium | Pypdf = first if first and first.readable() else second
        check_pages(len(source), name, limits)
        if not len(source):
            raise Damaged(name=name, reason=N_("it has no pages"))
        reading = _Reading(Assembly(name, limits), aids)
        for index in range(len(source)):
            page = source.page(index)
            if source is first and (page is None or garbled(page.text)):
                page = _better(page, second, index)
            reading.add(page)
            aids.page_read()
        document = reading.extracted(self.media_types[0], name)
        return with_headings(document, headings(document, source.bookmarks()))


def _better(page: Page | None, second: Pypdf, index: int) -> Page | None:
    """The page as the other extractor reads it, if that one can."""
    try:
        found = second.page(index) if index < len(second) else None
    except AppError:
        return page  # it cannot open the file at all
    return found if found and found.text.strip() and not garbled(found.text) else page


class _Reading:
    """Writes pages down and remembers those that could not be read."""

    def __init__(self, assembly: Assembly, aids: Aids) -> None:
        self._assembly = assembly
        self._aids = aids
        self._total = 0
        self._unreadable: list[int] = []
        self._pictures: list[int] = []
        self._blank: list[int] = []
        self._recognised: list[int] = []

    def add(self, page: Page | None) -> None:
        """Add the next page: its text, or else what was recognised on it, or nothing."""
        self._total += 1
        bad = page is None or garbled(page.text)
        scanned = page is not None and page.pictures and len(page.text.strip()) < HARDLY_ANY
        pieces: tuple[Piece, ...] = () if bad or page is None else page.pieces
        seen = self._aids.recognised.get(self._total, ()) if bad or scanned else ()
        if seen and sum(len(piece.text) for piece in seen) > sum(len(piece.text) for piece in pieces):
            self._recognised.append(self._total)
            self._assembly.page_of(seen)
            return
        self._assembly.page_of(pieces)
        if bad or scanned:
            self._aids.unread.append(self._total)
        if bad:
            self._unreadable.append(self._total)
        elif scanned and not (page and page.text.strip()):
            looked_at = self._total in self._aids.recognised
            (self._blank if looked_at else self._pictures).append(self._total)

    def extracted(self, media_type: str, name: str) -> Extracted:
        """The document. Raises: Garbled, NoExtractableText."""
        if self._unreadable and not self._assembly.has_text:
            raise Garbled(name=name, pages=numbers_text(self._unreadable))
        return self._assembly.extracted(media_type, self._notices())

    def _notices(self) -> Iterator[Notice]:
        for code, numbers in (
            ("pages_unreadable", self._unreadable),
            ("pages_without_text", self._pictures),
            ("pages_blank", self._blank),
            ("pages_recognised", self._recognised),
        ):
            if numbers:
                yield Notice(code, {"pages": numbers_text(numbers), "total": self._total})


LOADER = PdfLoader()
