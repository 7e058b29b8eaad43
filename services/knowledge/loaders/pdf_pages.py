"""The pages of a PDF by either extractor, one at a time, so that a long file takes no more memory than a page."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import pypdfium2
import pypdfium2.raw

from services.core.document_errors import Damaged, PasswordWrong
from services.core.errors import Encrypted
from services.knowledge.loaders.assembly import LONGEST_TITLE, normalise
from services.knowledge.loaders.grids import grids
from services.knowledge.loaders.pdf_cells import GoesOn
from services.knowledge.loaders.pdf_forms import Forms
from services.knowledge.loaders.pdf_lines import Written
from services.knowledge.loaders.pdf_outline import Bookmark
from services.knowledge.loaders.pdf_rules import rules
from services.knowledge.loaders.pdf_tables import page_text
from services.knowledge.positions import Piece

FEW_CHARACTERS, MANY_SHAPES = 100, 30
LOOKED_AT = 20
"""Pages that are tried before the other extractor takes the whole file."""


class Page(NamedTuple):
    """One page."""

    text: str
    """As the extractor gave it: what is wrong with it shows before it is cleaned."""
    pieces: tuple[Piece, ...]
    pictures: bool


class Pdfium:
    """An opened PDF, read by pdfium."""

    def __init__(self, document: Any) -> None:
        self._document = document
        self._forms = Forms(document)
        self._goes_on: dict[int, GoesOn] = {}

    @classmethod
    def opened(cls, path: Path, name: str, password: str | None) -> Pdfium | None:
        """The file; None where pdfium cannot open it. Raises: Encrypted, PasswordWrong."""
        try:
            return cls(pypdfium2.PdfDocument(path, password=password))
        except pypdfium2.PdfiumError as error:
            if getattr(error, "err_code", None) == pypdfium2.raw.FPDF_ERR_PASSWORD:
                raise (PasswordWrong if password else Encrypted)(name=name) from error
            return None

    def __len__(self) -> int:
        return len(self._document)

    def readable(self) -> bool:
        """Whether any of the first pages can be opened."""
        return any(self.page(index) is not None for index in range(min(len(self), LOOKED_AT)))

    def page(self, index: int) -> Page | None:
        """A page; None where it cannot be opened."""
        try:
            page = self._document[index]
            textpage = page.get_textpage()
            written = Written(page, textpage)
            text = written.text
            extra = tuple(self._forms.pieces(page))
            earlier = self._goes_on.get(index - 1)
            read = page_text(written, grids(rules(page, written.points)), earlier)
            self._goes_on = {index: read.goes_on} if read.goes_on else {}
            pieces = (*read.pieces, *extra)
            pictures = len(text) < FEW_CHARACTERS and _shows_pictures(page)
            textpage.close()
            page.close()
        except pypdfium2.PdfiumError:
            return None
        return Page(text + "".join(piece.text for piece in extra), pieces, pictures)

    def bookmarks(self) -> Iterator[Bookmark]:
        """The outline, as far as it leads to pages."""
        try:
            for bookmark in self._document.get_toc():
                destination = bookmark.get_dest()
                index = destination.get_index() if destination else None
                title = " ".join(bookmark.get_title().split())[:LONGEST_TITLE]
                if index is not None and title:
                    yield Bookmark(index, bookmark.level + 1, title)
        except (pypdfium2.PdfiumError, ValueError, UnicodeError):
            return  # a broken outline takes no text away


def _shows_pictures(page: Any) -> bool:
    """Whether a page holds a picture, or so many drawn shapes that they may be letters."""
    drawn = 0
    for thing in page.get_objects(max_depth=3):
        drawn += thing.type in (pypdfium2.raw.FPDF_PAGEOBJ_PATH, pypdfium2.raw.FPDF_PAGEOBJ_SHADING)
        if thing.type == pypdfium2.raw.FPDF_PAGEOBJ_IMAGE or drawn >= MANY_SHAPES:
            return True
    return False


class Pypdf:
    """A PDF read by pypdf, which is slower and opens some that pdfium refuses; opened when it is needed."""

    def __init__(self, path: Path, name: str, password: str | None) -> None:
        self._path = path
        self._name = name
        self._password = password

    @cached_property
    def _pages(self) -> Any:
        import pypdf

        try:
            reader = pypdf.PdfReader(self._path)
            if reader.is_encrypted and not reader.decrypt(self._password or ""):
                raise (PasswordWrong if self._password else Encrypted)(name=self._name)
            len(reader.pages)
        except pypdf.errors.PyPdfError as error:
            raise self._damaged(error) from error
        return reader.pages

    def _damaged(self, error: Exception) -> Damaged:
        return Damaged(name=self._name, reason=str(error).rstrip(".") or type(error).__name__)

    def __len__(self) -> int:
        return len(self._pages)

    def page(self, index: int) -> Page | None:
        """A page; None where it cannot be read. Raises: Damaged, Encrypted, PasswordWrong for the whole file."""
        pages = self._pages
        try:
            text = pages[index].extract_text()
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001 - a page on which pypdf stumbles, however it does, costs that page only
            return None
        return Page(text, (Piece(normalise(text)),), False)

    def bookmarks(self) -> Iterator[Bookmark]:
        """None: a file that pdfium does not open rarely has an outline that holds together."""
        return iter(())
