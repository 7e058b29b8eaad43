"""PDF: pages with their text, by pdfium; by pypdf where pdfium cannot open the file."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pypdfium2
import pypdfium2.raw

from services.core.errors import Damaged, Encrypted, Garbled
from services.core.i18n import N_
from services.knowledge.loaders.assembly import Assembly, Piece, check_pages, normalise, with_headings
from services.knowledge.loaders.pdf_lines import lines
from services.knowledge.loaders.protocol import Limits, Sample
from services.knowledge.types import Extracted, Heading, Notice

SIGNATURE = b"%PDF-"
UNREADABLE_SHARE = 0.3
LONGEST_TITLE = 200


class _Page(NamedTuple):
    text: str
    """As the extractor gave it: what is wrong with it shows before it is cleaned."""
    pieces: tuple[Piece, ...]
    pictures: bool


class _Bookmark(NamedTuple):
    page: int
    level: int
    title: str


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
        found = _by_pdfium(path, name, limits) or _by_pypdf(path, name, limits)
        if not found:
            raise Damaged(name=name, reason=N_("it has no pages"))
        pages, bookmarks = found
        unreadable = {number for number, page in enumerate(pages, 1) if unreadable_share(page.text) > UNREADABLE_SHARE}
        if unreadable and not any(page.text.strip() for n, page in enumerate(pages, 1) if n not in unreadable):
            raise Garbled(name=name, pages=numbers_text(sorted(unreadable)))
        assembly = Assembly(name, limits)
        for number, page in enumerate(pages, 1):
            assembly.page_of(() if number in unreadable else page.pieces)
        pictures = [number for number, page in enumerate(pages, 1) if page.pictures and not page.text.strip()]
        document = assembly.extracted(self.media_types[0], _notices(sorted(unreadable), pictures, len(pages)))
        return with_headings(document, _headings(document, bookmarks))


def unreadable_share(text: str) -> float:
    """The share of a page's characters that are no characters: replacements, private use, unassigned, controls."""
    seen = [letter for letter in text if not letter.isspace() and letter not in "\ufffe\u0002"]
    bad = sum(letter == "\ufffd" or unicodedata.category(letter) in ("Co", "Cn", "Cs", "Cc") for letter in seen)
    return bad / len(seen) if seen else 0.0


def numbers_text(numbers: list[int]) -> str:
    """Page numbers for people: 3, 7, 9–12."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def _notices(unreadable: list[int], pictures: list[int], total: int) -> Iterator[Notice]:
    for code, numbers in (("pages_unreadable", unreadable), ("pages_without_text", pictures)):
        if numbers:
            yield Notice(code, {"pages": numbers_text(numbers), "total": total})


def _by_pdfium(path: Path, name: str, limits: Limits) -> tuple[list[_Page], list[_Bookmark]] | None:
    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == pypdfium2.raw.FPDF_ERR_PASSWORD:
            raise Encrypted(name=name) from error
        return None
    check_pages(len(document), name, limits)
    pages: list[_Page | None] = []
    characters = 0
    for index in range(len(document)):
        pages.append(_pdfium_page(document, index))
        characters += len(pages[-1].text) if pages[-1] else 0
        if characters > limits.characters:
            break  # the assembly says so
    readable = any(page is not None for page in pages)
    return ([page or _Page("", (), False) for page in pages], list(_bookmarks(document))) if readable else None


def _pdfium_page(document: Any, index: int) -> _Page | None:
    try:
        page = document[index]
        textpage = page.get_textpage()
        text = textpage.get_text_range()
        pieces = tuple(lines(page, textpage, text))
        kinds = (pypdfium2.raw.FPDF_PAGEOBJ_IMAGE,)
        pictures = not text.strip() and next(iter(page.get_objects(filter=kinds)), None) is not None
        textpage.close()
        page.close()
    except pypdfium2.PdfiumError:
        return None
    return _Page(text, pieces, pictures)


def _bookmarks(document: Any) -> Iterator[_Bookmark]:
    try:
        for bookmark in document.get_toc():
            destination = bookmark.get_dest()
            index = destination.get_index() if destination else None
            title = " ".join(bookmark.get_title().split())[:LONGEST_TITLE]
            if index is not None and title:
                yield _Bookmark(index, bookmark.level + 1, title)
    except (pypdfium2.PdfiumError, ValueError, UnicodeError):
        return  # a broken outline takes no text away


def _headings(document: Extracted, bookmarks: list[_Bookmark]) -> Iterator[Heading]:
    """A heading begins where its page shows the bookmark's title, or else at the top of the page."""
    for bookmark in bookmarks:
        if bookmark.page < len(document.pages):
            page = document.pages[bookmark.page]
            words = r"\s*".join(re.escape(word) for word in bookmark.title.split())
            shown = re.compile(words).search(document.text, page.start, page.end)
            yield Heading(shown.start() if shown else page.start, bookmark.level, bookmark.title)


def _by_pypdf(path: Path, name: str, limits: Limits) -> tuple[list[_Page], list[_Bookmark]] | None:
    import pypdf

    try:
        reader = pypdf.PdfReader(path)
        if reader.is_encrypted and not reader.decrypt(""):
            raise Encrypted(name=name)
        check_pages(len(reader.pages), name, limits)
        pages = [_plain_page(page.extract_text()) for page in reader.pages]
    except pypdf.errors.PyPdfError as error:
        raise Damaged(name=name, reason=str(error).rstrip(".")) from error
    return (pages, []) if pages else None


def _plain_page(text: str) -> _Page:
    return _Page(text, (Piece(normalise(text)),), False)


LOADER = PdfLoader()
