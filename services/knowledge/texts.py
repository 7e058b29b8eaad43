"""Texts that a program adds to a knowledge base, each a document of its own: stored, cut, embedded, ready at once.

Each is written in one transaction, vectors included, so neither a kill nor a worker at the same time finds a half.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Sequence

import numpy as np

from services.core.errors import InvalidName, NoExtractableText
from services.core.settings import Settings
from services.knowledge.chunking.chunks import make_chunks
from services.knowledge.chunking.registry import make_chunker, spec_of
from services.knowledge.chunking.tools import tools_for
from services.knowledge.embedders.fingerprint import check, encoded, fingerprint
from services.knowledge.embedders.protocol import Embedder, Vectors
from services.knowledge.embedders.registry import Embedders, embedder_spec_of
from services.knowledge.loaders.record import EXTENSION, HEAD, MEDIA_TYPE, Record, unpacked
from services.knowledge.originals import clean_name
from services.knowledge.stores import Stores
from services.knowledge.types import Chunk, Extracted, Notice, StoredChunk
from services.store.bases import BaseRecord

BATCH = 16

Cut = tuple[Record, Extracted, Sequence[Chunk], Sequence[Notice]]


class Texts:
    """Adds, finds and removes texts by their ids. Thread-safe."""

    def __init__(self, stores: Stores, embedders: Embedders, settings: Settings) -> None:
        self._stores = stores
        self._embedders = embedders
        self._settings = settings

    def add(self, base: BaseRecord, records: Sequence[Record]) -> None:
        """Add texts, or give those of the same id their new content; each is found as soon as it is added.

        Raises: NoExtractableText, InvalidValue, TooLarge, EmbedderMismatch, DiskFull.
        """
        embedder = self._embedders.of(embedder_spec_of(base))
        store = self._stores.of(base)
        maker = fingerprint(embedder)
        store.bind(maker)
        check(store.fingerprint(), embedder)
        cut = [self._cut(base, embedder, record) for record in records]
        vectors = _encoded(embedder, maker, [chunk for _, _, chunks, _ in cut for chunk in chunks])
        begin = 0
        for record, extracted, chunks, notices in cut:
            name = name_of(record.id)
            packed = io.BytesIO(record.packed())
            original = self._stores.originals(base).store(name, packed, self._settings.max_file_bytes)
            end = begin + len(chunks)
            with self._stores.changing(base) as answering:
                answering.write(name, original, extracted, chunks, notices, vectors[begin:end])
            begin = end

    def get(self, base: BaseRecord, ids: Iterable[str]) -> list[Record]:
        """The texts with these ids that are there, in the order asked."""
        store = self._stores.of(base)
        rows = [store.document(name_of(id)) for id in dict.fromkeys(ids)]
        found = [self._record(base, row.document_id, row.answering_revision) for row in rows if row]
        return [record for record in found if record]

    def remove(self, base: BaseRecord, ids: Iterable[str]) -> int:
        """Remove texts with everything made of them; returns how many there were."""
        with self._stores.changing(base) as store:
            return sum(store.remove_name(name_of(id)) for id in dict.fromkeys(ids))

    def of_chunk(self, base: BaseRecord, chunk: StoredChunk) -> Record | None:
        """The text that a chunk is of; None where it is of a file."""
        return self._record(base, chunk.document_id, chunk.revision)

    def _cut(self, base: BaseRecord, embedder: Embedder, record: Record) -> Cut:
        if not record.text.strip():
            raise NoExtractableText(name=record.id, pages=1)
        tools = tools_for(embedder)
        extracted = Extracted(record.text, MEDIA_TYPE)
        return record, extracted, *make_chunks(extracted, make_chunker(spec_of(base), tools), tools)

    def _record(self, base: BaseRecord, document_id: str, revision: int | None) -> Record | None:
        sha256 = self._stores.of(base).original(document_id, revision) if revision is not None else None
        path = self._stores.originals(base).path(sha256) if sha256 else None
        if path is None or not path.exists():
            return None
        with path.open("rb") as file:
            head = file.read(len(HEAD))
            return unpacked(head + file.read(), path.name) if head == HEAD else None


def name_of(id: str) -> str:
    """The name of the document that a text of this id is: the id, or its hash where it cannot be a name."""
    name = f"{id}{EXTENSION}"
    try:
        if clean_name(name) == name:
            return name
    except InvalidName:
        pass
    return hashlib.sha256(id.encode("utf-8", "surrogatepass")).hexdigest() + EXTENSION


def _encoded(embedder: Embedder, maker: str, chunks: Sequence[Chunk]) -> Vectors:
    """The vectors of chunks, those of like length together."""
    texts = [chunk.embed_text or chunk.text for chunk in chunks]
    order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
    vectors = np.empty((len(texts), embedder.spec.dimensions), np.float32)
    for begin in range(0, len(order), BATCH):
        batch = order[begin : begin + BATCH]
        vectors[batch] = encoded(embedder, [texts[place] for place in batch], maker)
    return vectors
