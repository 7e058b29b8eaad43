"""Bytes of unknown encoding become text, or it is said that nobody can tell.

A byte order mark and valid UTF-8 are believed. Everything else is decoded in every likely encoding, and the reading
that looks most like language wins: a wrong decoding of Chinese still decodes, but into characters that hardly anybody
uses.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
NARROW = ("utf-8", "gb18030", "big5hkscs", "cp1252", "shift_jis", "euc_jp", "euc_kr", "cp1251", "koi8-r", "cp1250")
LATIN = frozenset(("cp1252", "cp1250"))
WIDER = {"gb2312": "gb18030", "gbk": "gb18030", "big5": "big5hkscs", "iso8859-1": "cp1252", "ascii": "cp1252"}
SAMPLE_BYTES = 48_000
SURE = 0.55
"""Readings of real text score above 0.6, wrong ones mostly below 0.5; below `HOPELESS` it is no text at all."""
HOPELESS = 0.25
MARGIN = 0.05
FEW_BYTES = 200
DECLARED_BONUS, DETECTED_MALUS, CENTRAL_MALUS = 0.15, 0.02, 0.03
"""Western and Central European letters share most bytes: what is as likely both ways is Western."""
NEVER_TOGETHER = (("ø", "ì"), ("ø", "è"), ("ø", "ù"))
"""Danish and Italian or French letters in one text: it is Czech, read as Western."""
FREQUENT = frozenset(
    "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面而方后多定行学法所民"
    "得经十三之进着等部度家电力里如水化高自二理起小物现实加量都两体制机当使点从业本去把性好应开它合还因由其些然前外天政四日那"
    "社义事平形相全表间样与关各重新线内数正心反你明看原又么利比或但质气第向道命此变条只没结解问意建月公无系军很情者最立代想已"
    "這個國為來時們會學說對產種發過後動麼與關數線體電實機點從業應開還當問無條變結"
    "이다는을의에가고를한하지은로도기사서인리대어자해시있나정그보아전일부으수들라면제주과구장상적"
)
_DOUBLED = re.compile("[\u00c2-\u00f4][\u0080-\u00bf]*[\u0080-\u009f][\u0080-\u00bf]*")
_PRINTABLE = bytes(range(0x20, 0x7F)).replace(b"\\", b"").replace(b"~", b"")
_BINARY_BYTES = bytes(code for code in range(32) if code not in b"\t\n\r\x0b\x0c\x1b")


@dataclass(frozen=True, slots=True)
class Decoded:
    """Text with the encoding it was read in; `score` runs from 0 (noise) to 1."""

    text: str
    encoding: str
    score: float
    sure: bool
    """It looks like language, and no other reading does nearly as well."""


def decode(raw: bytes, declared: str | None = None) -> Decoded:
    """Decode bytes whose encoding may be declared (in a document's own head) but is not believed blindly.

    Cost: three milliseconds for each kilobyte of the first 48 kB that are not ASCII; one pass over the rest.
    """
    for mark, encoding in BOMS:
        if raw.startswith(mark):
            return Decoded(raw.decode(encoding, "replace"), encoding, 1.0, True)
    if b"\x00" not in raw[:SAMPLE_BYTES]:
        text = _utf8(raw)
        if text is not None:
            return Decoded(text, "utf-8", 1.0, True)
    sample = _sample(raw)
    scores = _scores(sample, _codec(declared))
    encoding = max(scores, key=lambda key: scores[key])
    sure = scores[encoding] >= SURE and not _rivals(sample, encoding, scores)
    return Decoded(raw.decode(encoding, "replace"), encoding, min(scores[encoding], 1.0), sure)


def _utf8(raw: bytes) -> str | None:
    """The text where the bytes are UTF-8 and mean it: a few Chinese words in GB 18030 can be valid by chance."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
    beyond = [letter for letter in text if letter > "\x7f"] if len(raw) < FEW_BYTES else []
    by_chance = beyond and max(beyond) < "\u0800" and plausibility(text) < SURE
    return None if by_chance else text


def undoubled(text: str) -> str:
    """The text where UTF-8 was once read as Latin-1 and written again: its control characters betray it."""

    def mended(found: re.Match[str]) -> str:
        try:
            return found[0].encode("latin-1").decode("utf-8")
        except UnicodeDecodeError:
            return found[0]

    return _DOUBLED.sub(mended, text)


def looks_like_text(head: bytes) -> bool:
    """Whether the beginning of a file is text in some encoding."""
    if any(head.startswith(mark) for mark, _ in BOMS):
        return True
    if b"\x00" in head:
        return max(_scores(_sample(head), None).values()) >= SURE
    return sum(head.count(code) for code in _BINARY_BYTES) * 200 <= len(head)


def plausibility(text: str, *, ascii_counts: bool = False) -> float:
    """How much text looks like language, from 0 to 1.

    ASCII says nothing where all encodings agree on it, but much where UTF-16 or UTF-32 are in question.
    """
    marks = [_mark(before, letter, after) for before, letter, after in _neighbours(text) if letter >= "\x7f"]
    marks += [-3.0 for letter in text if letter < " " and letter not in "\t\n\r\x0b\x0c\x1b"]
    marks += [0.9] * (sum(" " < letter < "\x7f" for letter in text) if ascii_counts else 0)
    return max(0.0, sum(marks) / len(marks)) if marks else 1.0


def _scores(sample: bytes, declared: str | None) -> dict[str, float]:
    if b"\x00" in sample:
        whole = sample[: len(sample) // 4 * 4]
        return {encoding: _score(whole, encoding, ascii_counts=True) for encoding in (*WIDE, *NARROW)}
    scores = {encoding: _score(sample, encoding) for encoding in NARROW}
    if declared:
        scores[declared] = scores.get(declared, _score(sample, declared)) + DECLARED_BONUS
    from charset_normalizer import from_bytes

    match = from_bytes(sample[:8_000]).best()
    if match and (found := _codec(match.encoding)) and found not in scores:
        scores[found] = _score(sample, found) - DETECTED_MALUS
    return scores


def _rivals(sample: bytes, encoding: str, scores: dict[str, float]) -> list[str]:
    """Encodings that read other text with nearly the score; the Latin ones differ in too little to tell."""
    near = [key for key in scores if scores[key] > scores[encoding] - MARGIN and not {key, encoding} <= LATIN]
    text = sample.decode(encoding, "replace")
    return [key for key in near if sample.decode(key, "replace") != text]


def _score(sample: bytes, encoding: str, *, ascii_counts: bool = False) -> float:
    text = sample.decode(encoding, "replace")
    score = plausibility(text, ascii_counts=ascii_counts)
    if encoding == "cp1250" or any(one in text and other in text for one, other in NEVER_TOGETHER):
        score -= CENTRAL_MALUS if encoding == "cp1250" else 2 * CENTRAL_MALUS
    return score


def _sample(raw: bytes) -> bytes:
    """The stretch where the text stops being ASCII, begun at a line so that no character is cut."""
    if b"\x00" in raw[:SAMPLE_BYTES]:
        return raw[:SAMPLE_BYTES]
    first = next((index for index, code in enumerate(raw) if code > 0x7F), 0)
    start = raw.rfind(b"\n", 0, first) + 1 if not raw.isascii() else 0
    return raw[start : start + SAMPLE_BYTES]


def _codec(name: str | None) -> str | None:
    try:
        found = codecs.lookup(name or "").name
    except LookupError:
        return None
    found = WIDER.get(found.replace("_", "-"), found)
    try:
        return found if _PRINTABLE.decode(found) == _PRINTABLE.decode("ascii") else None
    except (UnicodeError, LookupError):
        return None  # not an extension of ASCII, or no text encoding at all


def _neighbours(text: str) -> list[tuple[str, str, str]]:
    padded = f" {text} "
    return [(a, b, c) for (a, b), c in zip(pairwise(padded), padded[2:], strict=False)]


@cache
def _everyday() -> frozenset[str]:
    """The hanzi that the Chinese standards list as common: GB 2312 level 1 and Big5 level 1."""
    gb = bytes(code for lead in range(0xB0, 0xD8) for tail in range(0xA1, 0xFF) for code in (lead, tail))
    tails = (*range(0x40, 0x7F), *range(0xA1, 0xFF))
    big5 = bytes(code for lead in range(0xA4, 0xC7) for tail in tails for code in (lead, tail))
    return frozenset(gb.decode("gb2312", "ignore") + big5.decode("big5", "ignore"))


def _mark(before: str, letter: str, after: str) -> float:
    """How well one character beyond ASCII fits in: 1 very well, negative where it breaks the text."""
    if letter in FREQUENT:
        return 1.0
    category = unicodedata.category(letter)
    if letter == "\ufffd" or category in ("Co", "Cn", "Cs", "Cc"):
        return -3.0
    if category == "Lo":
        alone = all(near.isascii() and near.isalpha() for near in (before, after))
        return 0.1 if alone else _mark_of_syllable(letter)
    if category in ("Lu", "Ll"):
        return _mark_of_letter(before, letter, after)
    if category in ("Lm", "Mn", "Mc"):
        return 0.5
    return 0.8 if letter in "¡¿，。、；：？！“”‘’（）《》【】…—–·　「」『』€£©®°•«»±×²³½§\xa0" else 0.3


def _mark_of_syllable(letter: str) -> float:
    if "\u3040" <= letter <= "\u30ff":
        return 0.9
    if "\u0590" <= letter <= "\u06ff":
        return 0.75
    if "\uff61" <= letter <= "\uff9f":  # half-width katakana: mostly a sign of a wrong guess
        return 0.1
    if "\u4e00" <= letter <= "\u9fff":
        return 0.7 if letter in _everyday() else 0.1
    return 0.5 if "\uac00" <= letter <= "\ud7a3" else 0.3


def _mark_of_letter(before: str, letter: str, after: str) -> float:
    """Capitals stand at the beginning of words or in words of capitals; alphabets are not mixed."""
    odd = letter.isupper() and (before.islower() or (before.isupper() and after.islower()))
    if letter >= "\u0370":
        foreign = any(near.isascii() and near.isalpha() for near in (before, after))
        everyday = "\u0410" <= letter <= "\u044f" or letter in "ёЁіІїЇєЄґҐ" or letter < "\u0400"
        return 0.75 if everyday and not (odd or foreign) else 0.1
    accented = [near for near in (before, after) if "\x7f" < near < "\u0370"]
    crowded = bool(accented) and not (letter.islower() and all(near.islower() for near in accented))
    return 0.1 if crowded or odd else 0.85
