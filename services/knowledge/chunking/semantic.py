"""Cuts where the meaning changes: at the largest distances between neighbouring sentences.

As LangChain's SemanticChunker: each sentence is embedded together with its neighbours, and a chunk ends where the
distance to the next one is beyond a percentile of all distances in the document.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from pydantic import Field

from services.knowledge.chunking.packing import packed
from services.knowledge.chunking.parts import Part, moved, parts
from services.knowledge.chunking.protocol import ChunkerSpec, Cut, Tools
from services.knowledge.chunking.recursive import Span
from services.knowledge.chunking.sentences import short_sentences
from services.knowledge.types import Extracted, Unwanted

BATCH_SENTENCES = 8
"""Sentences between two looks at whether the work is still wanted."""
NEIGHBOURS = 1
UNIT_CHARACTERS = 400
"""A longer sentence is cut, so that three of them fit into an embedder's window."""


class SemanticSpec(ChunkerSpec):
    """Chunks do not overlap."""

    key: str = "semantic"
    size: int = Field(1200, ge=50, le=20_000)
    overlap: int = Field(0, ge=0, le=0)
    breakpoint_percentile: int = Field(90, ge=1, le=99)
    """The share of distances in the document that end no chunk; lower makes smaller chunks."""


class SemanticChunker:
    """Cost: one embedding for each sentence."""

    def __init__(self, spec: SemanticSpec, tools: Tools) -> None:
        self.spec = spec
        self._tools = tools

    def cuts(self, document: Extracted) -> Iterator[Cut]:
        """See Chunker.cuts. Raises: Unwanted."""
        limit = min(self.spec.size, UNIT_CHARACTERS)
        cut = [(part, list(short_sentences(part.text, limit))) for part in parts(document)]
        distances = [self._distances(part, units) for part, units in cut]
        known = [distance for of_part in distances for distance in of_part]
        threshold = float(np.percentile(known, self.spec.breakpoint_percentile)) if known else 0.0
        for (part, units), of_part in zip(cut, distances, strict=True):
            for start, end in self._chunks(units, [distance > threshold for distance in of_part]):
                if not part.text[start:end].isspace():
                    yield moved(Cut(start, end), part.offset)

    def _distances(self, part: Part, units: Sequence[Span]) -> list[float]:
        """Cosine distance between each sentence and the next one."""
        if len(units) < 2:
            return []
        last = len(units) - 1
        texts = [
            part.text[units[max(0, n - NEIGHBOURS)][0] : units[min(last, n + NEIGHBOURS)][1]].strip()
            for n in range(len(units))
        ]
        vectors = []
        for begin in range(0, len(texts), BATCH_SENTENCES):
            if not self._tools.wanted():
                raise Unwanted
            vectors.append(self._tools.encode(texts[begin : begin + BATCH_SENTENCES]))
        rows = np.vstack(vectors)
        return [float(distance) for distance in 1.0 - np.sum(rows[:-1] * rows[1:], axis=1)]

    def _chunks(self, units: Sequence[Span], breaks: Sequence[bool]) -> Iterator[Span]:
        """Runs of sentences between breaks, longer ones cut at the size."""
        begin = 0
        for number in range(len(units)):
            if number == len(units) - 1 or breaks[number]:
                run = units[begin : number + 1]
                for first, last in packed(run, [end - start for start, end in run], self.spec.size):
                    yield run[first][0], run[last][1]
                begin = number + 1
