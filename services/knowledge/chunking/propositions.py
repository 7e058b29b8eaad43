"""A chat server rewrites each passage into statements that stand by themselves; each keeps the span it was made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import Field

from services.knowledge.chunking.packing import packed
from services.knowledge.chunking.parts import moved, parts
from services.knowledge.chunking.protocol import ChunkerSpec, Cut, Statement, Tools
from services.knowledge.chunking.recursive import Span
from services.knowledge.chunking.sentences import short_sentences
from services.knowledge.types import Extracted


class PropositionsSpec(ChunkerSpec):
    """`size` is that of the passage that is rewritten at a time."""

    key: str = "propositions"
    size: int = Field(1000, ge=50, le=4000)
    overlap: int = Field(0, ge=0, le=0)


class PropositionsChunker:
    """Sentences that no statement was made of stay chunks as they are, so that nothing is lost.

    Cost: a chat server writes about as much as the document holds.
    """

    def __init__(self, spec: PropositionsSpec, tools: Tools) -> None:
        self.spec = spec
        self._rewrite = tools.rewrite

    def cuts(self, document: Extracted) -> Iterator[Cut]:
        """See Chunker.cuts. Raises: AppError, Unwanted."""
        passages = list(self._passages(document))
        texts = [[document.text[start:end].strip() for start, end in passage] for passage in passages]
        for passage, statements in zip(passages, self._rewrite(texts), strict=True):
            yield from sorted(_cuts(passage, statements), key=lambda cut: (cut.start, cut.end))

    def _passages(self, document: Extracted) -> Iterator[list[Span]]:
        """Passages as the spans of their sentences."""
        for part in parts(document):
            units = [span for span in short_sentences(part.text, self.spec.size) if part.text[slice(*span)].strip()]
            for first, last in packed(units, [end - start for start, end in units], self.spec.size):
                cuts = [moved(Cut(*span), part.offset) for span in units[first : last + 1]]
                yield [(cut.start, cut.end) for cut in cuts]


def _cuts(passage: Sequence[Span], statements: Sequence[Statement]) -> Iterator[Cut]:
    covered: set[int] = set()
    for statement in statements:
        yield Cut(passage[statement.first][0], passage[statement.last][1], statement=statement.text)
        covered |= set(range(statement.first, statement.last + 1))
    left: list[int] = []
    for number in range(len(passage) + 1):
        if number < len(passage) and number not in covered:
            left.append(number)
        elif left:
            yield Cut(passage[left[0]][0], passage[left[-1]][1])
            left = []
