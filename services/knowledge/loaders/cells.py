"""Values of spreadsheet cells as their number format shows them: dates, percentages, currencies, thousands."""

from __future__ import annotations

import datetime
import re
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
          "November", "December")  # fmt: skip
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
BY_LOCALE = "mm-dd-yy"
"""The format that every reader's program shows in its own order of day and month: shown by ISO 8601 here."""
GENERAL_DIGITS = 11
_LITERAL = re.compile(r'"([^"]*)"|\\(.)|\[\$([^\]-]*)[^\]]*\]|\[[^\]]*\]|_.|\*.')
_DATE_PART = re.compile(r"y+|m+|d+|h+|s+|a/p|am/pm|上午/下午|.", re.IGNORECASE | re.DOTALL)
_FIRST_MARK, _LAST_MARK = 0xE000, 0xF8FF
_PLACES = re.compile(r"[#0?][#0?,]*(?:\.[#0?]*)?(?:E[+-]0+)?", re.IGNORECASE)


def shown(value: object, code: str) -> str:
    """A cell's value as the format `code` shows it; what the format asks beyond that is shown plainly."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, (int, float)):
        return _number(value, code)
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return _date(value, code)
    if isinstance(value, datetime.timedelta):
        minutes, seconds = divmod(round(value.total_seconds()), 60)
        return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    return str(value)


def _number(value: float, code: str) -> str:
    sections = code.split(";")
    section = sections[1] if value < 0 and len(sections) > 1 else sections[0]
    if value == 0 and len(sections) > 2:
        section = sections[2]
    literals: list[str] = []
    bare = _without_literals(section, literals)
    places = _PLACES.search(bare)
    if code.strip().lower() in ("general", "@", "") or "?/" in bare or not places:
        return _plain(value) if places or not literals or value else "".join(literals).strip()
    size = abs(value) if value < 0 and len(sections) > 1 else value
    digits = _digits(size, places[0], percent=bare.count("%"))
    return _with_literals(bare[: places.start()] + digits + bare[places.end() :], literals).strip()


def _digits(value: float, places: str, *, percent: int) -> str:
    whole, _, rest = places.partition(".")
    fraction = rest.lower().partition("e")[0]
    if "e" in places.lower():
        return f"{value:.{len(fraction)}E}"
    grouped, thousands = "," in whole.rstrip(","), len(whole) - len(whole.rstrip(","))
    try:
        exact = Decimal(repr(value)) * 100**percent / 1000**thousands
        rounded = exact.quantize(Decimal(1).scaleb(-len(fraction)), ROUND_HALF_UP)
    except InvalidOperation:
        return _plain(value)
    text = f"{rounded:,f}" if grouped else f"{rounded:f}"
    spare = len(fraction) - len(fraction.rstrip("#?"))
    while spare and text.endswith("0"):
        text, spare = text[:-1], spare - 1
    return text.removesuffix(".")


def _plain(value: float) -> str:
    if isinstance(value, int) or value.is_integer():
        return str(int(value)) if abs(value) < 10**GENERAL_DIGITS * 10**4 else f"{value:.6G}"
    return f"{value:.{GENERAL_DIGITS}G}"


def _date(value: datetime.datetime | datetime.date | datetime.time, code: str) -> str:
    if code.lower() in (BY_LOCALE, "general"):
        return _by_locale(value)
    literals: list[str] = []
    parts = _DATE_PART.findall(_without_literals(code.split(";", maxsplit=1)[0], literals))
    letters = [part[0].lower() if part[0].isalpha() else "" for part in parts]
    twelve = any(part.lower() in ("am/pm", "a/p", "上午/下午") for part in parts)
    text = "".join(_part(value, part, _is_minute(letters, place), twelve) for place, part in enumerate(parts))
    return _with_literals(text, literals).strip()


def _by_locale(value: datetime.datetime | datetime.date | datetime.time) -> str:
    if isinstance(value, datetime.datetime):
        return value.date().isoformat() if value.time() == datetime.time() else value.isoformat(" ", "seconds")
    return value.isoformat()


def _is_minute(letters: list[str], place: int) -> bool:
    """Whether an "m" means minutes: after hours, or before seconds."""
    before = next((letter for letter in reversed(letters[:place]) if letter), "")
    after = next((letter for letter in letters[place + 1 :] if letter), "")
    return letters[place] == "m" and (before == "h" or after == "s")


def _part(value: datetime.datetime | datetime.date | datetime.time, part: str, minute: bool, twelve: bool) -> str:
    letter, size = part[0].lower(), len(part)
    if part.lower() in ("am/pm", "a/p", "上午/下午"):
        return "PM" if getattr(value, "hour", 0) >= 12 else "AM"
    if letter in "hs" or minute:
        amount = getattr(value, {"h": "hour", "s": "second"}.get(letter, "minute"), 0)
        amount = (amount - 1) % 12 + 1 if letter == "h" and twelve else amount
        return f"{amount:02}" if size > 1 else str(amount)
    if letter not in "ymd" or isinstance(value, datetime.time):
        return part
    return _day_part(value, letter, size)


def _day_part(value: datetime.date, letter: str, size: int) -> str:
    if letter == "y":
        return f"{value.year:04}" if size > 2 else f"{value.year % 100:02}"
    name = MONTHS[value.month - 1] if letter == "m" else DAYS[value.weekday()]
    if size > 2:
        return name if size > 3 else name[:3]
    amount = value.month if letter == "m" else value.day
    return f"{amount:02}" if size > 1 else str(amount)


def _without_literals(section: str, kept: list[str]) -> str:
    """The format with its literal texts replaced by marks, so that their letters are not read as places."""

    def mark(found: re.Match[str]) -> str:
        literal = next((group for group in found.groups() if group), "")
        if not literal or _FIRST_MARK + len(kept) > _LAST_MARK:
            return ""
        kept.append(literal)
        return chr(_FIRST_MARK + len(kept) - 1)

    return _LITERAL.sub(mark, section)


def _with_literals(text: str, kept: list[str]) -> str:
    return "".join(
        kept[ord(letter) - _FIRST_MARK] if 0 <= ord(letter) - _FIRST_MARK < len(kept) else letter for letter in text
    )
