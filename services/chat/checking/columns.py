"""Whether a figure of a table stands in the column that the sentence names: a row has figures of several kinds.

Only what is plain is told: the sentence names the row and another column, says nothing of the figure's own column, and
nothing else that could be another word for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from services.chat.checking.placement import (
    YEARS,
    Figure,
    alike,
    all_figures,
    clause_with,
    equal,
)
from services.chat.checking.quantities import Moment, Quantity
from services.chat.checking.units import unit_of
from services.chat.checking.words import covered, plain, stem, words

_CELL = re.compile(r"(?P<label>[^:]{1,60}): (?P<value>.+)")
_RULE = re.compile(r"[\s|:-]*-[\s|:-]*")
"""The line below the header of a table in Markdown."""
_NUMERALS = re.compile(r"[A-Za-z]?\d+")
_UNIT = re.compile(r"[(,]\s*([^(),]{1,20}?)\s*\)?$")
"""What stands behind a column's name, in brackets or after a comma."""
_ANY = """
amount come comes came equal get gives given go have lie make need needs number reach reached run runs take takes took
达到 达 为 包括 包含 含有 共有 共 具有 拥有 属于 列为 一共
"""
_NEUTRAL = frozenset(map(stem, _ANY.split()))
"""Words that go with any figure, whatever its column is."""
_SETS_AGAINST = re.compile(
    r"\b(?:before|after|since|until|till|than|from|between|against)\b|比|[之以][前后後]|[从從自]|超[过過]|[高低大小多少]于",
    re.IGNORECASE,
)
"""What sets one figure or date against another, instead of saying what the figure is of."""
_KIN = [
    frozenset(map(stem, line.split()))
    for line in (
        "wide width broad breadth",
        "long length",
        "high tall height",
        "deep depth",
        "heavy weigh weighs weight mass",
        "cost costs price fee charge rate rent pay pays paid",
        "leave leaves depart departs departure",
        "arrive arrives arrival",
        "hour hourly",
        "day daily",
        "week weekly",
        "month monthly",
        "year yearly annual annually",
    )
]
"""English words for one property of a thing, which no common beginning shows."""


@dataclass(frozen=True, slots=True)
class _Cell:
    label: str
    value: str
    figures: tuple[Figure, ...]


_Row = tuple[_Cell, ...]


def misfiled(sentence: str, source: str) -> tuple[str, str] | None:
    """A figure of the sentence and the cell that it names, which has another; None where there is none."""
    rows, outside = _table(source)
    for figure in all_figures(sentence) if rows else ():
        clause = clause_with(sentence, figure)
        if clause is None or (isinstance(figure, Quantity) and figure.weak):
            continue
        if any(_says(figure, other) for other in all_figures(outside)):
            continue
        about = [row for row in rows if _is_named(row, sentence) and any(_in(figure, cell) for cell in row)]
        found = [_meant(figure, clause, sentence, row, outside) for row in about]
        if found and found[0] is not None and all(found):
            return figure.written, f"{found[0].label}: {found[0].value}"
    return None


def _meant(figure: Figure, clause: str, sentence: str, row: _Row, outside: str) -> _Cell | None:
    """The cell of a row that a clause names beside a figure of another cell; None where it may not."""
    own = [cell for cell in row if _in(figure, cell)]
    rest, whole = _without(clause, row, figure), _without(sentence, row, figure)
    if _SETS_AGAINST.search(rest) or any(_names_the_row(cell, row) for cell in own):
        return None
    said = all_figures(sentence)
    for cell in row:
        could = any(_comparable(figure, other) and not any(_says(one, other) for one in said) for other in cell.figures)
        told = _telling(cell, rest) if could and cell not in own else frozenset()
        if not all(told - _telling(other, rest) and not _telling(other, whole) - told for other in own):
            continue
        if all(_dated(one.label) for one in (cell, *own)) or not _open(words(rest).terms, told, row, outside):
            return cell
    return None


def _dated(label: str) -> bool:
    """Whether a column is of a date, for which there are no other words."""
    return any(isinstance(figure, Moment) or _year(figure) for figure in all_figures(label))


def _open(terms: tuple[str, ...], told: frozenset[str], row: _Row, outside: str) -> bool:
    """Whether some of the words are neither the table's nor said of any figure: they may be others for its column."""
    terms = tuple(term for term in terms if term not in told)
    text = f"{outside} {' '.join(cell.label for cell in row if not cell.figures)} {row[0].label}"
    known = covered(terms, plain(text).lower(), frozenset(words(text).terms))
    return any(not has and term not in _NEUTRAL for term, has in zip(terms, known, strict=True))


