"""Markdown: the text as it is, headings from its structure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from services.knowledge.loaders.assembly import with_headings
from services.knowledge.loaders.protocol import Limits, Sample
from services.knowledge.loaders.text import plain
from services.knowledge.types import Extracted, Heading

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n.*?\n(?:---|\.\.\.)[ \t]*\n", re.DOTALL)
_MARKUP = re.compile(r"!?\[([^\]]*)\]\([^)]*\)|<[^>]+>|[*_`]{1,3}(?=\S)|(?<=\S)[*_`]{1,3}")


class MarkdownLoader:
    """Keeps the Markdown source, which people and models read well."""

    media_types = ("text/markdown",)
    extensions = (".md", ".markdown", ".mdown")
    textual = True

    def claims(self, sample: Sample) -> bool:
        """Never: Markdown is told from plain text by its extension."""
        return False

    def load(self, path: Path, name: str, limits: Limits) -> Extracted:
        """See Loader.load."""
        document = plain(path, name, limits, self.media_types[0])
        return with_headings(document, _headings(document.text))


def _headings(text: str) -> Iterator[Heading]:
    from markdown_it import MarkdownIt

    front = _FRONT_MATTER.match(text)
    offset = front.end() if front else 0  # its closing rule would make the line above it a heading
    starts = [offset]
    for line in text[offset:].split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    tokens = MarkdownIt("commonmark").disable("inline").parse(text[offset:])
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open" and opening.map:
            title = " ".join(_MARKUP.sub(r"\1", inline.content).split())
            if title:
                yield Heading(starts[opening.map[0]], int(opening.tag[1]), title)


LOADER = MarkdownLoader()
