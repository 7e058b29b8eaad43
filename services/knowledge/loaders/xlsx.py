"""Excel workbooks: each sheet under its name, each row as a line with the header's words, values as they are shown."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from services.core.document_errors import Damaged
from services.core.i18n import N_
from services.core.phrases import phrase
from services.knowledge.loaders.assembly import Assembly
from services.knowledge.loaders.cells import shown
from services.knowledge.loaders.protocol import Limits, Sample
from services.knowledge.loaders.tables import table_texts
from services.knowledge.types import Extracted, Notice

_MERGED = re.compile(rb'<(?:\w+:)?mergeCell[^>]* ref="([A-Z]+)(\d+):([A-Z]+)(\d+)"')
_UNCOMPUTED = re.compile(
    rb"<(?:\w+:)?f(?:\s[^>]*)?(?:/>|>[^<]*</(?:\w+:)?f>)(?:<(?:\w+:)?v\s*/>|<v></v>|</(?:\w+:)?c>)"
)
HIDDEN = "hidden"


class XlsxLoader:
    """Reads cells through openpyxl as a stream: an inflated sheet costs time, not memory."""

    media_types = ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",)
    extensions = (".xlsx", ".xlsm", ".xltx")
    textual = False

    def claims(self, sample: Sample) -> bool:
        """An archive with Excel's main part."""
        return "xl/workbook.xml" in sample.members

    def load(self, path: Path, name: str, limits: Limits) -> Extracted:
        """See Loader.load."""
        from lxml.etree import XMLSyntaxError  # type: ignore[import-untyped]
        from openpyxl import load_workbook  # type: ignore[import-untyped]
        from openpyxl.utils.exceptions import InvalidFileException  # type: ignore[import-untyped]

        broken = (InvalidFileException, XMLSyntaxError, zipfile.BadZipFile, KeyError, ValueError, TypeError, IndexError)
        try:
            with path.open("rb") as file:
                workbook = load_workbook(file, read_only=True, data_only=True, keep_links=False)
                assembly, notices = Assembly(name, limits), _Notices()
                for sheet in workbook.worksheets:
                    _write(assembly, sheet, notices)
        except (*broken, AttributeError, OverflowError) as error:
            reason = phrase(N_("its parts do not fit together ({error})"), error=type(error).__name__)
            raise Damaged(name=name, reason=reason) from error
        return assembly.extracted(self.media_types[0], notices.all())


class _Notices:
    """What is worth knowing about the sheets."""

    def __init__(self) -> None:
        self.hidden: list[str] = []
        self.uncomputed: list[str] = []

    def all(self) -> Iterator[Notice]:
        """One notice for each kind."""
        for code, names in (("sheets_hidden", self.hidden), ("formulas_without_results", self.uncomputed)):
            if names:
                yield Notice(code, {"sheets": ", ".join(names)})


def _write(assembly: Assembly, sheet: Any, notices: _Notices) -> None:
    raw = _source(sheet)
    repeated = _repeated(raw)
    title = sheet.title if sheet.sheet_state == "visible" else f"{sheet.title} ({HIDDEN})"
    written = False
    for table in table_texts(_rows(sheet, repeated)):
        if not written:
            assembly.heading(title, 1)
            written = True
        assembly.paragraph(table)
    if written and sheet.sheet_state != "visible":
        notices.hidden.append(sheet.title)
    if _UNCOMPUTED.search(raw):
        notices.uncomputed.append(sheet.title)


def _source(sheet: Any) -> bytes:
    """The XML of a sheet: what the stream of its cells does not tell stands there."""
    source: bytes = sheet.parent._archive.read(sheet._worksheet_path)
    return source


def _rows(sheet: Any, repeated: dict[tuple[int, int], tuple[int, int]]) -> Iterator[list[str]]:
    """The cells of each row as they are shown; a cell that spans rows is repeated in each."""
    sheet.reset_dimensions()
    tops = set(repeated.values())
    kept: dict[tuple[int, int], str] = {}
    for number, row in enumerate(sheet.iter_rows(), 1):
        cells = [shown(cell.value, cell.number_format) if cell.value is not None else "" for cell in row]
        for column in range(len(cells)) if repeated else ():
            place = (number, column + 1)
            if place in tops:
                kept[place] = cells[column]
            elif place in repeated:
                cells[column] = kept.get(repeated[place], "")
        yield cells


def _repeated(raw: bytes) -> dict[tuple[int, int], tuple[int, int]]:
    """For each cell below the first row of a merged range, in its first column: the cell that holds its value."""
    found = {}
    for left, top, _, bottom in _MERGED.findall(raw):
        column = 0
        for letter in left:
            column = column * 26 + letter - 64
        for row in range(int(top) + 1, min(int(bottom), int(top) + 1000) + 1):
            found[row, column] = (int(top), column)
    return found


LOADER = XlsxLoader()
