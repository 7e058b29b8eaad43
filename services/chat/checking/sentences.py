"""An answer cut into the sentences that can be checked, each with the marks that belong to it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from services.chat.marks import Group, groups
from services.chat.spans import FENCE, spans

_END = re.compile(r"[。！？!?]+[”’」』\"')）]*|\.+[”’\"')]*(?=\s|$|[\[【［（(\u3400-\u9fff])|\n+")
_ABBREVIATED = re.compile(
    r"(?:\b(?:e\.g|i\.e|cf|etc|vs|dr|mr|mrs|ms|prof|st|no|nos|approx|fig|vol|ed|al|inc|ltd|co|jr|sr|a\.m|p\.m|[A-Za-z])|^\s*\d+)\.$",
    re.IGNORECASE,
)
_LEAD = re.compile(r"(?:[\s>]|[-*+•]\s|#{1,6}\s|\d{1,2}[.)、]\s|\|)*")
_ALWAYS = re.compile(r"\s(?:a\.m|p\.m|etc)\.$", re.IGNORECASE)
_MARK_AFTER = re.compile(r"\s{0,2}")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of an answer: where it stands, its words without marks, and the numbers of the passages it cites."""

    start: int
    end: int
    text: str
    numbers: tuple[int, ...]


def sentences(answer: str, count: int) -> list[Sentence]:
    """The sentences of an answer; code is none, and a mark behind a full stop belongs to the sentence before it."""
    marks = groups(answer, count)
    code = [(span.start, span.end) for span in spans(answer) if span.kind == FENCE]
    found = []
    for start, end in _cut(answer, marks):
        start += len(_LEAD.match(answer[start:end]).group())  # type: ignore[union-attr]
        end = start + len(answer[start:end].rstrip())
        if start >= end or any(begin < end and start < finish for begin, finish in code):
            continue
        inside = [group for group in marks if start <= group.start and group.end <= end]
        numbers = tuple(dict.fromkeys(number.value for group in inside for number in group.numbers))
        text = _without(answer, start, end, inside)
        if re.search(r"\w", text):
            found.append(Sentence(start, end, text, numbers))
    return found


def pieces(text: str, longest: int = 400) -> list[str]:
    """A passage cut into sentences, for comparing one by one."""
    cut = [text[start:end].strip() for start, end in _cut(text, [])]
    return [piece[:longest] for piece in cut if re.search(r"\w", piece)]


def _cut(text: str, marks: Sequence[Group]) -> list[tuple[int, int]]:
    edges, position, begins = [], 0, {group.start: group.end for group in marks}
    for match in _END.finditer(text):
        if match.start() < position or any(group.start < match.end() <= group.end for group in marks):
            continue
        if match.group().startswith(".") and _abbreviated(text[position : match.end()], text[match.end() :]):
            continue
        end = match.end()
        while not match.group().startswith("\n"):
            gap = _MARK_AFTER.match(text, end)
            after = begins.get(gap.end()) if gap else None
            if after is None or "\n" in text[end:after]:
                break
            end = after
        edges.append((position, end))
        position = end
    return [*edges, (position, len(text))]


def _abbreviated(before: str, after: str) -> bool:
    if not _ABBREVIATED.search(before):
        return False
    return not (_ALWAYS.search(before) and re.match(r"\s+[A-Z\[]|\s*$", after))


def _without(answer: str, start: int, end: int, marks: Sequence[Group]) -> str:
    parts, position = [], start
    for group in marks:
        if not group.spoken:
            parts.append(answer[position : group.start])
            position = group.end
        else:
            spoken = [number.end for number in group.numbers]
            parts.append(answer[position : group.start])
            position = max([group.start, *spoken])
    return re.sub(r"[*_`|#]+", " ", "".join([*parts, answer[position:end]])).strip()
