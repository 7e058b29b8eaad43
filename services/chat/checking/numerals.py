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
CHINESE = "[零〇一二两兩三四五六七八九十百千万萬亿億]+(?:点[零〇一二三四五六七八九]+)?"


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
