"""The numbers, dates and times of day that stand in a text, brought to a form in which they can be compared."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from services.chat.checking import numerals
from services.chat.checking.units import AFTER, BEFORE, unit_of

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_DAY = r"(?P<day>[0-3]?\d)(?:st|nd|rd|th)?"
_HAN = "[〇零一二三四五六七八九十]"
_DATES = [
    re.compile(rf"(?<![\d.,]){_DAY}\s(?:of\s)?{_MONTH}\b(?:,?\s(?P<year>\d{{4}}))?", re.IGNORECASE),
    re.compile(rf"\b{_MONTH}\s{_DAY}\b(?!\s?%|\.\d)(?:,?\s(?P<year>\d{{4}}))?", re.IGNORECASE),
    re.compile(rf"\b{_MONTH}\s(?:of\s)?(?P<year>\d{{4}})\b", re.IGNORECASE),
    re.compile(
        r"(?P<month>\b(?:January|February|March|April|June|July|August|September|October|November|December)"
        r"|(?<=[a-z]\s)May)\b"
    ),
    re.compile(r"(?<!\d)(?P<year>\d{4})[-./](?P<month>[01]?\d)[-./](?P<day>[0-3]?\d)(?!\d)"),
    re.compile(r"(?<!\d)(?P<day>[0-3]?\d)(?P<separator>[./])(?P<month>[01]?\d)(?P=separator)(?P<year>\d{4})(?!\d)"),
    re.compile(r"(?<!\d)(?P<month>[01]?\d)/(?P<day>[0-3]?\d)/(?P<year>\d{4})(?!\d)"),
    re.compile(
        rf"(?:(?P<year>\d{{4}}|{_HAN}{{4}})\s?年\s?)?(?<!\d)(?P<month>[01]?\d|{_HAN}{{1,3}})\s?月(?:份)?"
        rf"(?:\s?(?P<day>[0-3]?\d|{_HAN}{{1,3}})\s?[日号])?"
    ),
    re.compile(rf"(?<![\d.])(?P<year>\d{{4}}|{_HAN}{{4}})\s?年(?!来|內|内)"),
]
_CLOCKS = [
    re.compile(r"(?<!\d)(?P<hour>[0-2]?\d)(?::(?P<minute>[0-5]\d))?\s?(?P<half>[ap])\.?m\b\.?", re.IGNORECASE),
    re.compile(
        r"(?P<half>上午|早上|早晨|凌晨|中午|下午|傍晚|晚上|夜里)?\s?(?<!\d)(?P<hour>[0-2]?\d)[:：](?P<minute>[0-5]\d)(?!\d)"
    ),
    re.compile(
        rf"(?P<half>上午|早上|早晨|凌晨|中午|下午|傍晚|晚上|夜里)\s?(?P<hour>[0-2]?\d|{_HAN}{{1,3}})\s?[点點时時]"
        rf"(?:(?P<minute>[0-5]?\d|{_HAN}{{1,3}})分|(?P<thirty>半))?"
    ),
    re.compile(
        rf"(?P<half>)(?<![\d.])(?P<hour>[0-2]?\d|{_HAN}{{1,3}})[点點]"
        rf"(?:(?P<minute>[0-5]\d|{_HAN}{{2,3}})分|(?P<thirty>半)|(?![〇零一二三四五六七八九\d]))"
    ),
]
_LATE = ("p", "下午", "傍晚", "晚上", "夜里")
_FRACTIONS = {"half": 0.5, "halves": 0.5, "third": 1 / 3, "quarter": 0.25, "fifth": 0.2, "tenth": 0.1}
_SCALE = r"(?:\s?(?P<scale>hundred|thousand|million|billion|trillion|bn|k(?![a-z])|万亿|百万|千万|[百千万萬亿億]))?"
_NUMBERS = [
    re.compile(r"百分之(?P<percent>\d+(?:\.\d+)?|" + numerals.CHINESE + ")"),
    re.compile(rf"(?P<below>\d+|{numerals.CHINESE})分之(?P<above>\d+|{numerals.CHINESE})"),
    re.compile(r"(?P<tenths>\d|[一二两三四五六七八九])成(?!为|立|本|功|员|果|长|都|人)"),
    re.compile(
        r"(?P<parts>one|two|three|four|a)[\s-](?P<fraction>halves|thirds?|quarters?|fifths?|tenths?)\b", re.IGNORECASE
    ),
    re.compile(
        rf"(?P<minus>(?<![A-Za-z0-9_)])[-−]|零下|minus\s|负)?(?<![\d.])(?P<digits>\d{{1,3}}(?:,\d{{3}})+|\d+)(?P<decimals>\.\d+)?{_SCALE}",
        re.IGNORECASE,
    ),
    re.compile(r"\b(?P<often>once(?=\s(?:a|an|every|per|in)\b)|twice|thrice)\b", re.IGNORECASE),
    re.compile(r"(?P<dozens>a|one|two|three)\s(?:dozens?)\b", re.IGNORECASE),
    re.compile(rf"(?P<ordinal>{numerals.ORDINAL})", re.IGNORECASE),
    re.compile(rf"(?P<minus>minus\s)?(?P<english>{numerals.ENGLISH})", re.IGNORECASE),
    re.compile(rf"(?P<minus>零下|负)?(?P<chinese>{numerals.CHINESE})"),
]
_SCALES = {
    "k": 1e3,
    "bn": 1e9,
    "百": 1e2,
    "千": 1e3,
    "万": 1e4,
    "萬": 1e4,
    "百万": 1e6,
    "千万": 1e7,
    "亿": 1e8,
    "億": 1e8,
    "万亿": 1e12,
}
_SCALES |= numerals.SCALES
_CODE = re.compile(r"[A-PR-Za-pr-z]-?\Z")
"""What makes a number part of a name: F6 is no support for six hours. Q3 is the third quarter."""
_NOUN = re.compile(r"\s?([A-Za-z]{3,}|[\u3400-\u9fff]{1,2})")
_IDIOMS = re.compile(
    r"第[一二三四五六七八九十]+年|[次翌同当當][年日]|[上下前后後头頭][一个個][年月日天次个個周週期位届屆季]|一[些般样樣起直致定旦切边邊方面律种種下点點再概共同]|[统統唯万萬单單第逐专專惟]一|十分(?![钟鐘])|(?:星期|周|週|礼拜|禮拜)[一二三四五六日天]|千万(?![元人吨])|四处|三文|百姓|百货|"
    r"万[能物分]|[两二]者|千[米克瓦伏]|百分[点比]"
)


_LISTED = re.compile(
    rf"(?P<list>[^，,。；;：:\s]*、[^，,。；;：:\s]*?)等?(?P<count>\d+|{numerals.CHINESE})(?=[地个個种種项項类類点點家人国國方者名位座城省市])"
)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with its unit: `kind` is that of the unit, empty for a bare number; `counted` the word that follows."""

    value: float
    kind: str
    counted: str
    written: str
    bare: float
    """The number as it is written, without its unit."""
    weak: bool = False
    """It may be a manner of speaking: "one of them", 一个."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A date, or a part of one; `swapped` is the other way of reading 3/4/2020."""

    year: int | None
    month: int | None
    day: int | None
    written: str


