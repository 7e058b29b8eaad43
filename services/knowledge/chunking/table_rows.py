"""Cuts tables between rows, each chunk with the header row as its context; other text at natural borders."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from services.knowledge.chunking.packing import packed
from services.knowledge.chunking.parts import Part, PartChunker
from services.knowledge.chunking.protocol import ChunkerSpec, Cut
from services.knowledge.chunking.recursive import natural_spans
from services.knowledge.chunking.tables import Table, tables


class TableRowsSpec(ChunkerSpec):
    """Chunks of rows do not overlap."""

    key: str = "table_rows"
    overlap: int = Field(0, ge=0, le=0)
    rows: int = Field(10, ge=1, le=1000)
    """The most rows of a chunk."""


class TableRowsChunker(PartChunker):
    """The first chunk of a table begins with the header row itself; a row is cut only where it is too long."""

    spec: TableRowsSpec

    def __init__(self, spec: TableRowsSpec) -> None:
        super().__init__(spec)

    def cuts_of(self, part: Part) -> Iterator[Cut]:
        """See PartChunker.cuts_of."""
        position = 0
        for table in tables(part.text):
            yield from self._plain(part.text, position, table.span[0])
            yield from self._rows(part.text, table)
            position = table.span[1]
        yield from self._plain(part.text, position, len(part.text))

    def _plain(self, text: str, start: int, end: int, context: str = "") -> Iterator[Cut]:
        yield from (Cut(*span, context) for span in natural_spans(text, self.spec.size, start, end))

    def _rows(self, text: str, table: Table) -> Iterator[Cut]:
        header = "" if table.labelled else text[slice(*table.header)].split("\n", maxsplit=1)[0].strip()
        units = [table.header, *table.rows]
        weights = [end - start for start, end in units]
        for first, last in packed(units, weights, self.spec.size):
            for begin in range(first, last + 1, self.spec.rows):
                finish = min(begin + self.spec.rows - 1, last)
                yield from self._plain(text, units[begin][0], units[finish][1], header if begin else "")
