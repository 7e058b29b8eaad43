"""Text of documents as HTML of our own: everything is escaped, and Markdown is readable without being rendered."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ui.flowing import flowing
from ui.text import html_text

_BEGIN, _END = "\x02", "\x03"
_EDGE = rf"[{_BEGIN}{_END}]*"
_HEADING = re.compile(rf"^({_EDGE})#{{1,6}}\s+(.*)$")
_FENCE = re.compile(rf"^{_EDGE}\s*(?:```|~~~)")
_RULE = re.compile(rf"^{_EDGE}\s*\|?(?:\s*:?-{{3,}}:?\s*\|?)+{_EDGE}$")
_TABLE_EDGE = re.compile(rf"(?<=[{_BEGIN}{_END}])\|\s*|^\|\s*|\s*\|(?={_EDGE}$)")
_BULLET = re.compile(rf"^({_EDGE}\s*)[-*+]\s+")
_PICTURE = re.compile(r"!?\[([^\]\n]*)\]\([^)\s]*(?:\s+\"[^\"\n]*\")?\)")
_EMPHASIS = re.compile(r"(\*\*|__|\*|`+)(?=\S)(.+?)(?<=\S)\1")
_PIECES = re.compile(rf"([{_BEGIN}{_END}])")


def is_markdown(document: str) -> bool:
    """Whether a document of this name is written in Markdown."""
    return document.lower().endswith((".md", ".markdown"))


def plain_lines(text: str, document: str) -> str:
    """The text of a document, without the signs of Markdown where it is written in that."""
    return "\n".join(line for _look, line in _readable(text)) if is_markdown(document) else text


def marked_html(before: str, passage: str, after: str, *, markdown: bool = False, typeset: bool = False) -> str:
    """A passage marked in the text around it.

    Args:
        markdown: its signs are left out, headings and code look their part.
        typeset: lines that were broken for a page are joined.
    """
    parts = (part.replace(_BEGIN, "").replace(_END, "") for part in (before, passage, after))
    text = "{}{begin}{}{end}{}".format(*parts, begin=_BEGIN, end=_END)
    plain = flowing(text) if typeset else text
    lines = _readable(text) if markdown else (("", line) for line in plain.split("\n"))
    html, inside = [], False
    for look, line in lines:
        pieces = []
        for piece in _PIECES.split(line):
            if piece in (_BEGIN, _END):
                inside = piece == _BEGIN
            elif piece:
                pieces.append(f"<mark>{html_text(piece)}</mark>" if inside else html_text(piece))
        shown = "".join(pieces)
        html.append(f'<span class="{look}">{shown}</span>' if look else shown)
    joined = "\n".join(html)
    return joined if markdown else joined.replace("</mark>\n<mark>", "\n").replace("</mark>\n\n<mark>", "\n\n")


def _readable(text: str) -> Iterator[tuple[str, str]]:
    """Lines with their look; an edge of the passage stays where it was."""
    code = False
    for line in text.split("\n"):
        edges = "".join(re.findall(f"[{_BEGIN}{_END}]", line))
        if _FENCE.match(line):
            code = not code
            yield "", edges
        elif code:
            yield "code", line
        elif heading := _HEADING.match(line):
            yield "heading", heading.group(1) + _plain(heading.group(2))
        elif _RULE.match(line) and "-" in line:
            yield "", edges
        else:
            row = line.strip()
            if row.strip(_BEGIN + _END).startswith("|"):
                line = re.sub(r"\s*\|\s*", "  ", _TABLE_EDGE.sub("", row))
            yield "", _plain(_BULLET.sub(r"\1• ", line))


def _plain(line: str) -> str:
    line = _PICTURE.sub(r"\1", line)
    for _round in range(2):
        line = _EMPHASIS.sub(r"\2", line)
    return line
