"""Finding the tables in a text: runs of lines whose cells stand apart by bars or tabs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from services.knowledge.chunking.recursive import Span

LEAST_LINES = 2
_BAR = re.compile(r"(?<!\\)\|")
_RULE = re.compile(r"[ \t]*\|?[ \t]*:?-{2,}:?[ \t]*(?:\|[ \t]*:?-{2,}:?[ \t]*)*\|?[ \t]*")
_LABEL = re.compile(r"(?:\A|; )([^;:：]{1,80}): ")


@dataclass(frozen=True, slots=True)
class Table:
    """Where a table stands; spans are lines with their line ends, and join without a gap."""

    header: Span
    """The first row, with the rule beneath it where there is one."""
    rows: tuple[Span, ...]
    labelled: bool
    """Each row names its columns itself, and needs no header to be read."""

    @property
    def span(self) -> Span:
        """From the header to the last row."""
        return self.header[0], self.rows[-1][1]


@dataclass(frozen=True, slots=True)
class _Line:
    start: int
    end: int
    text: str
    cells: tuple[str, ...]


def tables(text: str) -> Iterator[Table]:
    """The tables of a text, in order."""
    run: list[_Line] = []
    for line in _lines(text):
        if run and not _belongs(run, line):
            yield from _table(run)
            run = []
        if line.cells or run:
            run.append(line)
    yield from _table(run)


def _lines(text: str) -> Iterator[_Line]:
    start = 0
    for raw in text.splitlines(keepends=True):
        bare = raw.strip()
        cells = tuple(cell.strip() for cell in (bare.split("\t") if "\t" in bare else _BAR.split(bare.strip("|"))))
        yield _Line(start, start + len(raw), bare, cells if len(cells) > 1 or bare.startswith("|") else ())
        start += len(raw)


def _belongs(run: list[_Line], line: _Line) -> bool:
    """Whether a line goes on with the table that `run` has begun."""
    header = run[0].cells
    if line.cells:
        return abs(len(line.cells) - len(header)) <= 1
    return bool(line.text) and set(_LABEL.findall(line.text)) & set(header) != set()


def _table(run: list[_Line]) -> Iterator[Table]:
    if len(run) < LEAST_LINES:
        return
    ruled = _RULE.fullmatch(run[1].text) is not None
    rows = run[2:] if ruled else run[1:]
    if rows:
        header = (run[0].start, rows[0].start)
        labelled = all(not row.cells for row in rows)
        yield Table(header, tuple((row.start, row.end) for row in rows), labelled)
