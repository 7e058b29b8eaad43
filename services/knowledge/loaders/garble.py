"""Whether a page's text is text: what broken fonts, wrong encodings and bad extraction leave looks like letters.

Each test asks for much evidence, for a false alarm takes away a page that could be read: mathematics, code, tables of
figures, and every script that people write must pass.
"""

from __future__ import annotations

import re
import unicodedata

from services.knowledge.loaders.decoding import plausibility

UNREADABLE_SHARE = 0.3
NAMES_SHARE = 0.3
"""Of the page's length that glyph names take."""
FOREIGN_SHARE = 0.4
MOJIBAKE_SHARE = 0.3
IMPLAUSIBLE, IMPLAUSIBLE_HANZI = 0.2, 0.45
FEWEST_FOREIGN = 20
FEWEST_SINGLES = 40
SINGLES_SHARE = 0.75
FEWEST_LETTERS = 300
FREQUENT = "etaoinsr"
FREQUENT_SHARE = 0.28
"""Of the letters of any language in Latin script these eight are about half; of letters drawn by chance a third."""
JUDGED_CHARACTERS = 20_000
_GLYPH_NAME = re.compile(r"\(cid:\d+\)|/(?:[A-Za-z]{1,2}\d{1,4}|uni[0-9A-Fa-f]{4}|glyph\d+|cid\d+|g\d+)(?=/|\s|$)")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_NO_LETTER = re.compile(r"[\W\d_]+")
_MOJIBAKE = re.compile("[ÂÃâãäåæçèéïð][\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]{1,3}")


def garbled(text: str) -> bool:
    """Whether a page's text, as an extractor gave it, cannot be read. An empty one is not garbled."""
    judged = text[:JUDGED_CHARACTERS]
    return (
        unreadable_share(judged) > UNREADABLE_SHARE
        or sum(map(len, _GLYPH_NAME.findall(judged))) > NAMES_SHARE * max(len(judged.strip()), 1)
        or _wrongly_decoded(judged)
        or _spaced_out(judged)
        or _shifted(judged)
    )


def unreadable_share(text: str) -> float:
    """The share of a page's characters that are no characters: replacements, private use, unassigned, controls."""
    if text.isascii() and not _CONTROL.search(text):
        return 0.0  # most pages: looking at each character takes longer than reading the page
    seen = [letter for letter in text if not letter.isspace() and letter not in "\ufffe\u0002\u00ad"]
    bad = sum(letter == "\ufffd" or unicodedata.category(letter) in ("Co", "Cn", "Cs", "Cc") for letter in seen)
    return bad / len(seen) if seen else 0.0


def _wrongly_decoded(text: str) -> bool:
    """UTF-8 read as Latin letters, or characters that hardly anybody uses in a row, as wrong encodings make them."""
    if text.isascii():
        return False
    foreign = [letter for letter in text if letter > "\x7f" and not letter.isspace()]
    if len(foreign) < FEWEST_FOREIGN:
        return False
    if sum(map(len, _MOJIBAKE.findall(text))) > MOJIBAKE_SHARE * len(foreign) and _is_utf8(text):
        return True
    letters = [letter for letter in text if letter.isalpha()]
    beyond = [letter for letter in letters if letter > "\x7f" and not _mathematical(letter)]
    hanzi = [letter for letter in beyond if "\u4e00" <= letter <= "\u9fff"]
    if (
        len(hanzi) >= FEWEST_FOREIGN
        and len(hanzi) * 2 > len(beyond)
        and plausibility("".join(hanzi)) < IMPLAUSIBLE_HANZI
    ):
        return True
    return len(beyond) > FOREIGN_SHARE * len(letters) and plausibility("".join(beyond)) < IMPLAUSIBLE


def _is_utf8(text: str) -> bool:
    """Whether most of what looks like misread UTF-8 can be read again as UTF-8."""
    found = _MOJIBAKE.findall(text)
    return sum(_reads_again(piece) for piece in found) * 2 > len(found)


def _reads_again(piece: str) -> bool:
    raw = b"".join(_byte(letter) for letter in piece)
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data"
    return True


def _byte(letter: str) -> bytes:
    return bytes([ord(letter)]) if letter < "\u0100" else letter.encode("cp1252", "replace")


def _mathematical(letter: str) -> bool:
    return "\u0370" <= letter <= "\u03ff" or "\u2100" <= letter <= "\u22ff" or letter >= "\U0001d400"


def _spaced_out(text: str) -> bool:
    """Words whose letters stand apart: nearly all that stands between spaces is a single letter."""
    words = [word for word in text.split() if word.isascii()]
    singles = sum(len(word) == 1 and word.isalpha() for word in words)
    return singles >= FEWEST_SINGLES and singles > SINGLES_SHARE * len(words)


def _shifted(text: str) -> bool:
    """Letters that stand for others, as fonts without a map to Unicode give: the frequent ones become rare."""
    letters = _NO_LETTER.sub("", text.lower())
    if len(letters) < FEWEST_LETTERS or not letters.isascii():
        return False
    return sum(map(letters.count, FREQUENT)) < FREQUENT_SHARE * len(letters)
