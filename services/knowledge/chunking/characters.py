"""Cuts after a fixed number of characters, whatever stands there."""

from __future__ import annotations

from collections.abc import Iterator

from services.knowledge.chunking.parts import Part, PartChunker
from services.knowledge.chunking.protocol import Cut


class CharactersChunker(PartChunker):
    """Every chunk but a page's last has the same length."""

    def cuts_of(self, part: Part) -> Iterator[Cut]:
        """See PartChunker.cuts_of."""
        length, size = len(part.text), self.spec.size
        for start in range(0, length, size - self.spec.overlap):
            yield Cut(start, min(start + size, length))
            if start + size >= length:
                return
