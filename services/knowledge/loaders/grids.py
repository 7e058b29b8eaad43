"""From ruling lines to grids of cells: geometry alone, in points, from the top left corner."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import NamedTuple

NEAR = 3.0
"""Lines that are no further apart are one; ends that come no nearer do not meet."""
LEAST = 4.0
"""The shortest piece of a line."""
LEAST_CELLS, LEAST_COVERED = 4, 0.9
"""Of a table: boxes that are joined by lines, as diagrams are made of, leave most of the area between them open."""
MOST_RULES, MOST_SQUARES = 2_000, 40_000
"""Of a page and of a grid; what has more is a drawing."""


class Rule(NamedTuple):
    """A straight line: its height where it is level, or how far from the left it stands; and from where to where."""

    level: bool
    at: float
    start: float
    end: float


class Cell(NamedTuple):
    """A cell by its first row and column and those behind its last."""

    row: int
    column: int
    below: int
    behind: int

    def squares(self) -> Iterator[tuple[int, int]]:
        """The row and column of each of its squares."""
        return ((row, column) for row in range(self.row, self.below) for column in range(self.column, self.behind))


@dataclass(frozen=True, slots=True)
class Grid:
    """Lines at these places, and the cell that holds each square between them; where none does, the grid is open."""

    xs: tuple[float, ...]
    ys: tuple[float, ...]
    squares: dict[tuple[int, int], Cell]

    def cell_at(self, x: float, y: float) -> Cell | None:
        """The cell that holds a point."""
        return self.squares.get((bisect_right(self.ys, y) - 1, bisect_right(self.xs, x) - 1))

    @property
    def cells(self) -> set[Cell]:
        """All cells."""
        return set(self.squares.values())

    def covered(self) -> float:
        """The share of its area that is in cells."""
        xs, ys = self.xs, self.ys
        areas = ((xs[column + 1] - xs[column]) * (ys[row + 1] - ys[row]) for row, column in self.squares)
        return sum(areas) / self.area

    def touches(self, left: float, top: float, right: float, bottom: float) -> bool:
        """Whether a rectangle has something in common with the grid."""
        return self.xs[0] < right and left < self.xs[-1] and self.ys[0] < bottom and top < self.ys[-1]

    @property
    def area(self) -> float:
        """In square points."""
        return (self.xs[-1] - self.xs[0]) * (self.ys[-1] - self.ys[0])


def grids(rules: Iterable[Rule]) -> list[Grid]:
    """The grids of at least two rows and two columns, small ones first: a grid may stand within a cell of another."""
    merged = _merged(rules)
    if len(merged) > MOST_RULES:
        return []
    found = [grid for group in _groups(merged) if (grid := _grid(group))]
    return sorted(found, key=lambda grid: grid.area)


def _merged(rules: Iterable[Rule]) -> list[Rule]:
    """The rules, those that nearly cover each other as one, at the place of the first."""
    merged: list[Rule] = []
    for level, line in groupby(sorted(rules), key=lambda rule: rule.level):
        for side in _near(list(line)):
            place = sum(rule.at for rule in side) / len(side)
            side.sort(key=lambda rule: rule.start)
            start, end = side[0].start, side[0].end
            for rule in side:
                if rule.start > end + NEAR:
                    merged.append(Rule(level, place, start, end))
                    start, end = rule.start, rule.end
                end = max(end, rule.end)
            merged.append(Rule(level, place, start, end))
    return merged


def _near(rules: list[Rule]) -> Iterator[list[Rule]]:
    """Runs of rules that stand at about the same place."""
    run: list[Rule] = []
    for rule in rules:
        if run and rule.at - run[0].at > NEAR:
            yield run
            run = []
        run.append(rule)
    if run:
        yield run


def _groups(rules: Sequence[Rule]) -> Iterator[list[Rule]]:
    """The rules that meet each other, directly or by others."""
    levels = [rule for rule in rules if rule.level]
    heights = [rule.at for rule in levels]
    leader = {rule: rule for rule in rules}

    def first(rule: Rule) -> Rule:
        while leader[rule] != rule:
            leader[rule] = rule = leader[leader[rule]]
        return rule

    for upright in rules:
        if not upright.level:
            begin, end = bisect_left(heights, upright.start - NEAR), bisect_right(heights, upright.end + NEAR)
            for level in levels[begin:end]:
                if level.start - NEAR <= upright.at <= level.end + NEAR:
                    leader[first(level)] = first(upright)
    groups: dict[Rule, list[Rule]] = {}
    for rule in rules:
        groups.setdefault(first(rule), []).append(rule)
    return iter(groups.values())


def _grid(rules: Sequence[Rule]) -> Grid | None:
    levels, uprights = [r for r in rules if r.level], [r for r in rules if not r.level]
    if len(levels) < 2 or not uprights:
        return None
    uprights += _open_sides(levels, uprights)
    xs, ys = (tuple(sorted({rule.at for rule in some})) for some in (uprights, levels))
    if len(xs) < 3 or len(ys) < 3 or len(xs) * len(ys) > MOST_SQUARES:
        return None
    squares = {square: cell for cell in _cells(xs, ys, levels, uprights) for square in cell.squares()}
    grid = Grid(xs, ys, squares)
    return grid if len(grid.cells) >= LEAST_CELLS and grid.covered() >= LEAST_COVERED else None


def _open_sides(levels: Sequence[Rule], uprights: Sequence[Rule]) -> Iterator[Rule]:
    """The sides of a grid that has lines between its columns and none around them: there, its level lines end."""
    top, bottom = levels[0].at, levels[-1].at
    for ends, side in (([r.start for r in levels], min), ([r.end for r in levels], max)):
        outermost = side(ends)
        together = sum(abs(end - outermost) <= NEAR for end in ends)
        if together >= 2 and together * 2 >= len(ends):
            near = [rule.at for rule in uprights if abs(rule.at - outermost) <= NEAR]
            yield Rule(False, near[0] if near else outermost, top, bottom)


def _cells(xs: Sequence[float], ys: Sequence[float], levels: list[Rule], uprights: list[Rule]) -> Iterator[Cell]:
    """The cells: squares that no line parts are one, if together they are a rectangle with a line all around."""
    over, left = _walls(levels, ys, xs), _walls(uprights, xs, ys)
    rows, columns = len(ys) - 1, len(xs) - 1
    seen: set[tuple[int, int]] = set()
    for start in ((row, column) for row in range(rows) for column in range(columns)):
        if start in seen:
            continue
        region, waiting, closed = {start}, [start], True
        while waiting:
            row, column = waiting.pop()
            for wall, beside in (
                ((row, column) in over, (row - 1, column)),
                ((row + 1, column) in over, (row + 1, column)),
                ((column, row) in left, (row, column - 1)),
                ((column + 1, row) in left, (row, column + 1)),
            ):
                if wall or beside in region:
                    continue
                if not (0 <= beside[0] < rows and 0 <= beside[1] < columns):
                    closed = False
                    continue
                region.add(beside)
                waiting.append(beside)
        seen |= region
        taken = [row for row, _ in region], [column for _, column in region]
        cell = Cell(min(taken[0]), min(taken[1]), max(taken[0]) + 1, max(taken[1]) + 1)
        if closed and len(region) == (cell.below - cell.row) * (cell.behind - cell.column):
            yield cell


def _walls(rules: Iterable[Rule], places: Sequence[float], across: Sequence[float]) -> set[tuple[int, int]]:
    """Where lines stand: the number of the place, and of the stretch between neighbouring places of the other way."""
    middles = [(begin + end) / 2 for begin, end in pairwise(across)]
    return {
        (bisect_left(places, rule.at), stretch)
        for rule in rules
        for stretch in range(bisect_left(middles, rule.start), bisect_right(middles, rule.end))
    }
