"""Text whose lines were broken for a page, as it flows on a screen of another width."""

from __future__ import annotations

import re

FULL = 0.7
"""A line that takes this share of the usual width was broken for want of room; a shorter one ends a paragraph."""
_WIDE = re.compile(r"[\u2e80-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff00-\uffef]")
"""Letters and signs of Chinese, Japanese and Korean print, which take the room of two."""
_SPACELESS = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]")
"""Those between which no space stands."""
_ITEM = re.compile(r"\W?\s*(?:[-–•*·▪●○]|\(?\d{1,3}[.)]|\d+(?:\.\d+)+|[（(]?[一二三四五六七八九十]+[、）)])\s*\S")
_CELL = re.compile(r" \| |(?:\A|; )[^:;]{1,80}: ")
"""What parts the cells of a table's row, or names them."""
_HIDDEN = re.compile(r"[\x00-\x1f]")


def is_typeset(document: str) -> bool:
    """Whether the lines of a document of this name were broken for its pages."""
    return document.lower().endswith(".pdf")


def one_line(text: str) -> str:
    """All of a text in one line; no space comes between Chinese letters where a line was broken."""
    line = ""
    for part in text.splitlines():
        line = _joined(line, " ".join(part.split()))
    return line


def flowing(text: str) -> str:
    """The same text with one line for each paragraph, as far as the lengths of its lines tell."""
    lines = text.split("\n")
    widths = sorted(width for line in lines if (width := _width(line)))
    usual = widths[len(widths) * 4 // 5] if widths else 0
    paragraphs: list[str] = []
    goes_on = False
    for line in lines:
        row = _is_row(line)
        if goes_on and line.strip() and not row and not _ITEM.match(_HIDDEN.sub("", line)):
            paragraphs[-1] = _joined(paragraphs[-1], line.strip(" "))
        else:
            paragraphs.append(line)
        goes_on = not row and _width(line) >= FULL * usual
    return "\n".join(paragraphs)


def _is_row(line: str) -> bool:
    """Whether a line is a row of a table, as readers write them: "header: value; header: value", or "value | value"."""
    shown = _HIDDEN.sub("", line)
    return " | " in shown or len(_CELL.findall(shown)) > 1


def _joined(before: str, after: str) -> str:
    last, first = _HIDDEN.sub("", before.rstrip(" "))[-1:], _HIDDEN.sub("", after)[:1]
    if not last or not first or (_SPACELESS.match(last) and _SPACELESS.match(first)):
        gap = ""
    else:
        gap = "" if last in "-‐" and first.islower() else " "
    return before.rstrip(" ") + gap + after


def _width(line: str) -> int:
    shown = _HIDDEN.sub("", line).strip()
    return len(shown) + len(_WIDE.findall(shown))
