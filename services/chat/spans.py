"""Where code and mathematics stand in an answer: nothing there is a citation mark, and nothing there is rewritten."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

import regex
from markdown_it import MarkdownIt

FENCE, CODE, MATHS = "fence", "code", "maths"

_INLINE_CODE = re.compile(r"(?<!`)(`+)(?!`)(?:(?!\n[ \t]*\n).)+?(?<!`)\1(?!`)", re.DOTALL)
_PARAGRAPH = r"(?:(?!\n[ \t]*\n)[\s\S])"
_MATHS = regex.compile(
    rf"(?<![\\$])\$\$(?=\s*[^\s$]){_PARAGRAPH}{{1,2000}}?\$\$"
    rf"|(?<!\\)\\\((?!\s*\d[\d\s,]*\\\)){_PARAGRAPH}{{1,400}}?\\\)"
    rf"|(?<!\\)\\\[(?!\s*\^?\d[\d\s,;–-]*\\\]){_PARAGRAPH}{{1,2000}}?\\\]"
    # A price is no formula: what opens one is followed by neither a digit nor a space.
    r"|(?<![\\$\w])\$(?![\s\d$])[^$\n]{0,119}?[^\s\\$]\$(?![\w$])"
)
_FENCE_BEGUN = re.compile(r"(?:^|\n)[\s>*+\-\d.)]*(?:`{3,}[^`\n]*|~{3,}[^\n]*|`{1,2}|~{1,2})$")
_BACKTICKS = re.compile(r"`+")
_OPENER = regex.compile(r"\$|\\[(\[]?")
_BLANK_LINE = re.compile(r"\n[ \t]*\n")
LONGEST_MATHS = 2010


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of an answer that is no prose."""

    start: int
    end: int
    kind: Literal["fence", "code", "maths"]


def spans(text: str) -> list[Span]:
    """Fenced code, inline code and mathematics, in order; none overlaps another."""
    found: list[Span] = []
    for start, end, code in _segments(text):
        if code is not None:
            found.append(code)
            continue
        position = start
        while formula := _MATHS.search(text, position, end):
            found.append(Span(formula.start(), formula.end(), "maths"))
            position = formula.end()
    return found


def undecided(text: str) -> int:
    """How much of a growing text is sure to keep its spans: from there on, more text may open or close one."""
    begun = _FENCE_BEGUN.search(text)
    limit = begun.start() if begun else len(text)
    for start, end, code in _segments(text):
        if code is None:
            limit = min(limit, _open_within(text, start, end, end == len(text)))
        elif code.kind == CODE and end == len(text):
            limit = min(limit, start)
    return limit


def _open_within(text: str, start: int, end: int, last: bool) -> int:
    """Where, in prose between code, something is open that later text may close."""
    for run in _BACKTICKS.finditer(text, start, end):
        if not _BLANK_LINE.search(text, run.end()):
            return run.start()
    if not last:
        return len(text)
    position = max(start, end - LONGEST_MATHS)
    while opener := _OPENER.search(text, position, end):
        formula = _MATHS.match(text, opener.start(), end, partial=True)
        if formula and (formula.partial or formula.end() >= end - 1):
            return int(opener.start())
        position = formula.end() if formula else opener.end()
    return end


def _segments(text: str) -> Iterator[tuple[int, int, Span | None]]:
    """The text cut into prose and code."""
    position = 0
    for code in _code(text):
        yield position, code.start, None
        yield code.start, code.end, code
        position = code.end
    yield position, len(text), None


def _code(text: str) -> list[Span]:
    starts = [0, *(match.end() for match in re.finditer(r"\r\n?|\n", text)), len(text)]
    fences = [
        (starts[token.map[0]], starts[min(token.map[1], len(starts) - 1)])
        for token in _blocks().parse(text)
        if token.type == "fence" and token.map
    ]
    found: list[Span] = []
    position = 0
    for start, end in [*fences, (len(text), len(text))]:
        found += [Span(code.start(), code.end(), "code") for code in _INLINE_CODE.finditer(text, position, start)]
        found.append(Span(start, end, "fence"))
        position = end
    return found[:-1]


@cache
def _blocks() -> MarkdownIt:
    # Without HTML, as it will be rendered: a fence within a comment is one.
    return MarkdownIt("commonmark", {"html": False}).disable("inline")
