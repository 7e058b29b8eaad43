"""Cuts at natural borders, after a number of the embedder's own tokens."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from services.core.errors import InvalidValue
from services.core.i18n import N_
from services.core.phrases import phrase
from services.knowledge.chunking.packing import borders, packed
from services.knowledge.chunking.parts import Part, PartChunker
from services.knowledge.chunking.protocol import ChunkerSpec, CountTokens, Cut, Tools
from services.knowledge.chunking.recursive import Span, natural_spans

LEAST_UNIT, LARGEST_UNIT = 24, 120
"""Characters of the units that are joined."""


class TokensSpec(ChunkerSpec):
    """Sizes are the embedder's tokens, with its prefix and special tokens."""

    key: str = "tokens"
    size: int = Field(256, ge=32, le=8192)
    overlap: int = Field(32, ge=0)

    def check_window(self, window_tokens: int) -> None:
        """See ChunkerSpec.check_window."""
        if self.size > window_tokens:
            reason = phrase(N_("the embedder reads at most {count} tokens"), count=window_tokens)
            raise InvalidValue(field="size", value=self.size, reason=reason)


class TokensChunker(PartChunker):
    """Small units are counted in batches and joined: a chunk never has more tokens than its units together."""

    def __init__(self, spec: ChunkerSpec, tools: Tools) -> None:
        super().__init__(spec)
        self._count = tools.count_tokens

    def cuts_of(self, part: Part) -> Iterator[Cut]:
        """See PartChunker.cuts_of."""
        (framing,) = self._count([""])
        room = max(self.spec.size - framing - 1, 1)
        spans = natural_spans(part.text, min(LARGEST_UNIT, max(room // 4, LEAST_UNIT)))
        units, weights = _weighed(part.text, list(spans), room, framing, self._count)

        for first, last in packed(units, weights, room, self.spec.overlap, borders(part.text, units)):
            yield Cut(units[first][0], units[last][1])


def _weighed(text: str, units: list[Span], room: int, framing: int, count: CountTokens) -> tuple[list[Span], list[int]]:
    """The units with their tokens; those that have no room are halved until they have, or are one character."""
    weights = [tokens - framing + 1 for tokens in count([text[start:end] for start, end in units])]
    if all(weight <= room or end - start == 1 for weight, (start, end) in zip(weights, units, strict=True)):
        return units, weights
    halves: list[Span] = []
    for weight, (start, end) in zip(weights, units, strict=True):
        middle = (start + end) // 2
        halves += [(start, end)] if weight <= room or end - start == 1 else [(start, middle), (middle, end)]
    return _weighed(text, halves, room, framing, count)
