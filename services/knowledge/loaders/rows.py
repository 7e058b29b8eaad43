"""Table rows as lines that can be read by themselves: "header: value; header: value"."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

_YEAR = re.compile(r"(?:FY|Q[1-4] ?)?(?:19|20)\d\d[A-Za-z年]?")
_NUMBER = re.compile(r"[-+]?[\d.,\s]*\d[\d.,\s]*%?")


class Line(NamedTuple):
    """A row as it is to be read: its filled cells by their columns, each with the label before it, if it has one."""

    cells: Sequence[str]
    parts: tuple[tuple[str, int], ...]
    separator: str


def row_lines(rows: Iterable[Sequence[str]], labels: Sequence[str] | None = None) -> Iterator[str]:
    """One line for each row that has content; see `labelled`."""
    for cells, parts, separator in labelled(rows, labels):
        yield separator.join(f"{label}: {cells[column]}" if label else cells[column] for label, column in parts)


def labelled(
    rows: Iterable[Sequence[str]], labels: Sequence[str] | None = None, header: Sequence[str] | None = None
) -> Iterator[Line]:
    """How each row that has content is to be read.

    A row with nothing but its first cell is a title and stands as it is. The first wider row that reads like a header
    (mostly filled, no numbers, no repeats) is one, if no row with numbers stands before it; without a header values
    stand without labels.

    Args:
        labels: the header that goes on from a table's earlier part, unless these rows have one of their own.
        header: the header of these rows, which is none of them.
    """
    found = header
    for row in rows:
        cells = [" ".join(cell.split()) for cell in row]
        filled = [column for column, cell in enumerate(cells) if cell]
        if not filled:
            continue
        alone = len(filled) == 1 and not (found and is_number(cells[filled[0]]))
        plain = tuple(("", column) for column in filled)
        if alone and (cells[0] or found is None):
            yield Line(cells, plain, "")
        elif found is None and reads_like_header(cells):
            found = cells
            yield Line(cells, plain, " | ")
        elif found is None and not any(is_number(cells[column]) for column in filled) and not labels:
            yield Line(cells, plain, " | ")
        else:
            found = (labels or ()) if found is None else found
            yield Line(cells, tuple(_parts(found, cells)), "; " if found else " | ")


def reads_like_header(cells: Sequence[str]) -> bool:
    """Whether a row may name its columns."""
    filled = [cell for cell in cells if cell]
    mostly_filled = len(filled) * 2 > len(cells)
    return mostly_filled and len(set(filled)) == len(filled) > 1 and not any(map(is_number, filled))


def is_number(cell: str) -> bool:
    """Whether a cell holds a number, and no year, which may name a column."""
    return _NUMBER.fullmatch(cell) is not None and _YEAR.fullmatch(cell) is None


def _parts(labels: Sequence[str], cells: Sequence[str]) -> Iterator[tuple[str, int]]:
    for column, cell in enumerate(cells):
        label = labels[column] if column < len(labels) else ""
        if cell:
            yield (label if label != cell else ""), column
