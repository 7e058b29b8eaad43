"""A knowledge base made of a folder of LangChain's FAISS store.

Its texts become documents, one for each source, whose chunks are the stored pieces. The vectors come along where they
are those of the embedder here, which a few texts embedded anew tell; otherwise every text is embedded anew.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from services.core.errors import InvalidName
from services.core.settings import Settings
from services.knowledge.chunking.chunks import make_chunks
from services.knowledge.chunking.protocol import ChunkerSpec, Cut
from services.knowledge.chunking.tools import tools_for
from services.knowledge.embedders.fingerprint import fingerprint
from services.knowledge.embedders.protocol import Embedder, Vectors
from services.knowledge.index.protocol import BaseStore
from services.knowledge.originals import Originals, clean_name
from services.knowledge.stores import OpenStore
from services.knowledge.transfer.arrivals import arriving
from services.knowledge.transfer.langchain_folder import LangchainFolder, Piece, ReadVectors, by_source, read_folder
from services.knowledge.types import DocumentState, Extracted, PageSpan, RevisionKey
from services.store.bases import BaseRecord, BaseRows

SAME_COSINE = 0.99
"""Lower than a fingerprint's: the texts were embedded in other batches and, often, at another precision."""
SAMPLES = 8
BATCH = 16
GAP = "\n\n"
MEDIA_TYPE = "text/plain"

Progress = Callable[[int, int], None]
"""Told of the chunks that have their vector, and of all."""


@dataclass(frozen=True, slots=True)
class LangchainImported:
    """What came in. `dropped`: names of metadata that were not kept."""

    base: BaseRecord
    documents: int
    chunks: int
    vectors_kept: bool
    dropped: tuple[str, ...]


