"""`LocalBaseStore`: one knowledge base in one folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from services.core.errors import DatabaseUnavailable
from services.core.i18n import N_
from services.knowledge.embedders.protocol import Vectors
from services.knowledge.index.local import calibration, compaction, documents, rows, staging, vectors
from services.knowledge.index.local.connections import Connections, gate
from services.knowledge.index.local.copies import FILE_NAME, copy_database
from services.knowledge.index.local.dense import DenseIndex
from services.knowledge.index.local.follow import catalogue, follow
from services.knowledge.index.local.lexical import LexicalIndex
from services.knowledge.index.local.rebuild import rebuild
from services.knowledge.index.local.schema import migrate
from services.knowledge.index.local.verify import verify
from services.knowledge.index.protocol import Progress
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


class LocalBaseStore:
    """A `BaseStore` on SQLite and FAISS. Thread-safe; any number of processes may hold the same folder.

    Every method raises DatabaseUnavailable or DiskFull when the file cannot be read or written.
    """

    def __init__(self, folder: Path) -> None:
        """Open the base in a folder, making both where there is none."""
        path = folder / FILE_NAME
        self._connections = Connections(path)
        self._index = DenseIndex(folder, str(path))
        self._lexical = LexicalIndex()
        self._folder = folder
        with gate(path):
            folder.mkdir(parents=True, exist_ok=True)
        migrate(self._connections)

    def fingerprint(self) -> str | None:
        """The fingerprint that the vectors were made with; None until `bind`."""
        with self._connections.reading() as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = 'fingerprint'").fetchone()
            return row and str(row["value"])

    def bind(self, fingerprint: str) -> None:
        """Set the fingerprint of a base that has none yet."""
        with self._connections.writing() as connection:
            connection.execute("INSERT OR IGNORE INTO meta VALUES ('fingerprint', ?)", (fingerprint,))

    def add(self, name: str, original: Original) -> DocumentRow:
        """Note that `name` now has this content."""
        with self._connections.writing() as connection:
            added = rows.document(connection, documents.add(connection, name, original))
        if added is None:
            raise DatabaseUnavailable(path=str(self._connections.path), reason=N_("the new row is missing"))
        return added

    def documents(self) -> list[DocumentRow]:
        """All documents, by name."""
        with self._connections.reading() as connection:
            return rows.documents(connection)

    def listed(self, limit: int, offset: int = 0, part: str = "", *, answering: bool = False) -> Listing:
        """So many documents as a list shows them: what is not ready first."""
        with self._connections.reading() as connection:
            return rows.listed(connection, limit, offset, part, answering)

    def document(self, reference: str) -> DocumentRow | None:
        """The document with this id, or else with this name."""
        with self._connections.reading() as connection:
            return rows.document(connection, reference)

    def remove(self, document_id: str) -> bool:
        """Remove a document with everything made of it."""
        with self._connections.writing() as connection:
            return documents.remove(connection, document_id)

    def remove_name(self, name: str) -> bool:
        """Take a name away; a document that has no other goes with it."""
        with self._connections.writing() as connection:
            return documents.remove_name(connection, name)

    def retry(self, document_id: str) -> bool:
        """Queue the newest revision again if it has failed or was cancelled."""
        with self._connections.writing() as connection:
            return documents.requeue(connection, document_id)

    def cancel(self, document_id: str) -> bool:
        """Cancel the newest revision unless it has settled."""
        with self._connections.writing() as connection:
            return documents.cancel(connection, document_id)

    def pending(self) -> list[RevisionKey]:
        """Revisions that have not settled, oldest first."""
        with self._connections.reading() as connection:
            return rows.pending(connection)

    def current(self, key: RevisionKey) -> bool:
        """Whether work on this revision and attempt is still wanted."""
        with self._connections.reading() as connection:
            return documents.wanted(connection, key)

    def originals(self) -> set[str]:
        """SHA-256 of each original that some revision still needs."""
        with self._connections.reading() as connection:
            return {row["sha256"] for row in connection.execute("SELECT DISTINCT sha256 FROM revisions")}

    def original(self, document_id: str, revision: int) -> str | None:
        """SHA-256 of a revision's original; None when it was replaced or removed."""
        with self._connections.reading() as connection:
            return rows.original(connection, document_id, revision)

    def set_state(self, key: RevisionKey, state: DocumentState) -> bool:
        """Say what is being done now; settling is for `fail`, `cancel` and `publish`."""
        if state.settled:
            raise ValueError(f"{state} is not a state of work")
        with self._connections.writing() as connection:
            return staging.set_state(connection, key, state)

    def fail(self, key: RevisionKey, error: Notice) -> bool:
        """Settle as failed."""
        with self._connections.writing() as connection:
            return documents.settle(connection, key, DocumentState.FAILED, error)

    def wait(self, key: RevisionKey, reason: Notice) -> bool:
        """Say what the work on a revision waits for."""
        with self._connections.writing() as connection:
            return documents.wait(connection, key, reason)

    def waiting(self) -> list[WaitingRevision]:
        """Revisions whose work waits, oldest first."""
        with self._connections.reading() as connection:
            return rows.waiting(connection)

    def go_on(self, key: RevisionKey) -> RevisionKey | None:
        """Queue work that waited, keeping what was made."""
        with self._connections.writing() as connection:
            return documents.go_on(connection, key)

    def write_text(self, key: RevisionKey, document: Extracted) -> bool:
        """Store the extracted text, replacing an earlier try's."""
        with self._connections.writing() as connection:
            return staging.write_text(connection, key, document)

    def text(self, document_id: str, revision: int) -> Extracted | None:
        """The extracted text of a revision, without its boxes."""
        with self._connections.reading() as connection:
            return rows.text(connection, document_id, revision)

    def layout(self, document_id: str, revision: int) -> Boxes:
        """All the boxes of a revision."""
        with self._connections.reading() as connection:
            return rows.layout(connection, document_id, revision)

    def boxes(self, document_id: str, revision: int, start: int, end: int) -> list[Box]:
        """Where the lines that a span touches stand on their pages."""
        with self._connections.reading() as connection:
            return rows.boxes(connection, document_id, revision, start, end)

    def stage(self, key: RevisionKey, chunks: Sequence[Chunk], notices: Sequence[Notice]) -> bool:
        """Store all chunks of a revision, invisible to searches."""
        words = [staging.lexical_words(chunk) for chunk in chunks]  # before the transaction: it takes its time
        with self._connections.writing() as connection:
            return staging.stage(connection, key, chunks, words, notices)

    def rewritten(self, key: RevisionKey) -> dict[str, str]:
        """What a chat server has made of passages of this revision so far."""
        with self._connections.reading() as connection:
            return staging.rewritten(connection, key)

    def keep_rewritten(self, key: RevisionKey, answers: Mapping[str, str]) -> bool:
        """Store what a chat server has made of passages."""
        with self._connections.writing() as connection:
            return staging.keep_rewritten(connection, key, answers)

    def unembedded(self, key: RevisionKey, limit: int) -> list[StagedChunk]:
        """Staged chunks without a vector, in order."""
        with self._connections.reading() as connection:
            return staging.unembedded(connection, key, limit)

    def store_vectors(self, key: RevisionKey, chunk_ids: Sequence[int], vectors: Vectors) -> bool:
        """Store vectors of staged chunks. Raises: EmbedderMismatch, InvalidValue."""
        with self._connections.writing() as connection:
            return staging.store_vectors(connection, key, chunk_ids, vectors)

    def publish(self, key: RevisionKey) -> bool:
        """Count, and make the revision the one that answers. Raises: CountMismatch."""
        with self._connections.writing() as connection:
            return staging.publish(connection, key)

    def write(
        self,
        name: str,
        original: Original,
        document: Extracted,
        chunks: Sequence[Chunk],
        notices: Sequence[Notice],
        vectors: Vectors,
    ) -> DocumentRow:
        """Add a document that is ready at once. Raises: CountMismatch, EmbedderMismatch, InvalidValue."""
        words = [staging.lexical_words(chunk) for chunk in chunks]
        with self._connections.writing() as connection:
            document_id = documents.add(connection, name, original)
            staging.write_at_once(connection, document_id, document, chunks, words, notices, vectors)
            added = rows.document(connection, document_id)
        if added is None:
            raise DatabaseUnavailable(path=str(self._connections.path), reason=N_("the new row is missing"))
        return added

    def search(self, vector: Vectors, top_k: int, wanted: SearchFilter = EVERYTHING) -> list[DenseHit]:
        """The nearest wanted chunks by cosine, best first. Raises: EmbedderMismatch, InvalidValue."""
        with self._connections.reading() as connection:
            return self._index.search(connection, vector, top_k, wanted)

    def search_words(
        self, query: str, limit: int, wanted: SearchFilter = EVERYTHING, also: Sequence[int] = ()
    ) -> LexicalHits:
        """The wanted chunks with the rarest words of a question, best first, and those of `also` that have any."""
        with self._connections.reading() as connection:
            return self._lexical.search(connection, query, limit, wanted, also)

    def vectors(self, chunk_ids: Sequence[int]) -> dict[int, Vectors]:
        """The vectors of these chunks."""
        with self._connections.reading() as connection:
            block = vectors.of_chunks(connection, chunk_ids, str(self._connections.path))
            return dict(zip(block.ids.tolist(), block.vectors, strict=True))

    def cosine_scale(self) -> CosineScale:
        """What the cosines of this base's embedder are worth."""
        with self._connections.reading() as connection:
            return calibration.cosine_scale(connection)

    def chunks(self, chunk_ids: Sequence[int]) -> list[StoredChunk]:
        """The visible chunks among these ids, in the order asked."""
        with self._connections.reading() as connection:
            return rows.chunks(connection, chunk_ids)

    def chunks_of(self, document_id: str, revision: int) -> list[Chunk]:
        """The stored chunks of a revision in order, visible or not."""
        with self._connections.reading() as connection:
            return rows.chunks_of(connection, document_id, revision)

    def counts(self) -> BaseCounts:
        """What searches find now, and how many documents have settled."""
        with self._connections.reading() as connection:
            return rows.counts(connection)

    def catalogue(self) -> list[CatalogueEntry]:
        """Every document with its contents, as `follow` of another build's store takes it."""
        with self._connections.reading() as connection:
            return catalogue(connection)

    def follow(self, entries: Sequence[CatalogueEntry]) -> int:
        """Have exactly these documents; how many that answer elsewhere do not answer here."""
        with self._connections.writing() as connection:
            return follow(connection, entries)

    def states(self) -> dict[DocumentState, int]:
        """How many documents are in each state; a state that none is in may be left out."""
        with self._connections.reading() as connection:
            return rows.states(connection)

    def media_types(self) -> list[str]:
        """The types of the documents that searches find, each once, sorted."""
        with self._connections.reading() as connection:
            return rows.media_types(connection)

    def index_state(self) -> IndexState:
        """How the vectors are searched now."""
        with self._connections.reading() as connection:
            return compaction.state(connection, self._folder)

    def compaction_due(self) -> bool:
        """Whether the next snapshot should be made by now."""
        return compaction.due(self.index_state())

    def compact(self) -> bool:
        """Make the next snapshot, in a process of its own. False: it failed, and everything is as before."""
        return compaction.compact_in_child(self._folder, self._connections.path) == 0

    def tidy(self) -> None:
        """Remove the snapshots that no search will open any more."""
        compaction.tidy(self._connections, self._folder)

    def rebuild(self, progress: Progress) -> None:
        """Make ranges, words, lexical index and snapshot anew."""
        rebuild(self._connections, progress)
        progress("snapshot", 0, 1)
        if self.compaction_due() or self.index_state().generation:
            self.compact()
        progress("snapshot", 1, 1)

    def note(self, key: str) -> Any:
        """A small JSON value that was noted for all processes; None: nothing was."""
        with self._connections.reading() as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = 'note ' || ?", (key,)).fetchone()
            return json.loads(row["value"]) if row else None

    def set_note(self, key: str, value: Any) -> None:
        """Note a value; None forgets it."""
        with self._connections.writing() as connection:
            connection.execute("DELETE FROM meta WHERE key = 'note ' || ?", (key,))
            if value is not None:
                connection.execute("INSERT INTO meta VALUES ('note ' || ?, ?)", (key, json.dumps(value)))

    def verify(self) -> VerifyReport:
        """Count everything and check every law."""
        with self._connections.reading() as connection:
            return verify(connection, self._index.view(connection))

    def copy_to(self, folder: Path) -> None:
        """Write a consistent copy of the database into an empty folder."""
        copy_database(self._connections, folder / FILE_NAME)

    def close(self) -> None:
        """Let go of files and memory."""
        self._connections.close()
        self._index.close()
