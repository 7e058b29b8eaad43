"""Cuts between sentences: as many whole ones as fit."""

from __future__ import annotations

from collections.abc import Iterator

from services.knowledge.chunking.packing import packed
from services.knowledge.chunking.parts import Part, PartChunker
from services.knowledge.chunking.protocol import Cut
from services.knowledge.chunking.recursive import Span, natural_spans
from services.knowledge.chunking.sentence_borders import sentence_spans


class SentencesChunker(PartChunker):
    """Neighbouring chunks share whole sentences; one that is longer than a chunk is cut at natural borders."""

    def cuts_of(self, part: Part) -> Iterator[Cut]:
        """See PartChunker.cuts_of."""
        units = list(short_sentences(part.text, self.spec.size))
        weights = [end - start for start, end in units]
        for first, last in packed(units, weights, self.spec.size, self.spec.overlap):
            yield Cut(units[first][0], units[last][1])


def short_sentences(text: str, size: int, begin: int = 0, finish: int | None = None) -> Iterator[Span]:
    """The sentences of a stretch of a text, longer ones cut, as spans that join without a gap."""
    for start, end in ((begin + start, begin + end) for start, end in sentence_spans(text[begin:finish])):
        if end - start <= size:
            yield start, end
        else:
            yield from natural_spans(text, size, start, end)