class LangchainImports:
    """Makes bases of such folders."""

    def __init__(
        self,
        rows: BaseRows,
        open_store: OpenStore,
        embedder: Embedder,
        read_vectors: ReadVectors,
        *,
        settings: Settings,
        machine_id: str,
    ) -> None:
        self._rows = rows
        self._open_store = open_store
        self._embedder = embedder
        self._read_vectors = read_vectors
        self._settings = settings
        self._machine_id = machine_id

    def run(self, folder: Path, name: str, progress: Progress = lambda done, total: None) -> LangchainImported:
        """Make the base. Raises: LangchainRefused, InvalidName, NameTaken, DiskFull."""
        with arriving(self._rows, self._settings.layout, self._machine_id, name) as arrival:
            found = read_folder(folder, self._read_vectors)
            kept = self._same(found)
            store = self._open_store(arrival.folder)
            try:
                store.bind(fingerprint(self._embedder))
                builder = _Builder(self, store, Originals(arrival.folder / "originals"), found, kept, progress)
                for source, pieces in by_source(found.pieces):
                    builder.document(source, pieces)
                counts = store.counts()
            finally:
                store.close()
            spec = ChunkerSpec()
            base = arrival.settle(
                embedder=self._embedder.spec.key,
                chunker=spec.key,
                chunk_size=spec.size,
                chunk_overlap=spec.overlap,
            )
        return LangchainImported(base, counts.documents, counts.chunks, kept, found.dropped)

    def _same(self, found: LangchainFolder) -> bool:
        """Whether the vectors are those that the embedder here makes of the same texts."""
        if found.vectors.shape[1] != self._embedder.spec.dimensions:
            return False
        full = [piece for piece in found.pieces if piece.text.strip()]
        sample = full[:: max(1, len(full) // SAMPLES)][:SAMPLES]
        ours = self._embedder.encode_passages([piece.text for piece in sample])
        theirs = found.vectors[[piece.row for piece in sample]]
        lengths = np.linalg.norm(theirs, axis=1)
        if not np.isfinite(lengths).all() or not (lengths > 0).all():
            return False
        return bool((np.sum(ours * theirs, axis=1) / lengths >= SAME_COSINE).all())


class _Builder:
    """Puts documents into a store, the way an ingest does, without a worker."""

    def __init__(
        self,
        imports: LangchainImports,
        store: BaseStore,
        originals: Originals,
        found: LangchainFolder,
        keep: bool,
        progress: Progress,
    ) -> None:
        self._embedder = imports._embedder
        self._limit = imports._settings.max_file_bytes
        self._store = store
        self._originals = originals
        self._vectors = found.vectors if keep else None
        self._progress = progress
        self._total = len(found.pieces)
        self._done = 0
        self._names: set[str] = set()

    def document(self, source: str, pieces: Sequence[Piece]) -> None:
        extracted, spans = joined(pieces)
        name = self._name(source)
        content = io.BytesIO(extracted.text.encode("utf-8", "replace"))
        row = self._store.add(name, self._originals.store(name, content, self._limit))
        key = RevisionKey(row.document_id, row.revision, row.attempt)
        self._store.set_state(key, DocumentState.READING)
        self._store.write_text(key, extracted)
        whole = Extracted(extracted.text, MEDIA_TYPE)
        chunks, notices = make_chunks(whole, _AsStored(spans), tools_for(self._embedder))
        paged = [replace(chunk, page=extracted.page_at(chunk.start)) for chunk in chunks]
        self._store.stage(key, paged, notices)
        self._store.set_state(key, DocumentState.EMBEDDING)
        known = {extracted.text[start:end]: row for (start, end), row in spans.items()}
        while batch := self._store.unembedded(key, BATCH):
            texts = [chunk.text for chunk in batch]
            self._store.store_vectors(key, [chunk.chunk_id for chunk in batch], self._encode(texts, known))
            self._done += len(batch)
            self._progress(min(self._done, self._total), self._total)
        self._store.publish(key)

    def _encode(self, texts: list[str], rows: dict[str, int]) -> Vectors:
        if self._vectors is None:
            return self._embedder.encode_passages(texts)
        new = [text for text in texts if text not in rows]
        made = dict(zip(new, self._embedder.encode_passages(new), strict=True)) if new else {}
        return np.stack([made[text] if text in made else self._vectors[rows[text]] for text in texts])

    def _name(self, source: str) -> str:
        """A document's name out of a source, which is often a path of another machine."""
        parts = [part for part in PurePosixPath(source.replace("\\", "/")).parts if part not in ("/", "..", ".", "~")]
        try:
            wanted = clean_name("/".join(parts)[-200:].strip("/"))
        except InvalidName:
            wanted = "LangChain"
        numbered = (f"{wanted}.txt" if turn == 1 else f"{wanted} {turn}.txt" for turn in range(1, len(self._names) + 3))
        name = next(candidate for candidate in numbered if candidate not in self._names)
        self._names.add(name)
        return name


class _AsStored:
    """A chunker that cuts where LangChain has cut."""

    spec = ChunkerSpec()

    def __init__(self, stored: Iterable[tuple[int, int]]) -> None:
        self._stored = stored

    def cuts(self, document: Extracted) -> Iterator[Cut]:
        return (Cut(start, end) for start, end in self._stored)


def joined(pieces: Sequence[Piece]) -> tuple[Extracted, dict[tuple[int, int], int]]:
    """One text of all pieces, and the row of each span."""
    parts: list[str] = []
    pages: list[PageSpan] = []
    spans: dict[tuple[int, int], int] = {}
    start = 0
    for piece in pieces:
        text = piece.text.strip()
        end = start + len(text)
        spans[start, end] = piece.row
        if piece.page is not None:
            if pages and pages[-1].number == piece.page:
                pages[-1] = replace(pages[-1], end=end)
            else:
                pages.append(PageSpan(piece.page, start, end))
        parts.append(text)
        start = end + len(GAP)
    return Extracted(GAP.join(parts), MEDIA_TYPE, pages=tuple(pages)), spans
