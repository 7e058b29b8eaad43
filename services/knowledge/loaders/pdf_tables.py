"""Parting a PDF's page into its ruled tables and the text around them, which stays in its order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from services.knowledge.loaders.grids import Cell, Grid
from services.knowledge.loaders.pdf_cells import GoesOn, Table
from services.knowledge.loaders.pdf_lines import Block, Stretch, Written, lines
from services.knowledge.positions import Piece

AROUND = 3
"""Lines between two parts of a table on two pages: what runs along the foot and the head of pages."""


class PageText(NamedTuple):
    """A page's pieces in the order of the text, and the table that may go on."""

    pieces: tuple[Piece, ...]
    goes_on: GoesOn | None = None


def page_text(written: Written, grids: Sequence[Grid], earlier: GoesOn | None) -> PageText:
    """A page's text, each of the grids that holds a table as a block of lines in it.

    Args:
        grids: those that may hold tables, inner ones before those around them.
        earlier: the table that may go on from the page before.
    """
    kept = [grid for grid in grids if _Parted(written, [grid]).tables[0].is_table()]
    if not kept:
        return PageText(tuple(lines(written.pieces(), written.shape)))
    page = _Parted(written, kept)
    blocks: dict[Table, Block] = {}
    goes_on: GoesOn | None = None
    for table in sorted(page.tables, key=lambda table: table.grid.ys[0]):
        above = not blocks and page.hardly_any(0.0, table.grid.ys[0])
        header = earlier if above and earlier and earlier.into(table.grid) else None
        blocks[table], goes_on = table.written_down(header)
        goes_on = goes_on if page.hardly_any(table.grid.ys[-1], written.height) else None
    items = (blocks[item] if isinstance(item, Table) else item for item in page.items)
    return PageText(tuple(lines(items, written.shape)), goes_on)


class _Parted:
    """A page's text in grids and outside."""

    def __init__(self, written: Written, grids: Sequence[Grid]) -> None:
        self._written = written
        self.tables = [Table(grid, written.shape) for grid in grids]
        self.items: list[Piece | Table] = []
        """The text outside, and each table where its first words stand."""
        for stretch in written.stretches():
            self._add(stretch)

    def hardly_any(self, top: float, bottom: float) -> bool:
        """Whether there are hardly any lines outside the tables between two heights of the page."""
        heights = (item.edges[1] for item in self.items if isinstance(item, Piece) and item.edges)
        return sum(top <= height * self._written.height < bottom for height in heights) <= AROUND

    def _add(self, stretch: Stretch) -> None:
        outside = False
        for start, end, owner in self._parts(stretch):
            piece = self._written.piece(start, end, stretch.hyphen if end == stretch.end else "")
            if owner is None:
                self.items.append(piece)
                outside = True
            elif piece.text.strip():
                table, cell = owner
                if table.empty:
                    self.items.append(table)
                first = end - len(self._written.text[start:end].lstrip())
                table.add(cell, piece, self._written.style(first), parted=not stretch.ended)
        if stretch.ended and outside:
            self.items.append(Piece("\n"))

    def _parts(self, stretch: Stretch) -> Iterator[tuple[int, int, tuple[Table, Cell] | None]]:
        """A line, in parts where it runs over the lines of a grid."""
        start, end = stretch.start, stretch.end
        box = self._written.box(start, end)
        near = [table for table in self.tables if box and table.grid.touches(*box)]
        if box is None or not near:
            yield start, end, None
            return
        left, top, right, bottom = box
        corners = {_owner(near, x, y) for x in (left, right) for y in (top, bottom)}
        if len(corners) == 1:
            yield start, end, corners.pop()
            return
        owner = None
        for offset in range(start, end):
            middle = None if self._written.text[offset].isspace() else self._written.middle(offset)
            found = _owner(near, *middle) if middle else owner
            if found != owner and self._written.text[start:offset].strip():
                yield start, offset, owner
                start = offset
            owner = found
        yield start, end, owner


def _owner(tables: Sequence[Table], x: float, y: float) -> tuple[Table, Cell] | None:
    """The cell that holds a point, of the innermost table."""
    return next(((table, cell) for table in tables if (cell := table.grid.cell_at(x, y))), None)
