"""Cuts at the largest natural border that fits: paragraph, line, sentence, clause, word, and at last anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator

from langchain_text_splitters import RecursiveCharacterTextSplitter

from services.core.errors import InvalidValue
from services.core.i18n import N_
from services.core.phrases import phrase
from services.knowledge.chunking.protocol import ChunkerSpec
from services.knowledge.types import Extracted

SEPARATORS = [
    r"\n[ \t]*\n\s*",
    r"\n",
    r"""[。！？；…]+[”’」』）】]*|[.!?]+["'”’)\]]*\s+""",
    r"""[，、：]+|[,;:]\s+""",
    r"\s+",
    "",
]
_BORDERS = re.compile(r"\s+|[。！？；…，、：]+[”’」』）】]*")


class RecursiveChunker:
    """LangChain's recursive splitter for English and Chinese, with true spans.

    The splitter partitions the text (separators are kept, nothing is stripped), so that spans follow from lengths
    alone and repeated text cannot mislead them; the overlap is added afterwards, back to a border of words.
    """

    def __init__(self, spec: ChunkerSpec) -> None:
        if spec.overlap >= spec.size:
            reason = phrase(N_("it must be less than the size {size}"), size=spec.size)
            raise InvalidValue(field="overlap", value=spec.overlap, reason=reason)
        self.spec = spec
        self._splitter = RecursiveCharacterTextSplitter(
            separators=SEPARATORS,
            is_separator_regex=True,
            keep_separator="end",
            strip_whitespace=False,
            chunk_size=spec.size - spec.overlap,
            chunk_overlap=0,
        )

    def spans(self, document: Extracted) -> Iterator[tuple[int, int]]:
        """See Chunker.spans."""
        text = document.text
        earlier = position = 0
        for piece in self._splitter.split_text(text):
            end = position + len(piece)
            if text[position:end] != piece:
                raise RuntimeError(f"the splitter changed the text at {position}")
            if piece.strip():
                yield self._overlapping(text, earlier, position), end
                earlier = position
            position = end
        if text[position:].strip():
            raise RuntimeError(f"the splitter lost the text from {position} on")

    def _overlapping(self, text: str, floor: int, start: int) -> int:
        """Where a chunk begins that may reach back from `start` by the overlap: behind the first border there."""
        earliest = max(start - self.spec.overlap, floor)
        if earliest == floor:
            return earliest
        border = _BORDERS.search(text, earliest - 1, start)
        return min(border.end(), start) if border else earliest