@dataclass(frozen=True, slots=True)
class Clock:
    """A time of day in minutes; `sure` when it is known which half of the day."""

    minutes: int
    sure: bool
    written: str


@dataclass(frozen=True, slots=True)
class Figures:
    """All that a text tells in figures."""

    quantities: tuple[Quantity, ...]
    moments: tuple[Moment, ...]
    clocks: tuple[Clock, ...]


def figures(text: str) -> Figures:
    """The figures of a text, each once and in the reading that takes most of it."""
    left = _Masked(numerals.joined(unicodedata.normalize("NFKC", text.replace("²", "2").replace("³", "3"))))
    moments = [_moment(match) for pattern in _DATES for match in left.taken(pattern, _is_date)]
    clocks = [_clock(match) for pattern in _CLOCKS for match in left.taken(pattern)]
    left.forget(_IDIOMS)
    left.forget(_LISTED, _sums_up)
    quantities = [_quantity(match, left) for pattern in _NUMBERS for match in left.taken(pattern)]
    return Figures(tuple(quantities), tuple(moments), tuple(clocks))


class _Masked:
    """A text of which what was read is blanked, so that it is not read twice."""

    def __init__(self, text: str) -> None:
        self.text = self.whole = text

    def taken(
        self, pattern: re.Pattern[str], wanted: Callable[[re.Match[str]], bool] | None = None
    ) -> Iterator[re.Match[str]]:
        for match in pattern.finditer(self.text):
            if wanted is not None and not wanted(match):
                continue
            self._blank(match)
            yield match

    def forget(self, pattern: re.Pattern[str], wanted: Callable[[re.Match[str]], bool] | None = None) -> None:
        for match in pattern.finditer(self.text):
            if wanted is None or wanted(match):
                self._blank(match, "count" if "count" in match.re.groupindex else 0)

    def _blank(self, match: re.Match[str], group: str | int = 0) -> None:
        start, end = match.span(group)
        self.text = self.text[:start] + "\x00" * (end - start) + self.text[end:]


