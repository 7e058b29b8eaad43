"""Finding the tables on a sheet: rows between empty rows, columns between empty columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from services.knowledge.loaders.rows import reads_like_header, row_lines

MOST_ROWS = 5_000
"""Of one table that are looked at together; a longer one goes on with the header of its beginning."""
HEADER_ROWS = 4

Block = list[list[str]]


def table_texts(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The text of each run of rows that have content, without the empty rows between them.

    A header that stands above an empty row goes on being the header, and so does that of a very long run.
    """
    header: dict[int, str] = {}
    for block, goes_on in _blocks(rows):
        yield "\n".join(_lines(block, header))
        head = next((row for row in block[:HEADER_ROWS] if _heads(row, block)), None)
        if head is not None:
            header = dict(enumerate(head)) if goes_on or len(block) <= HEADER_ROWS else {}
        elif not _runs_below(block, header):
            header = {}


def _blocks(rows: Iterable[Sequence[str]]) -> Iterator[tuple[Block, bool]]:
    """Runs of rows that have content, a long one in several parts; whether the run goes on in the next part."""
    block: Block = []
    for row in rows:
        cells = [" ".join(cell.split()) for cell in row]
        if any(cells):
            block.append(cells)
            if len(block) >= MOST_ROWS:
                yield block, True
                block = []
        elif block:
            yield block, False
            block = []
    if block:
        yield block, False


def _runs_below(block: Block, header: dict[int, str]) -> bool:
    """Whether a run stands in the columns of an earlier header, the first of which may have no name."""
    return all(column <= max(header, default=-1) for column, holds in enumerate(_used(block)) if holds)


def _heads(row: Sequence[str], block: Block) -> bool:
    used = _used(block)
    return reads_like_header([row[column] for column, holds in enumerate(used) if holds and column < len(row)])


def _lines(block: Block, header: dict[int, str]) -> Iterator[str]:
    """The lines of a run of rows; tables that stand side by side come one after another."""
    used = _used(block)
    even = [[*row, *[""] * (len(used) - len(row))] for row in block]
    groups = list(_runs(used))
    if len(groups) > 1 and all(_is_table(even, first, last) for first, last in groups):
        columns = [list(range(first, last)) for first, last in groups]
    else:
        columns = [[column for column, holds in enumerate(used) if holds]]
    for chosen in columns:
        labels = [header.get(column, "") for column in chosen]
        yield from row_lines(([row[column] for column in chosen] for row in even), labels if any(labels) else None)


def _used(block: Block) -> list[bool]:
    width = max(map(len, block))
    return [any(column < len(row) and row[column] for row in block) for column in range(width)]


def _runs(used: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """Half-open runs of columns that have content."""
    start = None
    for column, holds in enumerate([*used, False]):
        if holds and start is None:
            start = column
        elif not holds and start is not None:
            yield start, column
            start = None


def _is_table(block: Block, first: int, last: int) -> bool:
    wide = sum(sum(bool(cell) for cell in row[first:last]) > 1 for row in block)
    return last - first > 1 and wide > 1
