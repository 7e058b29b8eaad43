"""What is written in the cells of a ruled table: each row a line to be read by itself, each cell with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from services.knowledge.loaders.grids import NEAR, Cell, Grid
from services.knowledge.loaders.pdf_headers import Filled, Row, in_parts, joined, named, once, stacks, unruled
from services.knowledge.loaders.pdf_lines import Block, Style, between
from services.knowledge.loaders.rows import labelled
from services.knowledge.positions import Piece

LEAST_FILLED = 0.3
"""The share of cells that have text; a chart before its lines has less."""
LONG = 500
"""Characters: where most of the text is in cells that hold more, the lines lay out a page."""
_ASIAN = r"[\u3000-\u9fff\uff00-\uffef]"
_ASIAN_END, _ASIAN_BEGIN = re.compile(_ASIAN + r"\Z"), re.compile(r"\s*" + _ASIAN)


class GoesOn(NamedTuple):
    """What a table at the foot of a page hands to the next one."""

    xs: tuple[float, ...]
    header: tuple[str, ...]
    """The name of each column of the grid."""

    def into(self, grid: Grid) -> bool:
        """Whether a grid has the same columns."""
        same = len(self.xs) == len(grid.xs)
        return same and all(abs(x - other) <= NEAR for x, other in zip(self.xs, grid.xs, strict=True))


class Table:
    """A grid with what is written in its cells."""

    def __init__(self, grid: Grid, shape: float) -> None:
        self.grid = grid
        self._filled: dict[Cell, Filled] = {}
        self._shape = shape
        self._parted: Cell | None = None

    def add(self, cell: Cell, piece: Piece, style: Style, *, parted: bool) -> None:
        """Add what comes next in a cell.

        Args:
            parted: its last word goes on in what comes after it.
        """
        pieces = self._filled.setdefault(cell, Filled(style)).pieces
        if pieces and self._parted != cell:
            gap = between(pieces[-1], piece, self._shape)
            asian = _ASIAN_END.search(pieces[-1].text) and _ASIAN_BEGIN.match(piece.text)
            pieces += [] if not gap or (gap == "\n" and asian) else [Piece(" ")]
        pieces.append(Piece(" ".join(piece.text.split()), piece.edges))
        self._parted = cell if parted else None

    @property
    def empty(self) -> bool:
        """Whether nothing was added yet."""
        return not self._filled

    def is_table(self) -> bool:
        """Whether it holds values in rows and columns, and is no chart, no box around text, no layout of a page."""
        lengths = [len(filled.text) for filled in self._filled.values()]
        wide = sum(len(once(row)) > 1 for row in self._rows())
        enough = len(lengths) >= LEAST_FILLED * len(self.grid.cells)
        values = 2 * sum(length for length in lengths if length > LONG) <= sum(lengths)
        return wide > 1 and len(self._columns()) > 1 and enough and values

    def written_down(self, earlier: GoesOn | None) -> tuple[Block, GoesOn | None]:
        """The lines of its rows, and what it hands on.

        Args:
            earlier: the table of which this one is a part.
        """
        rows = list(self._rows())
        titles, head, body = in_parts(rows)
        header = self._labels(head)
        if earlier and header != earlier.header:
            titles, head, body, header = [], [], rows, earlier.header
        written = [joined((filled.pieces for filled in once(row)), " | ") for row in titles]
        if head:
            written.append(joined((joined((f.pieces for f in stack), " ") for stack in stacks(head)), " | "))
        written += self._lines(body, header)
        block = Block(tuple(joined(written, "\n")))
        return block, GoesOn(self.grid.xs, header) if any(header) else None

    def _labels(self, head: list[Row]) -> tuple[str, ...]:
        """The name of each column of the grid."""
        stacks = dict(zip(self._columns(), map(once, zip(*head, strict=True)), strict=True)) if head else {}
        return tuple(named(stacks.get(column, ())) for column in range(len(self.grid.xs) - 1))

    def _lines(self, rows: list[Row], header: tuple[str, ...]) -> Iterator[list[Piece]]:
        """The lines of rows below their header."""
        texts = [[filled.text if filled else "" for filled in _firsts(row)] for row in rows]
        labels = [header[column] for column in self._columns()] if any(header) else ()
        for row, line in zip(rows, labelled(texts, header=labels), strict=True):
            parts = [(label, row[column]) for label, column in line.parts]
            yield joined(
                ([*[Piece(f"{label}: ")] * bool(label), *(filled.pieces if filled else ())] for label, filled in parts),
                line.separator,
            )

    def _rows(self) -> Iterator[Row]:
        """The rows and columns that hold text; a cell over several stands in each."""
        squares = {square: filled for cell, filled in self._filled.items() for square in cell.squares()}
        columns = self._columns()
        tall = {filled for cell, filled in self._filled.items() if cell.below - cell.row > 1}
        for row in sorted({cell.row for cell in self._filled}):
            yield from unruled(tuple(squares.get((row, column)) for column in columns), tall)

    def _columns(self) -> list[int]:
        return sorted({cell.column for cell in self._filled})


def _firsts(row: Row) -> Iterator[Filled | None]:
    """The cells of a row; one that reaches over several columns only in its first."""
    return (cell if number == 0 or cell != row[number - 1] else None for number, cell in enumerate(row))
