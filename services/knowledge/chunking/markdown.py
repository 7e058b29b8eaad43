"""Cuts at headings, from the document's own headings: Markdown, Word and HTML alike."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from pydantic import Field

from services.knowledge.chunking.packing import borders, packed
from services.knowledge.chunking.parts import Part, PartChunker
from services.knowledge.chunking.protocol import ChunkerSpec, Cut
from services.knowledge.chunking.sentences import short_sentences


class MarkdownSpec(ChunkerSpec):
    """Sections do not overlap."""

    key: str = "markdown"
    size: int = Field(1200, ge=50, le=20_000)
    overlap: int = Field(0, ge=0, le=0)
    heading_level: int = Field(3, ge=1, le=6)
    """The lowest heading that begins a chunk."""


class MarkdownChunker(PartChunker):
    """A section is a chunk; a longer one is cut at natural borders, each further piece with its headings as context."""

    spec: MarkdownSpec

    def __init__(self, spec: MarkdownSpec) -> None:
        super().__init__(spec)

    def cuts_of(self, part: Part) -> Iterator[Cut]:
        """See PartChunker.cuts_of."""
        level = self.spec.heading_level
        starts = [heading.start for heading in part.headings if heading.level <= level]
        for begin, finish in pairwise(sorted({0, *starts, len(part.text)})):
            begun_here = begin in starts
            units = list(short_sentences(part.text, self.spec.size, begin, finish))
            weights = [end - start for start, end in units]
            for first, last in packed(units, weights, self.spec.size, preference=borders(part.text, units)):
                start = units[first][0]
                yield Cut(start, units[last][1], "" if begun_here and start == begin else part.path_at(start))
