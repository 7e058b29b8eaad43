"""Citation marks in answers, and answers as Markdown that cannot load anything."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from markdown_it import MarkdownIt

from services.chat.prompts import CITATION_MARK, PromptPassage

_INLINE_CODE = re.compile(r"(?<!`)(`+)(?!`)(?:(?!\n[ \t]*\n).)+?(?<!`)\1(?!`)", re.DOTALL)
_URL_CHARACTER = r"[^\s<>`\[\]{}|\\^，。；、）】]"
_URL = re.compile(rf"(?<![A-Za-z0-9])(?:https?://|ftp://|www\.){_URL_CHARACTER}*(?<![.,;:!?)'\"*_])", re.IGNORECASE)
_TAG_START = re.compile(r"<(?=[A-Za-z/!?])")
_LINK = re.compile(r"!?\[([^\[\]\n]*)\]\(\s*<?([^\s()<>]*)>?(?:\s+(?:\"[^\"\n]*\"|'[^'\n]*'))?\s*\)")


@dataclass(frozen=True, slots=True)
class Mark:
    """One number of a mark such as [1] or [1, 2]; the span is that of the whole mark in the answer."""

    number: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Citation:
    """A passage that an answer refers to; the span is that of the passage in its document's text.

    `supported` tells whether the passage bears out what is said with it; None where that was not checked.
    """

    marker: int
    document: str
    page: int | None
    start: int
    end: int
    supported: bool | None = None


def marks(text: str, passages_count: int) -> list[Mark]:
    """The marks of an answer in their order; numbers without a passage, and whatever stands in code, are text."""
    return [
        Mark(number, start, end)
        for start, end, numbers in _groups(text)
        for number in numbers
        if 1 <= number <= passages_count
    ]


def cite(answer: str, passages: Sequence[PromptPassage]) -> list[Citation]:
    """The passages that an answer refers to, each once, in the order in which it first does."""
    numbers = dict.fromkeys(mark.number for mark in marks(answer, len(passages)))
    return [
        Citation(number, passage.document, passage.page, passage.start, passage.end)
        for number in numbers
        for passage in (passages[number - 1],)
    ]


def defuse(text: str) -> str:
    """Model output as Markdown that loads nothing and leads nowhere: no images, no HTML, no links, no formulas.

    Links keep their words, followed by the address as code. Fenced code stays as it is.
    """

    def outside(part: str) -> str:
        part = _LINK.sub(lambda link: f"{link.group(1)} ({link.group(2)})" if link.group(2) else link.group(1), part)
        part = part.replace("![", "[").replace("](", "] (").replace("]:", "]\\:")
        # A lone dollar would make what stands between two prices a formula.
        part = re.sub(r"(?<!\\)\$", r"\\$", _TAG_START.sub("&lt;", part))
        part = re.sub(r"(?<![~\\])~(?!~)", r"\\~", part)  # a lone one means "about", not struck out
        return _URL.sub(r"`\g<0>`", part)

    # Inline code ends where a renderer thinks it does; an image would be fetched if it thought otherwise.
    return _rewritten(text, outside, inline=lambda code: code.replace("](", "] ("))


def linked(text: str, targets: Mapping[int, str]) -> str:
    """The answer with each mark as a link to its passage: [1, 2] becomes [\\[1\\]](…)[\\[2\\]](…).

    Args:
        text: Markdown, as `defuse` leaves it.
        targets: what each passage's number leads to, with a quoted title if there is one; other numbers stay text.
    """

    def shown(number: int) -> str:
        return f"[\\[{number}\\]]({targets[number]})" if number in targets else f"\\[{number}\\]"

    pieces, position = [], 0
    for start, end, numbers in _groups(text):
        pieces += [text[position:start], *map(shown, numbers)]
        position = end
    return "".join([*pieces, text[position:]])


def _groups(text: str) -> Iterator[tuple[int, int, list[int]]]:
    code = _code_spans(text)
    for match in CITATION_MARK.finditer(text):
        if not any(start <= match.start() < end for start, end, _ in code):
            yield match.start(), match.end(), [int(number) for number in re.findall(r"\d+", match.group(1))]


def _rewritten(text: str, outside: Callable[[str], str], inline: Callable[[str], str]) -> str:
    pieces, position = [], 0
    for start, end, fenced in _code_spans(text):
        code = text[start:end]
        pieces += [outside(text[position:start]), code if fenced else inline(code)]
        position = end
    return "".join([*pieces, outside(text[position:])])


def _code_spans(text: str) -> list[tuple[int, int, bool]]:
    """Where code stands, in order: start, end, and whether it is a fenced block."""
    starts = [0, *(match.end() for match in re.finditer(r"\r\n?|\n", text)), len(text)]
    fences = [
        (starts[token.map[0]], starts[min(token.map[1], len(starts) - 1)], True)
        for token in _blocks().parse(text)
        if token.type == "fence" and token.map
    ]
    spans, position = [], 0
    for start, end, _ in [*fences, (len(text), len(text), True)]:
        spans += [(code.start(), code.end(), False) for code in _INLINE_CODE.finditer(text, position, start)]
        spans.append((start, end, True))
        position = end
    return spans[:-1]


@cache
def _blocks() -> MarkdownIt:
    # Without HTML, as it will be rendered: a fence within a comment is one.
    return MarkdownIt("commonmark", {"html": False}).disable("inline")
