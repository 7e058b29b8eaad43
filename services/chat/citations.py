"""What an answer refers to, and answers as Markdown that cannot load anything."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from services.chat.marks import Group, groups, settled
from services.chat.prompts import PromptPassage
from services.chat.spans import CODE, FENCE, spans

_URL_CHARACTER = r"[^\s<>`\[\]{}|\\^，。；、）】]"
_URL = re.compile(rf"(?<![A-Za-z0-9])(?:https?://|ftp://|www\.){_URL_CHARACTER}*(?<![.,;:!?)'\"*_])", re.IGNORECASE)
_TAG_START = re.compile(r"<(?=[A-Za-z/!?])")
_LINK = re.compile(r"!?\[([^\[\]\n]*)\]\(\s*<?([^\s()<>]*)>?(?:\s+(?:\"[^\"\n]*\"|'[^'\n]*'))?\s*\)")
_OPEN, _CLOSE = "\ue000", "\ue001"
"""Around the number of a piece of ours while the text around it is made harmless."""
Edit = tuple[int, int, str]
"""What a stretch of an answer is replaced by."""

_WORD = re.compile(r"\w")
_PLACED = re.compile(rf"(!?){_OPEN}(\d+){_CLOSE}")


@dataclass(frozen=True, slots=True)
class Mark:
    """One number of a mark such as [1] or [1, 2]; the span is that of the whole mark in the answer."""

    number: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Citation:
    """A passage that an answer refers to; the span is that of the passage in its document's text.

    `supported` tells whether the passage bears out what is said with it; None where that was not checked, or could
    not be told. `reason` says why, as a code of `services.chat.checking.verdicts`.
    """

    marker: int
    document: str
    page: int | None
    start: int
    end: int
    supported: bool | None = None
    reason: str | None = None


def marks(text: str, passages_count: int) -> list[Mark]:
    """The marks of an answer in their order; numbers without a passage, and whatever stands in code, are text."""
    return [
        Mark(number.value, group.start, group.end) for group in groups(text, passages_count) for number in group.numbers
    ]


def cite(answer: str, passages: Sequence[PromptPassage]) -> list[Citation]:
    """The passages that an answer refers to, each once, in the order in which it first does."""
    numbers = dict.fromkeys(mark.number for mark in marks(answer, len(passages)))
    return [
        Citation(number, passage.document, passage.page, passage.start, passage.end)
        for number in numbers
        for passage in (passages[number - 1],)
    ]


def markdown(answer: str, targets: Mapping[int, str], *, growing: bool = False, wrapped: Sequence[Edit] = ()) -> str:
    """An answer as Markdown that loads nothing, with each mark as a link to its passage: [1, 2] becomes [1][2].

    Args:
        targets: what the passages 1 … n lead to, each with a quoted title if there is one.
        growing: more will come; what it may still change is left out.
        wrapped: stretches of the answer (start, end) that become links of their own; where a mark or markup stands in
            one, only what stands between is linked.
    """
    answer = answer.replace(_OPEN, " ").replace(_CLOSE, " ")
    pieces: list[str] = []

    def placed(start: int, end: int, piece: str) -> tuple[int, int, str]:
        pieces.append(piece)
        return start, end, f"{_OPEN}{len(pieces) - 1}{_CLOSE}"

    links = [link for group in groups(answer, max(targets, default=0)) for link in _links(group, answer, targets)]
    edits = [placed(*edit) for edit in (*_wraps(answer, links, wrapped), *links)]
    shown = settled(answer) if growing else len(answer)
    parts, position = [], 0
    for start, end, piece in sorted(edits, key=lambda edit: edit[:2]):
        if end <= shown:
            parts += [answer[position:start], piece]
            position = end
    text = defuse("".join([*parts, answer[position:shown]]))
    # An exclamation mark before a link would make it a picture.
    return _PLACED.sub(lambda place: "&#33;" * len(place[1]) + pieces[int(place[2])], text)


def defuse(text: str) -> str:
    """Model output as Markdown that loads nothing and leads nowhere: no images, no HTML, no links.

    Links keep their words, followed by the address as code. Fenced code stays as it is; formulas are written as the
    renderer knows them.
    """
    pieces, position = [], 0
    for span in spans(text):
        kept = text[span.start : span.end]
        if span.kind == CODE:
            # Inline code ends where a renderer thinks it does; an image would be fetched if it thought otherwise.
            kept = kept.replace("](", "] (")
        elif span.kind != FENCE:
            kept = _formula(kept)
        pieces += [_outside(text[position : span.start]), kept]
        position = span.end
    return "".join([*pieces, _outside(text[position:])])


def _outside(part: str) -> str:
    part = _LINK.sub(lambda link: f"{link.group(1)} ({link.group(2)})" if link.group(2) else link.group(1), part)
    part = part.replace("![", "[").replace("](", "] (").replace("]:", "]\\:")
    # A lone dollar would make what stands between two prices a formula.
    part = re.sub(r"(?<!\\)\$", r"\\$", _TAG_START.sub("&lt;", part))
    part = re.sub(r"(?<![~\\])~(?!~)", r"\\~", part)  # a lone one means "about", not struck out
    return _URL.sub(r"`\g<0>`", part)


def _formula(text: str) -> str:
    """A formula between dollars; should the renderer think that it is none, it still loads nothing."""
    display = text.startswith(("$$", "\\["))
    inner = text[2:-2] if display or text.startswith("\\(") else text[1:-1]
    inner = _TAG_START.sub("< ", inner.strip()).replace("![", "! [").replace("](", "] (").replace("]:", "] :")
    inner = re.sub(
        r"(?i)(https?|ftp)://|www\.", lambda address: address.group().replace("/", " /").replace(".", " ."), inner
    )
    if not display:
        return f"${' '.join(inner.split())}$"
    return f"$${inner}$$" if "\n" not in inner else f"$$\n{inner}\n$$"


def _links(group: Group, answer: str, targets: Mapping[int, str]) -> list[Edit]:
    if group.spoken:
        return [
            (number.start, number.end, f"[{answer[number.start : number.end]}]({targets[number.value]})")
            for number in group.numbers
            if number.start < number.end and number.value in targets
        ]
    links = {
        number.value: f"[\\[{number.value}\\]]({targets[number.value]})"
        for number in group.numbers
        if number.value in targets
    }
    return [(group.start, group.end, "".join(links.get(value, f"\\[{value}\\]") for value in group.order))]


def _wraps(answer: str, links: Sequence[Edit], wrapped: Sequence[Edit]) -> Iterator[Edit]:
    """The two ends of each link around what stands between the marks of a stretch."""
    for start, end, target in wrapped:
        inside = [link[:2] for link in links if start <= link[0] and link[1] <= end]
        edges = [start, *(edge for link in inside for edge in link), end]
        for begin, finish in zip(edges[::2], edges[1::2], strict=True):
            words = answer[begin:finish]
            begin += len(words) - len(words.lstrip())
            finish = begin + len(words.strip())
            if _WORD.search(words) and _whole(answer[begin:finish]):
                yield begin, begin, "["
                yield finish, finish, f"]({target})"


def _whole(words: str) -> bool:
    """Whether markup that begins in the words also ends there, so that a link may be laid around them."""
    even = all(words.count(sign) % 2 == 0 for sign in ("*", "`", "~~", "$", "__"))
    return even and "\n" not in words and "|" not in words and words.count("[") == words.count("]")
