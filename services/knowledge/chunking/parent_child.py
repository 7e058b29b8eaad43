"""Small chunks are found, and the larger stretch around them is shown: their parent."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from services.core.errors import InvalidValue
from services.core.i18n import N_
from services.core.phrases import phrase
from services.knowledge.chunking.parts import Part, PartChunker
from services.knowledge.chunking.protocol import ChunkerSpec, Cut
from services.knowledge.chunking.recursive import natural_spans, overlapping


class ParentChildSpec(ChunkerSpec):
    """`size` and `overlap` are those of the small chunks."""

    key: str = "parent_child"
    size: int = Field(300, ge=50, le=20_000)
    overlap: int = Field(0, ge=0)
    parent_size: int = Field(1500, ge=100, le=50_000)
    """Characters of the stretch that is shown."""

    def check(self) -> None:
        """See ChunkerSpec.check."""
        super().check()
        if self.parent_size <= self.size:
            reason = phrase(N_("it must be more than the size {size}"), size=self.size)
            raise InvalidValue(field="parent_size", value=self.parent_size, reason=reason)


class ParentChildChunker(PartChunker):
    """Parents join without a gap, and children never run over the end of theirs."""

    spec: ParentChildSpec

    def __init__(self, spec: ParentChildSpec) -> None:
        super().__init__(spec)

    def cuts_of(self, part: Part) -> Iterator[Cut]:
        """See PartChunker.cuts_of."""
        size, overlap = self.spec.size, self.spec.overlap
        for parent in natural_spans(part.text, self.spec.parent_size):
            children = natural_spans(part.text, size - overlap, *parent)
            for start, end in overlapping(part.text, children, overlap):
                yield Cut(start, end, shown=parent)
