"""Text in pictures: what a recogniser that somebody hands in has found on a page, put in reading order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from services.knowledge.positions import Piece

PICTURE_WIDTH_PX = 1700
"""About 200 dots per inch for an A4 page: small print is legible, and a page takes a second or two."""
GAP = 1.5
"""Lines that stand further apart than this many line heights begin a new paragraph."""

Line = tuple[str, float, float, float, float]


class Recogniser(Protocol):
    """Reads the text of pictures (OCR), where that is installed."""

    def ready(self) -> bool:
        """Whether it can be asked."""
        ...

    def session(self, given_up: Callable[[], bool]) -> AbstractContextManager[Callable[[Path], Sequence[Line] | None]]:
        """A function that gives each line's text, left, top, right and bottom (fractions); None: it has ended."""
        ...


def pieces(lines: Iterable[Line]) -> tuple[Piece, ...]:
    """The lines of a page in reading order: what stands side by side in one line is parted by a tab."""
    found: list[Piece] = []
    below = None
    for row in _rows(list(lines)):
        top, bottom = min(line[2] for line in row), max(line[4] for line in row)
        if below is not None:
            found.append(Piece("\n\n" if top - below > GAP * (bottom - top) else "\n"))
        for number, (text, left, upper, right, lower) in enumerate(row):
            if number:
                found.append(Piece("\t"))
            found.append(Piece(" ".join(text.split()), (left, upper, right, lower)))
        below = bottom
    return tuple(found)


def _rows(lines: Sequence[Line]) -> list[list[Line]]:
    """Lines whose middles are at one height, from left to right; rows from the top down, column by column."""
    rows: list[list[Line]] = []
    for column in _columns(lines):
        here: list[list[Line]] = []
        for line in sorted(column, key=lambda line: (line[2] + line[4]) / 2):
            middle = (line[2] + line[4]) / 2
            if here and here[-1][0][2] <= middle <= here[-1][0][4]:
                here[-1].append(line)
            else:
                here.append([line])
        rows += [sorted(row, key=lambda line: line[1]) for row in here]
    return rows


def _columns(lines: Sequence[Line]) -> list[Sequence[Line]]:
    """Two columns where an empty strip runs down the middle of the page beside enough lines; else one."""
    for middle in (0.5, 0.48, 0.52, 0.46, 0.54):
        left = [line for line in lines if line[3] <= middle]
        right = [line for line in lines if line[1] >= middle]
        across = [line for line in lines if line[1] < middle < line[3]]
        if min(len(left), len(right)) >= 8 and len(across) * 5 <= len(lines) and _are_prose(left) and _are_prose(right):
            return _banded(left, right, across)
    return [lines]


def _are_prose(lines: Sequence[Line]) -> bool:
    """Lines that fill their column are running text, not the cells of a table."""
    widest = max(line[3] for line in lines) - min(line[1] for line in lines)
    return sum(line[3] - line[1] > 0.7 * widest for line in lines) * 2 > len(lines)


def _banded(left: list[Line], right: list[Line], across: list[Line]) -> list[Sequence[Line]]:
    """Column after column between the lines that run across the page."""
    bands: list[Sequence[Line]] = []
    top = -1.0
    for line in [*sorted(across, key=lambda line: line[2]), None]:
        end = line[2] if line else 2.0
        for side in (left, right):
            bands.append([one for one in side if top <= (one[2] + one[4]) / 2 < end])
        bands.append([line] if line else [])
        top = end
    return [band for band in bands if band]