def _telling(cell: _Cell, text: str) -> frozenset[str]:
    """The words and numerals of a text that name the column of a cell."""
    label = plain(cell.label).lower()
    known = frozenset(words(label).terms)
    numerals = frozenset(_NUMERALS.findall(plain(text).lower())) & frozenset(_NUMERALS.findall(label))
    said = words(text).terms
    name = _UNIT.sub("", label).strip()
    whole = {name} if len(name) > 1 and _stands(name, plain(text).lower()) else set()
    return numerals | whole | {term for term in said if _is_kin(term, known) or (term[0] > "\u3400" and term in label)}


def _is_kin(term: str, known: frozenset[str]) -> bool:
    family = next((kin for kin in _KIN if term in kin), frozenset())
    return term in known or bool(family & known) or (len(term) > 5 and any(one.startswith(term[:5]) for one in known))


def _is_named(row: _Row, sentence: str) -> bool:
    said = plain(sentence).lower()
    return any(_stands(cell.value, said) for cell in row if _names_the_row(cell, row))


def _stands(value: str, said: str) -> bool:
    name = plain(value).lower()
    before, after = (r"(?<![a-z\d])" if name[0].isascii() else ""), (r"(?![a-z\d])" if name[-1].isascii() else "")
    return re.search(f"{before}{re.escape(name)}{after}", said) is not None


def _names_the_row(cell: _Cell, row: _Row) -> bool:
    return cell is row[0] or not cell.figures


def _without(text: str, row: _Row, figure: Figure) -> str:
    """A text without the figure and what names the row."""
    left = plain(text).replace(plain(figure.written), " ")
    for cell in row:
        if _names_the_row(cell, row):
            left = re.sub(re.escape(plain(cell.value)), " ", left, flags=re.IGNORECASE)
    return left


def _in(figure: Figure, cell: _Cell) -> bool:
    return any(_says(figure, other) for other in cell.figures)


def _says(figure: Figure, other: Figure) -> bool:
    """Whether a figure of a sentence says what a table has, which may leave out the unit."""
    if isinstance(figure, Quantity) and isinstance(other, Quantity):
        same = figure.value == other.value if figure.kind == other.kind else figure.bare == other.bare
        return same or abs(figure.value - other.value) <= 1e-6 * abs(other.value)
    if type(figure) is not type(other) and _year(figure) and _year(other):
        return _year(figure) == _year(other)
    return type(figure) is type(other) and equal(figure, other)


def _comparable(figure: Figure, other: Figure) -> bool:
    """Whether a figure of a sentence could stand in a cell: one without a unit may leave out any."""
    if isinstance(figure, Quantity) and isinstance(other, Quantity) and not figure.kind and other.kind:
        return True
    return alike(figure, other) or bool(_year(figure) and _year(other))


def _year(figure: Figure) -> int | None:
    """The year that a figure is, or that a date has; None where it is neither."""
    if isinstance(figure, Moment):
        return figure.year
    if isinstance(figure, Quantity) and not figure.kind and figure.value in YEARS:
        return int(figure.value)
    return None


@lru_cache(maxsize=64)
def _table(source: str) -> tuple[tuple[_Row, ...], str]:
    """The rows of a text that name their columns, and its other lines."""
    rows: list[_Row] = []
    outside: list[str] = []
    header: list[str] = []
    for line in plain(source).splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) > 1 and header and len(header) == len(cells) and not _RULE.fullmatch(line):
            rows.append(tuple(_cell(label, value) for label, value in zip(header, cells, strict=True) if value))
            continue
        parts = list(_parts(line))
        if len([cell for cell in parts if cell.label]) > 1 or (len(parts) > 1 and parts[-1].label):
            rows.append(tuple(parts))
        elif not (header and _RULE.fullmatch(line)):
            header = cells if len(cells) > 1 else []
            outside.append(line)
    return tuple(row for row in rows if row), "\n".join(outside)


def _parts(line: str) -> Iterator[_Cell]:
    """The cells of a line "header: value; header: value", the first of which may have no header."""
    for part in line.split("; "):
        match = _CELL.fullmatch(part.strip())
        yield _cell(match["label"].strip(), match["value"].strip()) if match else _cell("", part.strip())


def _cell(label: str, value: str) -> _Cell:
    unit = _UNIT.search(label)
    written = f"{value} {unit[1]}" if unit and unit_of(unit[1])[0] else value
    return _Cell(label, value, all_figures(written))
