"""Where sentences end, in English and Chinese.

A closing quote or bracket belongs to the sentence that it closes. A full stop ends none in a number, after an
abbreviation or initial, or before a small letter. A blank line ends a sentence in any case, a line end only before
what begins an item of its own: a list mark, a heading mark, a row of a table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from services.knowledge.chunking.recursive import Span

_CLOSING = "\"'”’」』）】》)\\]"
_END = re.compile(
    rf"(?P<stop>\.+)[{_CLOSING}]*(?=\s)"
    rf"|[!?]+(?P<closed>[{_CLOSING}]*)(?=[\s\u3400-\u9fff])"
    rf"|[。！？…]+[{_CLOSING}]*"
    r"|\n[ \t]*\n"
    r"|\n(?=[ \t]*(?:[-*+•·▪◦]\s|\d{1,3}[.)、]|[#|>]))"
)
_SPACE = re.compile(r"\s*")
_WORD_BEFORE = re.compile(r"[^\s(\[“‘\"']*\Z")
_LOOK_BACK = 24
_ITEM_NUMBER = re.compile(r"\d{1,3}\Z")
_INITIAL = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]\Z")
NEVER_LAST = frozenset(
    (
        *("mr", "mrs", "ms", "dr", "prof", "st", "rev", "gov", "gen", "col", "capt", "sen", "rep", "no", "nos", "fig"),
        *("figs", "eq", "eqs", "sec", "ch", "vol", "art", "para", "pp", "ed", "eds", "vs", "cf", "approx", "dept"),
        *("est", "tel", "ext", "ca", "al", "resp", "incl", "excl", "max", "min", "avg"),
    )
)
"""Abbreviations after which a sentence goes on; others, such as "etc", end one before a capital letter."""


def sentence_spans(text: str) -> Iterator[Span]:
    """The sentences of a text as spans that join without a gap: white space belongs to the sentence before it."""
    start = 0
    for match in _END.finditer(text):
        if match.start() < start:
            continue
        end = _after_space(text, match.end())
        if not _ends(text, match, end):
            continue
        if text[start:end].strip():
            yield start, end
            start = end
    if start < len(text):
        yield start, len(text)


def _after_space(text: str, position: int) -> int:
    space = _SPACE.match(text, position)
    return space.end() if space else position


def _ends(text: str, match: re.Match[str], following: int) -> bool:
    small_letter_follows = text[following : following + 1].islower()
    if match["stop"]:
        paragraph = text.count("\n", match.end(), following) > 1
        return paragraph or not (small_letter_follows or _abbreviated(text, match.start(), match["stop"]))
    return not (match["closed"] and small_letter_follows)


def _abbreviated(text: str, stop: int, dots: str) -> bool:
    if len(dots) > 1:
        return False
    found = _WORD_BEFORE.search(text[max(0, stop - _LOOK_BACK) : stop])
    word = found[0] if found else ""
    if _ITEM_NUMBER.fullmatch(word):
        line = text.rfind("\n", 0, stop) + 1
        return not text[line : stop - len(word)].strip()
    return word.lower() in NEVER_LAST or _INITIAL.fullmatch(word) is not None
