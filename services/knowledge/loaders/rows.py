"""Table rows as lines that can be read by themselves: "header: value; header: value"."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

_YEAR = re.compile(r"(?:FY|Q[1-4] ?)?(?:19|20)\d\d[A-Za-z年]?")
_NUMBER = re.compile(r"[-+]?[\d.,\s]*\d[\d.,\s]*%?")


def row_lines(rows: Iterable[Sequence[str]], labels: Sequence[str] | None = None) -> Iterator[str]:
    """One line for each row that has content.

    A row with nothing but its first cell is a title and stands as it is. The first wider row that reads like a header
    (mostly filled, no numbers, no repeats) is one, if no row with numbers stands before it; without a header values
    stand without labels.

    Args:
        labels: the header that goes on from a table's earlier part, unless these rows have one of their own.
    """
    found: Sequence[str] | None = None
    for raw in rows:
        cells = [" ".join(cell.split()) for cell in raw]
        filled = [cell for cell in cells if cell]
        if not filled:
            continue
        if len(filled) == 1 and (cells[0] or found is None) and not (found and _is_number(filled[0])):
            yield filled[0]
        elif found is None and reads_like_header(cells):
            found = cells
            yield " | ".join(filled)
        elif found is None and not any(map(_is_number, filled)) and not labels:
            yield " | ".join(filled)
        else:
            found = (labels or ()) if found is None else found
            yield _line(found, cells)


def reads_like_header(cells: Sequence[str]) -> bool:
    """Whether a row may name its columns."""
    filled = [cell for cell in cells if cell]
    mostly_filled = len(filled) * 2 > len(cells)
    return mostly_filled and len(set(filled)) == len(filled) > 1 and not any(map(_is_number, filled))


def _is_number(cell: str) -> bool:
    return _NUMBER.fullmatch(cell) is not None and _YEAR.fullmatch(cell) is None


def _line(labels: Sequence[str], cells: Sequence[str]) -> str:
    parts = []
    for column, cell in enumerate(cells):
        label = labels[column] if column < len(labels) else ""
        if cell:
            parts.append(f"{label}: {cell}" if label and label != cell else cell)
    return ("; " if labels else " | ").join(parts)
