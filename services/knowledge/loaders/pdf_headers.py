"""Which rows of a ruled table name its columns, and what its rows are where one ruled row holds several."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import NamedTuple

from services.knowledge.loaders.pdf_lines import Style
from services.knowledge.loaders.rows import is_number, reads_like_header
from services.knowledge.positions import Edges, Piece

MOST_HEADER_ROWS = 3
MUCH_SHORTER = 0.5
"""Names of columns are often that much shorter than what stands below them, where these are sentences."""
ENTRIES, LONG_ENTRY = 4, 24
"""So many lines of no more characters on average are entries of a list; else they may be of a sentence."""


@dataclass(eq=False, slots=True)
class Filled:
    """What is written in a cell."""

    style: Style
    """Of its first character."""
    pieces: list[Piece] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(piece.text for piece in self.pieces)

    def lines(self) -> list[Filled]:
        """Each of its lines as a cell of its own."""
        lines: list[list[Piece]] = []
        bottom = -1.0
        for piece in self.pieces:
            if piece.edges:
                if not lines or piece.edges[1] + piece.edges[3] > 2 * bottom:
                    lines.append([])
                bottom = piece.edges[3]
                lines[-1].append(piece)
        return [replace(self, pieces=joined(([piece] for piece in line), " ")) for line in lines]


Row = tuple[Filled | None, ...]
"""The cell that covers each column."""


class Parts(NamedTuple):
    """The rows of a table; without a header all are in its body."""

    titles: list[Row]
    head: list[Row]
    body: list[Row]


def in_parts(rows: list[Row]) -> Parts:
    """Titles, the rows of the header, which cells that reach over each other hold together, and what stands below."""
    top = next((number for number, row in enumerate(rows) if len(once(row)) > 1), 0)
    most = top + 1
    while most < min(top + MOST_HEADER_ROWS, len(rows) - 1) and _hold_together(rows[most - 1], rows[most]):
        most += 1
    for end in dict.fromkeys((most, top + 1)):
        head, body = rows[top:end], rows[end:]
        if reads_like_header([named(stack) for stack in stacks(head)]) and _differs(head[-1], body):
            return Parts(rows[:top], head, body)
    return Parts([], [], rows)


def _differs(names: Row, body: list[Row]) -> bool:
    """Whether more than its place tells a header from the rows: their numbers, how it is written, how short it is.

    Else the first row of a table that has its names at the left side would be taken for one.
    """
    alike = [_written_alike(names, row) for row in body if len(once(row)) > 1]
    if alike and all(alike) and len({name.style for name in once(names)}) > 1:
        return False  # the names stand at the left side, in a font of their own
    below = {name: [cell for cell in cells if cell] for name, *cells in zip(names, *body, strict=True) if name}
    filled = {name: cells for name, cells in below.items() if cells}
    if any(2 * sum(is_number(cell.text) for cell in cells) > len(cells) for cells in filled.values()):
        return True
    if not filled or (any(alike) and not all(alike)):
        return False  # several rows look like headers
    other = all(2 * sum(cell.style == name.style for cell in cells) < len(cells) for name, cells in filled.items())
    return other or all(
        len(name.text) < MUCH_SHORTER * sum(len(cell.text) for cell in cells) / len(cells)
        for name, cells in filled.items()
    )


def _written_alike(row: Row, other: Row) -> bool:
    return all(a.style == b.style for a, b in zip(row, other, strict=True) if a and b)


def _hold_together(row: Row, below: Row) -> bool:
    """Whether a row has a cell that the row below parts, or one that reaches down into it."""
    cells = once(row)
    under = [{filled for over, filled in zip(row, below, strict=True) if over == cell} for cell in cells]
    return any(cell in below for cell in cells) or any(len(parts) > 1 for parts in under)


def stacks(head: list[Row]) -> list[tuple[Filled, ...]]:
    """What stands above each other in a header, from left to right, without the columns that say the same again."""
    return [stack for stack in dict.fromkeys(map(once, zip(*head, strict=True))) if stack]


def named(stack: Iterable[Filled]) -> str:
    """The name that a column has from the cells above it."""
    return " ".join(cell.text for cell in stack)


def once(cells: Iterable[Filled | None]) -> tuple[Filled, ...]:
    """The cells, each where it stands first."""
    return tuple(dict.fromkeys(cell for cell in cells if cell))


def unruled(row: Row, tall: Collection[Filled]) -> list[Row]:
    """The rows that one ruled row holds: lines side by side, where there are many or some are columns of numbers.

    Args:
        tall: cells that reach over several ruled rows, and belong to each as a whole.
    """
    lines = {cell: [cell] if cell in tall else cell.lines() for cell in once(row)}
    most = max(map(len, lines.values()))
    columns = [parts for parts in lines.values() if len(parts) == most]
    if most < 2 or any(len(parts) not in (1, most) for parts in lines.values()) or not _side_by_side(columns):
        return [row]
    if not any(map(_numbers, columns)) and (len(columns) < max(len(lines), 2) or not all(map(_entries, columns))):
        return [row]
    at = {cell: parts if len(parts) > 1 else [cell] * most for cell, parts in lines.items()}
    return [tuple(cell and at[cell][number] for cell in row) for number in range(most)]


def _side_by_side(columns: list[list[Filled]]) -> bool:
    return all(
        one.pieces[0].edges and other.pieces[0].edges and _overlap(one.pieces[0].edges, other.pieces[0].edges)
        for left, right in pairwise(columns)
        for one, other in zip(left, right, strict=True)
    )


def _overlap(one: Edges, other: Edges) -> bool:
    return one[1] < (other[1] + other[3]) / 2 < one[3]


def _numbers(lines: list[Filled]) -> bool:
    """Whether each line is a number of its own, not the rest of one that was too long."""
    lengths = [len(line.text) for line in lines]
    return all(is_number(line.text) for line in lines) and 2 * min(lengths) >= max(lengths)


def _entries(lines: list[Filled]) -> bool:
    return len(lines) >= ENTRIES and sum(len(line.text) for line in lines) <= LONG_ENTRY * len(lines)


def joined(parts: Iterable[list[Piece]], separator: str) -> list[Piece]:
    """The pieces of all parts, with a separator between them."""
    pieces: list[Piece] = []
    for part in parts:
        pieces += [Piece(separator), *part] if pieces else part
    return pieces
