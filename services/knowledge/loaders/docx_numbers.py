"""The numbers of Word's lists and headings, which stand in no text: they are counted as Word counts them.

Source: ECMA-376 part 1, 17.9 (numbering).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
BULLET = "-"
LEVELS = 9
MOST = 99_999
_PLACE = re.compile(r"%([1-9])")
_DIGITS = "零一二三四五六七八九"
_ROMAN = ((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"))
_SMALL_ROMAN = ((10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"))
_CHINESE = ("chineseCounting", "chineseCountingThousand", "japaneseCounting", "taiwaneseCountingThousand")
_CIRCLED = ("decimalEnclosedCircle", "decimalEnclosedCircleChinese")


class Listed(NamedTuple):
    """Which list a paragraph belongs to, and how deep it stands in it (from 0)."""

    list_id: str
    depth: int


@dataclass(frozen=True, slots=True)
class _Level:
    """How one depth of a list is counted and written; `pattern` has %1 for the number of the first depth."""

    start: int
    form: str
    pattern: str
    plain: bool
    """All numbers in the pattern are written as digits."""


@dataclass(frozen=True, slots=True)
class _List:
    family: str
    """Lists of one family go on counting where the other left off."""
    levels: Mapping[int, _Level]
    restarts: Mapping[int, int]


class Numbering:
    """Counts through a document; `root` is its numbering part, None where it has none. Not thread-safe."""

    def __init__(self, root: Any | None) -> None:
        self._lists = {} if root is None else _lists(root)
        self._counts: dict[str, list[int | None]] = {}
        self._begun: set[str] = set()

    def label(self, listed: Listed) -> str:
        """What stands before the next paragraph of a list: "3.", "(b)", "第二章"; a bullet is "-", none is empty."""
        found = self._lists.get(listed.list_id)
        level = found.levels.get(listed.depth) if found else None
        if found is None or level is None:
            return BULLET
        counts = self._counted(listed.list_id, found, listed.depth)
        if level.form == "bullet":
            return BULLET
        if level.form == "none" and not _PLACE.search(level.pattern):
            return level.pattern.strip()

        def written(match: re.Match[str]) -> str:
            depth = int(match[1]) - 1
            other = found.levels.get(depth, level)
            count = counts[depth]
            return number_text(other.start if count is None else count, "decimal" if level.plain else other.form)

        return _PLACE.sub(written, level.pattern).strip()

    def _counted(self, list_id: str, found: _List, depth: int) -> list[int | None]:
        counts = self._counts.setdefault(found.family, [None] * LEVELS)
        if list_id not in self._begun:
            self._begun.add(list_id)
            for restarted in found.restarts:
                counts[restarted] = None
        before = counts[depth]
        first = found.restarts.get(depth, found.levels[depth].start)
        counts[depth] = first if before is None else before + 1
        counts[depth + 1 :] = [None] * (LEVELS - depth - 1)
        return counts


def number_text(number: int, form: str) -> str:
    """A number in one of Word's forms; one that is not known here is written in digits."""
    if not 0 < number <= MOST:
        return str(number)
    if form in ("lowerLetter", "upperLetter"):
        letter = chr(ord("a") + (number - 1) % 26) * min((number - 1) // 26 + 1, 9)
        return letter.upper() if form == "upperLetter" else letter
    if form in ("lowerRoman", "upperRoman"):
        return _roman(number).upper() if form == "upperRoman" else _roman(number)
    if form in _CHINESE:
        return _chinese(number)
    if form in _CIRCLED and number <= 20:
        return chr(ord("①") + number - 1)
    if form == "none":
        return ""
    return f"{number:02}" if form == "decimalZero" else str(number)


def _roman(number: int) -> str:
    text = ""
    for value, letters in (*_ROMAN, *_SMALL_ROMAN):
        text += letters * (number // value)
        number %= value
    return text


def _chinese(number: int) -> str:
    """As it is counted: 十二, 一百零五, 三万二千."""
    if number >= 10_000:
        above, rest = divmod(number, 10_000)
        gap = "零" if 0 < rest < 1000 else ""
        return f"{_chinese(above)}万{gap}{_below(rest)}"
    text = _below(number)
    return text.removeprefix("一") if 10 <= number < 20 else text


def _below(number: int) -> str:
    """A number below 10,000; the zeros within it are one 零, those at its end none."""
    text, gap = "", False
    for value, unit in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit, number = divmod(number, value)
        if digit:
            text += ("零" if gap and text else "") + _DIGITS[digit] + unit
        gap = digit == 0
    return text


def _lists(root: Any) -> dict[str, _List]:
    families = {each.get(f"{WORD}abstractNumId", ""): each for each in root.iterfind(f"{WORD}abstractNum")}
    lists = {}
    for each in root.iterfind(f"{WORD}num"):
        named = _value(each, "abstractNumId")
        family = families.get(named)
        if family is None:
            continue
        levels, restarts = dict(_levels(family)), {}
        for override in each.iterfind(f"{WORD}lvlOverride"):
            depth = _number(override.get(f"{WORD}ilvl"), 0)
            levels.update(_levels(override))
            if (start := _value(override, "startOverride")).isdigit():
                restarts[min(depth, LEVELS - 1)] = int(start)
        lists[each.get(f"{WORD}numId", "")] = _List(named, levels, restarts)
    return lists


def _levels(parent: Any) -> list[tuple[int, _Level]]:
    return [
        (
            min(_number(each.get(f"{WORD}ilvl"), 0), LEVELS - 1),
            _Level(
                _number(_value(each, "start"), 1),
                _value(each, "numFmt") or "decimal",
                _value(each, "lvlText"),
                each.find(f"{WORD}isLgl") is not None,
            ),
        )
        for each in parent.iterfind(f"{WORD}lvl")
    ]


def listed_in(properties: Any | None) -> Listed | None:
    """The list that a paragraph's (or a style's) properties name; None where they say nothing of one."""
    found = properties.find(f"{WORD}numPr") if properties is not None else None
    if found is None:
        return None
    return Listed(_value(found, "numId"), min(_number(_value(found, "ilvl"), 0), LEVELS - 1))


def _value(parent: Any, name: str) -> str:
    found = parent.find(f"{WORD}{name}")
    return "" if found is None else str(found.get(f"{WORD}val", ""))


def _number(text: str | None, other: int) -> int:
    return int(text) if text and text.isdigit() and len(text) < 7 else other
