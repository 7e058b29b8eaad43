"""The base store: documents, revisions, chunks and vectors of one knowledge base, behind one protocol.

The first implementation is `local` (SQLite + FAISS). Another one (PostgreSQL + Milvus) must pass the same contract
suite.

Laws
    - A document answers with the last revision that became ready; a newer one takes over in one transaction
      (`publish`).
    - `ready` is said after counting: chunks stored = vectors stored = chunks made.
    - The same content under two names is one document with two names.
    - Every call is a transaction of its own and may be repeated: after a kill the caller calls again.
    - A call about a revision that is gone, or whose attempt is not the newest, changes nothing and returns False (or
      None).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from services.knowledge.embedders.protocol import Vectors
from services.knowledge.positions import Box, Boxes
from services.knowledge.search_types import EVERYTHING, CosineScale, SearchFilter
from services.knowledge.types import (
    BaseCounts,
    CatalogueEntry,
    Chunk,
    DenseHit,
    DocumentRow,
    DocumentState,
    Extracted,
    IndexState,
    LexicalHits,
    Listing,
    Notice,
    Original,
    RevisionKey,
    StagedChunk,
    StoredChunk,
    VerifyReport,
    WaitingRevision,
)

Progress = Callable[[str, int, int], None]
"""Is told the step, and how much of how much is done."""


class BaseStore(Protocol):
    """The truth about one knowledge base. Thread-safe; several processes may hold one at a time."""

    def fingerprint(self) -> str | None:
        """The embedder's fingerprint that this base's vectors were made with (JSON); None until `bind`."""
        ...

    def bind(self, fingerprint: str) -> None:
        """Set the fingerprint of a base that has none yet; later calls change nothing."""
        ...

    # documents -------------------------------------------------------------------------------------------------------
    def add(self, name: str, original: Original) -> DocumentRow:
        """Note that `name` now has this content: a new document, a new revision, a second name, or nothing new.

        A revision of the same content that had failed or was cancelled is queued again (attempt + 1).
        """
        ...

    def documents(self) -> list[DocumentRow]:
        """All documents, by name."""
        ...

    def listed(self, limit: int, offset: int = 0, part: str = "", *, answering: bool = False) -> Listing:
        """So many documents as a list shows them: unfinished ones, then failed, cancelled and ready ones, by name.

        Names are compared without regard to upper and lower case. Cost: a fraction of reading all documents.

        Args:
            part: only those whose name contains it.
            answering: only those that searches find, all by name.
        """
        ...

    def document(self, reference: str) -> DocumentRow | None:
        """The document with this id, or else with this name."""
        ...

    def remove(self, document_id: str) -> bool:
        """Remove a document with all revisions, chunks and vectors. False: it was not there."""
        ...

    def remove_name(self, name: str) -> bool:
        """Take a name away; a document that has no other goes with it. False: nothing had it."""
        ...

    def retry(self, document_id: str) -> bool:
        """Queue the newest revision again (attempt + 1) if it has failed or was cancelled."""
        ...

    def cancel(self, document_id: str) -> bool:
        """Cancel the newest revision unless it has settled; an older one goes on answering."""
        ...

    def pending(self) -> list[RevisionKey]:
        """Revisions that have not settled, oldest first."""
        ...

    def current(self, key: RevisionKey) -> bool:
        """Whether work on this revision and attempt is still wanted."""
        ...

    def originals(self) -> set[str]:
        """SHA-256 of each original that some revision still needs."""
        ...

    def original(self, document_id: str, revision: int) -> str | None:
        """SHA-256 of a revision's original; None when it was replaced or removed."""
        ...

    # from a file to vectors ------------------------------------------------------------------------------------------
    def set_state(self, key: RevisionKey, state: DocumentState) -> bool:
        """Say what is being done now."""
        ...

    def fail(self, key: RevisionKey, error: Notice) -> bool:
        """Settle as failed. Staged chunks of this revision are dropped; an older revision goes on answering."""
        ...

    def wait(self, key: RevisionKey, reason: Notice) -> bool:
        """Say what the work on a revision waits for; what was made so far stays. Said again, it waits as long."""
        ...

    def waiting(self) -> list[WaitingRevision]:
        """Revisions whose work waits, oldest first; they are pending too."""
        ...

    def go_on(self, key: RevisionKey) -> RevisionKey | None:
        """Queue work that waited (attempt + 1), keeping what was made; None where it does not wait any more."""
        ...

    def write_text(self, key: RevisionKey, document: Extracted) -> bool:
        """Store the extracted text with its pages, headings and boxes, replacing an earlier try's."""
        ...

    def text(self, document_id: str, revision: int) -> Extracted | None:
        """The extracted text of a revision, without its boxes."""
        ...

    def layout(self, document_id: str, revision: int) -> Boxes:
        """All the boxes of a revision, which `text` leaves out."""
        ...

    def boxes(self, document_id: str, revision: int, start: int, end: int) -> list[Box]:
        """Where the lines that a span touches stand on their pages, in the order of the text."""
        ...

    def stage(self, key: RevisionKey, chunks: Sequence[Chunk], notices: Sequence[Notice]) -> bool:
        """Store all chunks of a revision, invisible to searches, replacing an earlier try's; `notices` are added."""
        ...

    def rewritten(self, key: RevisionKey) -> dict[str, str]:
        """What a chat server has made of passages of this revision so far, by the passage's own key."""
        ...

    def keep_rewritten(self, key: RevisionKey, answers: Mapping[str, str]) -> bool:
        """Store what a chat server has made of passages; it goes with the revision."""
        ...

    def unembedded(self, key: RevisionKey, limit: int) -> list[StagedChunk]:
        """Staged chunks without a vector, in order."""
        ...

    def store_vectors(self, key: RevisionKey, chunk_ids: Sequence[int], vectors: Vectors) -> bool:
        """Store vectors of staged chunks. Shape: (len(chunk_ids), dimensions)."""
        ...

    def publish(self, key: RevisionKey) -> bool:
        """Count, make the revision the one that answers, and drop the older one: one transaction.

        Raises: CountMismatch.
        """
        ...

    def write(
        self,
        name: str,
        original: Original,
        document: Extracted,
        chunks: Sequence[Chunk],
        notices: Sequence[Notice],
        vectors: Vectors,
    ) -> DocumentRow:
        """Add a document that is ready at once, with the vectors of its chunks: one transaction, all or nothing.

        Content that the name has already changes nothing. Raises: CountMismatch, EmbedderMismatch, InvalidValue.
        """
        ...

    # reading ---------------------------------------------------------------------------------------------------------
    def search(self, vector: Vectors, top_k: int, wanted: SearchFilter = EVERYTHING) -> list[DenseHit]:
        """The nearest visible chunks by cosine, best first, of the wanted documents: none is left out for others.

        Shape: (dimensions,). Sees every published change.
        """
        ...

    def search_words(
        self, query: str, limit: int, wanted: SearchFilter = EVERYTHING, also: Sequence[int] = ()
    ) -> LexicalHits:
        """The visible chunks of the wanted documents that have the question's words, best first.

        `also`: chunks whose score is asked for too; those that have none of the words are not in the answer.
        """
        ...

    def vectors(self, chunk_ids: Sequence[int]) -> dict[int, Vectors]:
        """The vectors of these chunks, each of length 1; a chunk that has none is left out."""
        ...

    def cosine_scale(self) -> CosineScale:
        """What the cosines of this base's embedder are worth: by its own chunks, else as the embedder tells."""
        ...

    def chunks(self, chunk_ids: Sequence[int]) -> list[StoredChunk]:
        """The visible chunks among these ids, in the order asked."""
        ...

    def chunks_of(self, document_id: str, revision: int) -> list[Chunk]:
        """The stored chunks of a revision in order, visible or not."""
        ...

    def counts(self) -> BaseCounts:
        """What searches find now, and how many documents have settled."""
        ...

    def catalogue(self) -> list[CatalogueEntry]:
        """Every document with its contents, as `follow` of another build's store takes it."""
        ...

    def follow(self, entries: Sequence[CatalogueEntry]) -> int:
        """Have exactly these documents, keeping what was made of contents that stay; how many that answer elsewhere
        do not answer here.

        A document whose newest content is not the one that answers gets that one first: nothing stops answering when
        this build takes over. Contents that had failed or were cancelled elsewhere are so here.
        """
        ...

    def states(self) -> dict[DocumentState, int]:
        """How many documents are in each state; a state that none is in may be left out."""
        ...

    def media_types(self) -> list[str]:
        """The types of the documents that searches find, each once, sorted."""
        ...

    def index_state(self) -> IndexState:
        """How the vectors are searched now. Cost: does not grow with the base."""
        ...

    def compaction_due(self) -> bool:
        """Whether searches would gain from `compact` by now."""
        ...

    def compact(self) -> bool:
        """Bring what searches use up to date, in a process of its own; searches and changes go on meanwhile.

        False: it failed, and everything is as before.
        """
        ...

    def tidy(self) -> None:
        """Remove what no search will use any more."""
        ...

    def rebuild(self, progress: Progress) -> None:
        """Make everything anew that is derived from documents, chunks and vectors; no model is asked."""
        ...

    def note(self, key: str) -> Any:
        """A small JSON value that was noted for all processes; None: nothing was."""
        ...

    def set_note(self, key: str, value: Any) -> None:
        """Note a value; None forgets it."""
        ...

    def verify(self) -> VerifyReport:
        """Count everything and check every law; `originals` is left to the caller (0)."""
        ...

    def copy_to(self, folder: Path) -> None:
        """Write a consistent copy of the truth, without what is derived from it, into an empty folder."""
        ...

    def close(self) -> None:
        """Let go of files and memory."""
        ...
