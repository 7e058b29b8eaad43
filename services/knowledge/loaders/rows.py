"""Table rows as lines that can be read by themselves: "header: value; header: value"."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

_NUMBER = re.compile(r"[-+]?[\d.,\s]*\d[\d.,\s]*%?")


def row_lines(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """One line for each row that has content.

    A row with nothing but its first cell is a title and stays as it is. The first wider row is the header where it
    reads like one (mostly filled, no numbers, no repeats); otherwise values stand without labels.
    """
    labels: Sequence[str] | None = None
    for raw in rows:
        cells = [" ".join(cell.split()) for cell in raw]
        filled = [cell for cell in cells if cell]
        if not filled:
            continue
        if len(filled) == 1 and (cells[0] or labels is None):
            yield filled[0]
        elif labels is None:
            labels = cells if _reads_like_header(cells) else ()
            yield " | ".join(filled)
        else:
            yield _line(labels, cells)


def _reads_like_header(cells: Sequence[str]) -> bool:
    filled = [cell for cell in cells if cell]
    mostly_filled = len(filled) * 2 > len(cells)
    return mostly_filled and len(set(filled)) == len(filled) and not any(_NUMBER.fullmatch(cell) for cell in filled)


def _line(labels: Sequence[str], cells: Sequence[str]) -> str:
    parts = []
    for column, cell in enumerate(cells):
        label = labels[column] if column < len(labels) else ""
        if cell:
            parts.append(f"{label}: {cell}" if label and label != cell else cell)
    return ("; " if labels else " | ").join(parts)
