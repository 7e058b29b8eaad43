"""The nouns of the knowledge room, as plain values.

document -> chunk (stored, with its span) -> passage (a chunk as it is shown to the model). Spans are character offsets
into the document's extracted text, half open; pages count from 1 and are None where a format has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from services.knowledge.positions import NO_BOXES, Boxes
from services.knowledge.search_types import SearchMode


class Unwanted(Exception):
    """The work is not wanted any more; raised by what takes long, for its caller to stop."""


class DocumentState(StrEnum):
    """Where the newest revision of a document stands."""

    QUEUED = "queued"
    READING = "reading"
    SPLITTING = "splitting"
    EMBEDDING = "embedding"
    WAITING = "waiting"
    """For what the work needs and cannot have now; it goes on by itself."""
    READY = "ready"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def settled(self) -> bool:
        """Nothing more will happen by itself."""
        return self in (DocumentState.READY, DocumentState.FAILED, DocumentState.CANCELLED)


@dataclass(frozen=True, slots=True)
class Notice:
    """Something worth knowing about a document that is no failure; rendered like an error from code and params."""

    code: str
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PageSpan:
    """Where a page (from 1) lies in the text."""

    number: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading that begins at an offset; level 1 is the highest."""

    start: int
    level: int
    title: str


@dataclass(frozen=True, slots=True)
class Extracted:
    """What a loader made of a file: one text, and where its pages and headings begin."""

    text: str
    media_type: str
    pages: tuple[PageSpan, ...] = ()
    headings: tuple[Heading, ...] = ()
    notices: tuple[Notice, ...] = ()
    boxes: Boxes = NO_BOXES
    """Where its lines stand on their pages, for formats that have a layout. Stores keep them apart from the text."""

    def page_at(self, offset: int) -> int | None:
        """The page that holds an offset; between two pages, the earlier one."""
        found = None
        for page in self.pages:
            if page.start > offset:
                break
            found = page.number
        return found


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stretch of a document's text: `text == extracted.text[start:end]`."""

    ordinal: int
    start: int
    end: int
    text: str
    page: int | None
    heading: str
    """The path of headings above it, joined by " › "; empty where there is none."""
    context: str = ""
    """What a reader needs to know before it, such as the header row of a table; empty where it stands by itself."""
    embed_text: str | None = None
    """What is embedded and searched by words in its place; None: the text itself."""
    shown_start: int | None = None
    """Where the larger stretch begins that is shown as the passage; None: the chunk itself is."""
    shown_end: int | None = None

    @property
    def indexed_text(self) -> str:
        """What is embedded and searched by words."""
        return self.text if self.embed_text is None else self.embed_text


@dataclass(frozen=True, slots=True)
class StagedChunk:
    """A stored chunk that has no vector yet."""

    chunk_id: int
    text: str
    """What is to be embedded: `Chunk.indexed_text`."""


@dataclass(frozen=True, slots=True)
class RevisionKey:
    """One content of one document; `attempt` counts how often it was tried."""

    document_id: str
    revision: int
    attempt: int


@dataclass(frozen=True, slots=True)
class WaitingRevision:
    """A revision whose work waits."""

    key: RevisionKey
    since_ms: int
    staged: bool
    """Whether its chunks are there and only vectors are lacking; else its text is."""
    reason: Notice | None


@dataclass(frozen=True, slots=True)
class Original:
    """A stored original: its SHA-256 (hex) is its name on disk."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Content:
    """One revision as another build of the base takes it over."""

    revision: int
    attempt: int
    sha256: str
    size_bytes: int
    state: DocumentState
    error: Notice | None


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """A document without its text and chunks: what another build of the base must know to have the same one."""

    document_id: str
    names: tuple[str, ...]
    last_name: str
    superseded_by: str | None
    """Set where it answers only until that document is ready."""
    last_revision: int
    created_at_ms: int
    newest: Content
    answering: Content | None


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A document as lists show it: its newest revision, and whether an older one answers meanwhile."""

    document_id: str
    name: str
    names: tuple[str, ...]
    revision: int
    attempt: int
    state: DocumentState
    sha256: str
    size_bytes: int
    media_type: str | None
    pages: int | None
    chunks: int | None
    chunks_done: int
    """Chunks of the newest revision that have their vector."""
    answering_revision: int | None
    """The revision that searches find now; None until one was ready."""
    notices: tuple[Notice, ...]
    error: Notice | None
    """Why it has failed, or what it waits for."""
    created_at_ms: int
    updated_at_ms: int


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of the list of documents."""

    documents: tuple[DocumentRow, ...]
    found: int
    """How many there are on all pages."""


@dataclass(frozen=True, slots=True)
class BaseCounts:
    """Counts of what searches find now."""

    documents: int
    chunks: int
    vectors: int
    settled: int
    failed: int


@dataclass(frozen=True, slots=True)
class DenseHit:
    """A chunk found by its vector; cosine similarity from -1 to 1."""

    chunk_id: int
    score: float


@dataclass(frozen=True, slots=True)
class LexicalHit:
    """A chunk found by its words; its score is a share (0 to 1) of the most that the question's words can bring."""

    chunk_id: int
    score: float


@dataclass(frozen=True, slots=True)
class LexicalHits:
    """What a search by words found, best first."""

    hits: tuple[LexicalHit, ...] = ()
    cut: bool = False
    """All words of the question are in so many chunks that only some of these were looked at."""


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk with where it comes from."""

    chunk_id: int
    document_id: str
    document: str
    revision: int
    ordinal: int
    start: int
    end: int
    text: str
    page: int | None
    heading: str
    context: str
    shown_start: int
    shown_end: int
    shown_text: str
    """What is shown as the passage: the chunk, or the larger stretch that it was found for."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk as an answer to a search, best rank 1. A rank by a way that was not asked is None."""

    rank: int
    score: float
    chunk: StoredChunk
    dense_rank: int | None
    lexical_rank: int | None
    cosine: float | None = None
    """How near its vector is to the question's; None where that is not known."""
    share: float | None = None
    """What its words bring, of the most that the question's can; None where that is not known."""
    rerank_score: float | None = None
    """What the reranker gives it, on that one's own scale; None where it was not reranked."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The hits of one question, with the time of each step."""

    query: str
    mode: SearchMode
    """The way that was gone; not always the one that was asked for: then a notice says why."""
    timings_ms: dict[str, float]
    hits: tuple[Hit, ...]
    documents: int
    """Documents of the base, searchable or not."""
    documents_pending: int
    """Documents that were not yet searchable."""
    notices: tuple[Notice, ...] = ()
    """What was searched otherwise than asked, and why."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """A span of a document with the text before and after it."""

    document: str
    page: int | None
    heading: str
    before: str
    text: str
    after: str


@dataclass(frozen=True, slots=True)
class IndexState:
    """How the vectors of a base are searched. `generation` 0: all of them are in memory, for there are few."""

    kind: str
    """memory; flat: a mapped snapshot, exact; ivf_fp16: a mapped snapshot of vectors in cells."""
    vectors: int
    generation: int
    newer: int
    """Vectors that came after the snapshot."""
    gone: int
    """Vectors of the snapshot that are masked."""
    recall: float | None
    """Share of the ten nearest that the snapshot finds, measured when it was made; None: there is none."""
    problem: str = ""
    """Why the snapshot cannot be used; the worker makes another one."""


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What counting a knowledge base found. `problems` is empty when every law holds."""

    documents: int
    chunks: int
    vectors: int
    originals: int
    problems: tuple[str, ...]
    mended: tuple[str, ...] = ()
