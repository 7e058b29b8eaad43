"""A document in parts that a chunk never runs over the end of: its pages, or all of it where it has none."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace

from services.knowledge.chunking.protocol import ChunkerSpec, Cut
from services.knowledge.types import Extracted, Heading

HEADING_JOIN = " › "


class HeadingPaths:
    """The headings above an offset; offsets may come in any order."""

    def __init__(self, headings: tuple[Heading, ...]) -> None:
        self._starts: list[int] = []
        self._paths: list[str] = []
        above: list[Heading] = []
        for heading in headings:
            above = [*(other for other in above if other.level < heading.level), heading]
            self._starts.append(heading.start)
            self._paths.append(HEADING_JOIN.join(other.title for other in above))

    def at(self, offset: int) -> str:
        """The path of headings that stand at the offset or above it."""
        index = bisect_right(self._starts, offset)
        return self._paths[index - 1] if index else ""


@dataclass(frozen=True, slots=True)
class Part:
    """The text of a page; offsets of its headings are within it."""

    text: str
    offset: int
    """Where it begins in the document's text."""
    headings: tuple[Heading, ...]
    paths: HeadingPaths

    def path_at(self, offset: int) -> str:
        """The path of headings above an offset within this part."""
        return self.paths.at(self.offset + offset)


def parts(document: Extracted) -> Iterator[Part]:
    """The pages of a document in order, or the one part that it is."""
    paths = HeadingPaths(document.headings)
    starts = [heading.start for heading in document.headings]
    for begin, finish in [(page.start, page.end) for page in document.pages] or [(0, len(document.text))]:
        within = document.headings[bisect_left(starts, begin) : bisect_left(starts, finish)]
        headings = tuple(replace(heading, start=heading.start - begin) for heading in within)
        yield Part(document.text[begin:finish], begin, headings, paths)


def moved(cut: Cut, by: int) -> Cut:
    """A cut of a part as one of the document."""
    shown = cut.shown and (cut.shown[0] + by, cut.shown[1] + by)
    return replace(cut, start=cut.start + by, end=cut.end + by, shown=shown)


class PartChunker(ABC):
    """A chunker that looks at one part at a time."""

    def __init__(self, spec: ChunkerSpec) -> None:
        self.spec = spec

    def cuts(self, document: Extracted) -> Iterator[Cut]:
        """See Chunker.cuts."""
        for part in parts(document):
            for cut in self.cuts_of(part):
                if not part.text[cut.start : cut.end].isspace():
                    yield moved(cut, part.offset)

    @abstractmethod
    def cuts_of(self, part: Part) -> Iterator[Cut]:
        """The cuts of one part, with offsets within it; those of white space are left out by the caller."""