def _sums_up(match: re.Match[str]) -> bool:
    """Whether a number only counts what has just been listed: 昆明、大理和丽江三地."""
    items = re.split(r"[、和与與及]+", match["list"].strip("、和与與及"))
    return _read(match["count"]) == len(items)


def _is_date(match: re.Match[str]) -> bool:
    found = match.groupdict()
    month, day = _number(found.get("month")), _number(found.get("day"))
    return (month is None or 1 <= month <= 12) and (day is None or 1 <= day <= 31)


def _number(written: str | None) -> int | None:
    if written is None:
        return None
    lowered = written.lower()
    if lowered.isdigit():
        return int(lowered)
    if lowered[:3].isalpha() and lowered.isascii():
        return next(place for place, name in enumerate(_MONTHS, 1) if name == lowered[:3])
    return int(numerals.chinese(lowered))


def _moment(match: re.Match[str]) -> Moment:
    found = match.groupdict()
    return Moment(
        _number(found.get("year")), _number(found.get("month")), _number(found.get("day")), match.group().strip()
    )


def _clock(match: re.Match[str]) -> Clock:
    found = match.groupdict()
    half = (found["half"] or "").lower()
    hour = _number(found["hour"]) or 0
    minutes = 30 if found.get("thirty") else _number(found.get("minute")) or 0
    late = half in _LATE or (half == "中午" and hour < 11)
    hour = hour % 12 + 12 if late else hour % 12 if half == "a" else hour
    return Clock(hour * 60 + minutes, bool(half) or hour > 12, match.group().strip())


def _quantity(match: re.Match[str], left: _Masked) -> Quantity:
    found = {name: value for name, value in match.groupdict().items() if value is not None}
    value, kind = _value(found)
    bare = value = -value if "minus" in found else value
    after = AFTER.match(left.whole, match.end())
    before = BEFORE.search(left.whole, 0, match.start())
    written, end = match.group().strip(), match.end()
    if not kind and after:
        kind, factor = unit_of(after["unit"])
        value *= factor
        written, end = written + after.group(), after.end()
    elif not kind and before:
        kind, factor = unit_of(before["unit"])
        value *= factor
        written = before.group() + written
    elif not kind and "digits" in found and _CODE.search(left.whole, 0, match.start()):
        kind = "code"
    noun = _NOUN.match(left.whole, end)
    counted = noun.group(1).lower() if noun and not kind else ""
    weak = value in (1.0, 2.0) and not kind and "digits" not in found
    weak = weak or ("often" in found and value == 1.0)  # once a year: yearly
    weak = weak or ("chinese" in found and not kind and len(found["chinese"]) == 1 and not counted)
    return Quantity(value, kind, counted, written, bare, weak)


def _value(found: dict[str, str]) -> tuple[float, str]:
    if "percent" in found:
        return _read(found["percent"]), "percent"
    if "below" in found:
        return _read(found["above"]) / (_read(found["below"]) or 1), "share"
    if "tenths" in found:
        return _read(found["tenths"]) * 10, "percent"
    if "fraction" in found:
        part = next(share for name, share in _FRACTIONS.items() if found["fraction"].lower().startswith(name[:4]))
        parts = 1.0 if found["parts"].lower() == "a" else numerals.english(found["parts"])
        return parts * part, "share"
    if "often" in found:
        return 1.0 + ("once", "twice", "thrice").index(found["often"].lower()), "times"
    if "dozens" in found:
        return 12 * (1.0 if found["dozens"].lower() == "a" else numerals.english(found["dozens"])), ""
    if "ordinal" in found:
        return float(numerals.ORDINALS[found["ordinal"].lower()]), ""
    if "english" in found:
        return numerals.english(found["english"]), ""
    if "chinese" in found:
        return numerals.chinese(found["chinese"]), ""
    value = float(found["digits"].replace(",", "") + found.get("decimals", ""))
    return value * _SCALES.get(found.get("scale", "").lower().strip(), 1.0), ""


def _read(written: str) -> float:
    return float(written) if written[0].isdigit() else numerals.chinese(written)
