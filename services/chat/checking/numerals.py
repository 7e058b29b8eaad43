"""Numbers in words: English ("twenty-three") and Chinese (二十三, 一点五, 三分之二)."""

from __future__ import annotations

import re

_UP_TO_NINETEEN = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
nineteen
"""
_ONES = _UP_TO_NINETEEN.split()
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SMALL = {word: value for value, word in enumerate(_ONES)} | {word: 20 + 10 * place for place, word in enumerate(_TENS)}
SCALES = {"hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12}
_WORDS = "|".join(sorted((*_SMALL, *SCALES), key=len, reverse=True))
ENGLISH = rf"\b(?:{_WORDS})(?:(?:[\s-]|\sand\s)(?:{_WORDS}))*\b"

_DIGITS = {character: value for value, character in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2, "兩": 2}
_POWERS = {"十": 10, "百": 100, "千": 1000}
_GROUPS = {"万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8}
ORDINALS = {
    word: value
    for value, word in enumerate(
        ["third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth"], 3
    )
}
ORDINAL = rf"\b(?:{'|'.join(ORDINALS)})\b(?![\s-]part(?:y|ies))"
CHINESE = "[零〇一二两兩三四五六七八九十百千万萬亿億]+(?:点[零〇一二三四五六七八九]+)?"

_COUNT = r"(?P<count>\d+|[一二三四五六七八九十两]{1,3})"
_HALVES = re.compile(rf"{_COUNT}(?:个半(?P<long>小时|钟头|月|星期)|(?P<short>[年天米块元岁倍])半)(?![年天价数])")
_TENTHS = re.compile(
    rf"{_COUNT}(?P<unit>[米块])(?P<rest>\d{{1,2}}|[一二三四五六七八九]{{1,2}})(?=$|[^\w.%×]|[高长宽深厚钱左上下以的多])"
)
_AND_HALF = re.compile(r"\b(?P<count>one|two|three|four|five|six|\d+)\sand\sa\shalf\b", re.IGNORECASE)
_FORTNIGHT = re.compile(r"\b(?:a\s|one\s)?fortnight\b", re.IGNORECASE)
_QUARTERS = ("first", "second", "third", "fourth")
_QUARTER = re.compile(rf"\b(?P<which>{'|'.join(_QUARTERS)})\squarter\b", re.IGNORECASE)


def joined(text: str) -> str:
    """A text in which a number that is written around its unit, as "and a half" or "second quarter", is one piece."""
    text = _HALVES.sub(
        lambda match: f"{_count(match)}.5{match['short'] or ('个' if match['long'] == '月' else '') + match['long']}",
        text,
    )
    text = _TENTHS.sub(lambda match: f"{_count(match)}.{_digits(match['rest'])}{match['unit']}", text)
    text = _FORTNIGHT.sub("14 days", text)
    text = _QUARTER.sub(lambda match: f"Q{_QUARTERS.index(match['which'].lower()) + 1}", text)
    return _AND_HALF.sub(lambda match: f"{_count(match)}.5", text)


def _count(match: re.Match[str]) -> int:
    written = match["count"].lower()
    if written.isdigit():
        return int(written)
    return int(_SMALL[written] if written.isascii() else chinese(written))


def _digits(written: str) -> str:
    return written if written.isdigit() and written.isascii() else "".join(str(_DIGITS[one]) for one in written)


def english(words: str) -> float:
    """The value of number words, as `ENGLISH` finds them."""
    total: float = 0
    current: float = 0
    for word in re.findall(r"[a-z]+", words.lower()):
        if word in _SMALL:
            current += _SMALL[word]
        elif word == "hundred":
            current = (current or 1) * 100
        elif word in SCALES:
            total += (current or 1) * SCALES[word]
            current = 0
    return total + current


def chinese(characters: str) -> float:
    """The value of Chinese numerals, as `CHINESE` finds them; digits in a row (一九八七) are read one by one."""
    whole, _point, decimals = characters.partition("点")
    fraction: float = sum(_DIGITS[digit] / 10**place for place, digit in enumerate(decimals, 1))
    if all(character in _DIGITS for character in whole):
        return float("".join(str(_DIGITS[character]) for character in whole)) + fraction
    total: float = 0
    section = digit = 0
    for character in whole:
        if character in _DIGITS:
            digit = _DIGITS[character]
        elif character in _POWERS:
            section += (digit or 1) * _POWERS[character]
            digit = 0
        else:
            size = _GROUPS[character]
            low = section + digit
            total = (total + low or 1) * size if size > 10**4 else total + (low or 1) * size
            section = digit = 0
    return total + section + digit + fraction
