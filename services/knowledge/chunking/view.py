"""A document's text with the chunks that a strategy makes of it: for looking at, before anything is embedded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from services.knowledge.chunking.chunks import make_chunks
from services.knowledge.chunking.protocol import ChunkerSpec, Tools
from services.knowledge.chunking.registry import make_chunker
from services.knowledge.types import Chunk, Extracted, Notice

PREVIEW_CHARACTERS = {"semantic": 4_000, "propositions": 3_000}
"""How much of a document is tried with the strategies that embed it or ask a server."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Lengths of chunks in characters."""

    count: int
    least: int
    middle: int
    most: int


@dataclass(frozen=True, slots=True)
class ChunkView:
    """A document and its chunks."""

    document: str
    spec: ChunkerSpec
    extracted: Extracted
    chunks: tuple[Chunk, ...]
    tokens: tuple[int, ...]
    """What each chunk takes of the embedder's window."""
    window_tokens: int
    notices: tuple[Notice, ...]
    cut_until: int
    """Where the text ends that was cut; before the text's end where only a beginning was tried."""

    @property
    def sizes(self) -> Sizes | None:
        """How long the chunks are; None where there are none."""
        lengths = [len(chunk.text) for chunk in self.chunks]
        return Sizes(len(lengths), min(lengths), round(median(lengths)), max(lengths)) if lengths else None

    @property
    def partial(self) -> bool:
        """Whether only the beginning of the text was cut."""
        return self.cut_until < len(self.extracted.text)


def previewed(document: str, extracted: Extracted, spec: ChunkerSpec, tools: Tools) -> ChunkView:
    """What a strategy makes of a text, or of its beginning where the strategy takes long.

    Raises: InvalidValue, NoServer, and what a chat server raises.
    """
    limit = PREVIEW_CHARACTERS.get(spec.key)
    tried = extracted if limit is None else beginning(extracted, limit)
    chunks, notices = make_chunks(tried, make_chunker(spec, tools), tools)
    return as_view(document, spec, extracted, chunks, notices, tools, len(tried.text))


def as_view(
    document: str,
    spec: ChunkerSpec,
    extracted: Extracted,
    chunks: Sequence[Chunk],
    notices: Sequence[Notice],
    tools: Tools,
    cut_until: int | None = None,
) -> ChunkView:
    """Chunks with their tokens counted."""
    tokens = tools.count_tokens([chunk.indexed_text for chunk in chunks]) if chunks else ()
    until = len(extracted.text) if cut_until is None else cut_until
    return ChunkView(
        document, spec, extracted, tuple(chunks), tuple(tokens), tools.window_tokens, tuple(notices), until
    )


def beginning(extracted: Extracted, characters: int) -> Extracted:
    """The first characters of a document."""
    return replace(
        extracted,
        text=extracted.text[:characters],
        pages=tuple(
            replace(page, end=min(page.end, characters)) for page in extracted.pages if page.start < characters
        ),
        headings=tuple(heading for heading in extracted.headings if heading.start < characters),
    )
