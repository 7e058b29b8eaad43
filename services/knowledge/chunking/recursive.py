"""Cuts at the largest natural border that fits: paragraph, line, sentence, clause, word, and at last anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from services.knowledge.chunking.parts import Part, PartChunker
from services.knowledge.chunking.protocol import Cut

if TYPE_CHECKING:
    from langchain_text_splitters import RecursiveCharacterTextSplitter

SEPARATORS = [
    r"\n[ \t]*\n\s*",
    r"\n",
    r"""[。！？；…]+[”’」』）】]*|[.!?]+["'”’)\]]*\s+""",
    r"""[，、：]+|[,;:]\s+""",
    r"\s+",
    "",
]
_BORDERS = re.compile(r"\s+|[。！？；…，、：]+[”’」』）】]*")

SHORT = 4
"""A chunk is short beside another one that is so many times as long."""

Span = tuple[int, int]


class RecursiveChunker(PartChunker):
    """LangChain's recursive splitter for English and Chinese, with true spans."""

    def cuts_of(self, part: Part) -> Iterator[Cut]:
        """See PartChunker.cuts_of."""
        spans = natural_spans(part.text, self.spec.size - self.spec.overlap)
        yield from (Cut(start, end) for start, end in overlapping(part.text, spans, self.spec.overlap))


def natural_spans(text: str, size: int, start: int = 0, end: int | None = None) -> Iterator[Span]:
    """A stretch of a text in spans of at most `size` characters that join without a gap, cut at natural borders.

    The splitter partitions the text (separators are kept, nothing is stripped), so that spans follow from lengths
    alone and repeated text cannot mislead them.
    """
    stretch = text[start:end]
    position = 0
    for piece in _splitter(size).split_text(stretch):
        finish = position + len(piece)
        if stretch[position:finish] != piece:
            raise RuntimeError(f"the splitter changed the text at {start + position}")
        yield start + position, start + finish
        position = finish
    if stretch[position:].strip():
        raise RuntimeError(f"the splitter lost the text from {start + position} on")


def overlapping(text: str, spans: Iterable[Span], overlap: int) -> Iterator[Span]:
    """Joined spans, each but the first begun earlier by up to `overlap` characters, behind a border of words.

    None reaches behind the beginning of the one before; spans of white space are left out, and so is a short one that
    the next one holds whole, such as a heading that stands alone.
    """
    earlier: int | None = None
    waiting: Span | None = None
    for start, end in spans:
        if not text[start:end].strip():
            continue
        begin = _earlier_start(text, start if earlier is None else earlier, start, overlap)
        if waiting and not (begin == waiting[0] and (waiting[1] - begin) * SHORT <= end - begin):
            yield waiting
        earlier, waiting = start, (begin, end)
    if waiting:
        yield waiting


def _earlier_start(text: str, floor: int, start: int, overlap: int) -> int:
    earliest = max(start - overlap, floor)
    if earliest == floor:
        return earliest
    border = _BORDERS.search(text, earliest - 1, start)
    return min(border.end(), start) if border else earliest


@lru_cache(maxsize=16)
def _splitter(size: int) -> RecursiveCharacterTextSplitter:
    from langchain_text_splitters import RecursiveCharacterTextSplitter  # half a second of CPU: only where it is used

    return RecursiveCharacterTextSplitter(
        separators=SEPARATORS,
        is_separator_regex=True,
        keep_separator="end",
        strip_whitespace=False,
        chunk_size=size,
        chunk_overlap=0,
    )
