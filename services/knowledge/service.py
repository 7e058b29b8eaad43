"""Knowledge bases as pages, command line and API use them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from services.core.errors import BaseNotFound, DocumentNotFound, IllegalTransition, InvalidName, from_row
from services.core.i18n import N_
from services.core.paths import Layout
from services.core.settings import Settings
from services.knowledge.builds import Builds
from services.knowledge.chunking.protocol import ChunkerSpec
from services.knowledge.chunking.registry import make_chunker, spec_of
from services.knowledge.chunking.tools import OpenChatModel, no_chat_model, tools_for
from services.knowledge.chunking.view import ChunkView, as_view, previewed
from services.knowledge.embedders.fingerprint import spec_in
from services.knowledge.embedders.protocol import Embedder, EmbedderSpec
from services.knowledge.embedders.registry import DEFAULT, Embedders, embedder_spec_of, options_of
from services.knowledge.index.protocol import Progress
from services.knowledge.originals import clean_name
from services.knowledge.page_images import PageImages
from services.knowledge.positions import Region, regions
from services.knowledge.reranking import ChosenReranker, no_reranker
from services.knowledge.retrieval import retrieve
from services.knowledge.samples import sample_files, sample_text
from services.knowledge.search_types import SearchOptions
from services.knowledge.stores import PAGE_IMAGES, Stores
from services.knowledge.texts import Texts
from services.knowledge.types import (
    BaseCounts,
    DocumentRow,
    DocumentState,
    Extracted,
    IndexState,
    Listing,
    RevisionKey,
    SearchResult,
    Surroundings,
    VerifyReport,
)
from services.knowledge.upkeep import UPKEEP, Upkeep, UpkeepKind
from services.store.bases import BaseRecord, BaseRows

BASE_NAME_LIMIT = 80
SWEEP_AGE_S = 3600.0
PASSWORD_AGE_S = 7 * 86400.0
"""A file that waits longer for its reader has to be given its password again."""
"""The folder below a base's own that holds its pages' pictures; it may be deleted at any moment."""


@dataclass(frozen=True, slots=True)
class BaseSummary:
    """A base with what it holds. `state`: empty, indexing or ready."""

    base: BaseRecord
    counts: BaseCounts
    state: str


class KnowledgeService:
    """Creates, fills and searches knowledge bases. Thread-safe."""

    def __init__(
        self,
        rows: BaseRows,
        stores: Stores,
        embedders: Embedders,
        *,
        settings: Settings,
        machine_id: str,
        rewriter: OpenChatModel = no_chat_model,
        reranker: ChosenReranker = no_reranker,
    ) -> None:
        self._rows = rows
        self._stores = stores
        self._embedders = embedders
        self.builds = Builds(rows, stores)
        self.texts = Texts(stores, embedders, settings)
        self._settings = settings
        self._layout: Layout = settings.layout
        self._machine_id = machine_id
        self._rewriter = rewriter
        self._reranker = reranker
        self._page_images = PageImages()

    # bases -----------------------------------------------------------------------------------------------------------
    def create(self, name: str, chunker: ChunkerSpec | None = None, embedder: EmbedderSpec | None = None) -> BaseRecord:
        """A new, empty base on this machine. Raises: InvalidName, NameTaken, InvalidValue."""
        columns = self._recipe(chunker or ChunkerSpec(), embedder or DEFAULT)
        return self._rows.create(machine_id=self._machine_id, name=clean_base_name(name), **columns)

    def change(
        self, base: BaseRecord, chunker: ChunkerSpec | None = None, embedder: EmbedderSpec | None = None
    ) -> BaseRecord:
        """Wish for another chunker or embedder: the base is built anew beside, and answers as before until then.

        Raises: InvalidValue, BeingChanged.
        """
        columns = self._recipe(chunker or spec_of(base), embedder or embedder_spec_of(base))
        if all(getattr(base, column) == value for column, value in columns.items()):
            return base
        return self.builds.begin(base, columns)

    def _recipe(self, chunker: ChunkerSpec, embedder: EmbedderSpec) -> dict[str, Any]:
        """How a base is built, as columns of its row. Raises: InvalidValue."""
        make_chunker(chunker, tools_for(self._embedders.of(embedder)))
        return {
            "embedder": embedder.key,
            "embedder_options": options_of(embedder),
            "chunker": chunker.key,
            "chunk_size": chunker.size,
            "chunk_overlap": chunker.overlap,
            "chunker_options": dict(chunker.options),
        }

    def base(self, reference: str) -> BaseRecord:
        """The base with this name or id. Raises: BaseNotFound."""
        found = self._rows.find(reference)
        if found is None:
            raise BaseNotFound(name=reference)
        return found

    def bases(self) -> list[BaseSummary]:
        """All bases with their counts, by name."""
        return [self.summary(base) for base in self._rows.all()]

    def add_samples(self, name: str) -> BaseRecord:
        """The base of this name, made if it is not there, with every sample document in it."""
        base = self._rows.find(name) or self.create(name)
        for path in sample_files():
            with path.open("rb") as stream:
                self.add(base, path.name, stream)
        return base

    def summary(self, base: BaseRecord) -> BaseSummary:
        """One base with its counts."""
        counts = self._stores.of(base).counts()
        settled = counts.settled == counts.documents
        return BaseSummary(base, counts, "empty" if not counts.documents else "ready" if settled else "indexing")

    def size_bytes(self, base: BaseRecord) -> int:
        """What a base takes on the disk, its originals included."""
        return sum(path.stat().st_size for path in self._layout.base(base.id).rglob("*") if path.is_file())

    def states(self, base: BaseRecord) -> dict[DocumentState, int]:
        """How many documents of a base are in each state; a state that none is in may be left out."""
        return self._stores.of(base).states()

    def delete(self, reference: str) -> None:
        """Wish a base away: nobody finds it from now on; the worker removes its files."""
        base = self.base(reference)
        self._rows.mark_deleting(base.id)
        self._stores.forget(base.id)

    def sweep(self) -> None:
        """Remove the files of deleted bases and originals that no revision needs. For the worker."""
        for base in self._rows.deleting():
            if base.machine_id == self._machine_id:
                self._stores.forget(base.id)
                shutil.rmtree(self._layout.base(base.id), ignore_errors=True)
                self._rows.remove(base.id)
        for base in self._here():
            target = base.changed()
            self._stores.sweep(base.id, target.build if target else None)
            self._stores.originals(base).sweep(self._stores.of(base).originals(), SWEEP_AGE_S)
        self._stores.passwords.sweep(PASSWORD_AGE_S)

    def _here(self) -> list[BaseRecord]:
        return [base for base in self._rows.all() if base.machine_id == self._machine_id]

    # documents -------------------------------------------------------------------------------------------------------
    def add(self, base: BaseRecord, name: str, stream: BinaryIO, password: str = "") -> DocumentRow:
        """Take a file in: store the original, then its row; the worker does the rest.

        Args:
            password: opens the file, if it is protected; forgotten when the file was read.

        Raises: InvalidName, TooLarge, DiskFull.
        """
        kept = clean_name(name)
        original = self._stores.originals(base).store(kept, stream, self._settings.max_file_bytes)
        if password:
            self._stores.passwords.keep(base.id, original.sha256, password)
        with self._stores.changing(base) as store:
            return store.add(kept, original)

    def documents(self, base: BaseRecord) -> list[DocumentRow]:
        """All documents of a base, by name."""
        return self._stores.of(base).documents()

    def listed(
        self, base: BaseRecord, limit: int, offset: int = 0, part: str = "", *, answering: bool = False
    ) -> Listing:
        """So many documents as a list shows them: what is not ready first; only those whose name contains `part`.

        Args:
            answering: only those that searches find, all by name.
        """
        return self._stores.of(base).listed(limit, offset, part, answering=answering)

    def document(self, base: BaseRecord, reference: str) -> DocumentRow:
        """A document by id or name. Raises: DocumentNotFound."""
        found = self._stores.of(base).document(reference)
        if found is None:
            raise DocumentNotFound(name=reference)
        return found

    def named(self, base: BaseRecord, name: str) -> DocumentRow | None:
        """The document with a name, or None. Cost: does not grow with the base."""
        return self._stores.of(base).document(name)

    def media_types(self, base: BaseRecord) -> list[str]:
        """The types of the documents that searches find, sorted."""
        return self._stores.of(base).media_types()

    def remove_name(self, base: BaseRecord, name: str) -> bool:
        """Take a document's name away; a document that has no other goes with it. False: nothing had it."""
        return self._stores.of(base).remove_name(clean_name(name))

    def remove(self, base: BaseRecord, reference: str) -> DocumentRow:
        """Remove a document with everything made of it. Raises: DocumentNotFound."""
        with self._stores.changing(base) as store:
            document = self.document(base, reference)
            store.remove(document.document_id)
        return document

    def retry(self, base: BaseRecord, reference: str, password: str = "") -> bool:
        """Try a failed or cancelled document again, with a password if it is protected by one."""
        document = self.document(base, reference)
        if password:
            self._stores.passwords.keep(base.id, document.sha256, password)
        with self._stores.changing(base) as store:
            return store.retry(document.document_id)

    def cancel(self, base: BaseRecord, reference: str) -> bool:
        """Stop working on a document's newest content; an older one goes on answering."""
        with self._stores.changing(base) as store:
            return store.cancel(self.document(base, reference).document_id)

    def original(self, base: BaseRecord, document_id: str, revision: int) -> Path | None:
        """The stored original of a revision; None when it is not kept any more."""
        sha256 = self._stores.of(base).original(document_id, revision)
        path = self._stores.originals(base).path(sha256) if sha256 else None
        return path if path and path.exists() else None

    def text(self, base: BaseRecord, document_id: str, revision: int) -> Extracted:
        """The extracted text of a revision. Raises: DocumentNotFound when it was replaced or removed."""
        extracted = self._stores.of(base).text(document_id, revision)
        if extracted is None:
            raise DocumentNotFound(name=document_id)
        return extracted

    def chunk_view(self, base: BaseRecord, reference: str, spec: ChunkerSpec | None = None) -> ChunkView:
        """A document's stored chunks, or those that another spec would make of its text; nothing is stored.

        Raises: DocumentNotFound, IllegalTransition before it was read, the error that it failed with, InvalidValue, and
        what a chat server raises where the strategy asks one.
        """
        document, store = self.document(base, reference), self._stores.of(base)
        revision = document.answering_revision or document.revision
        extracted = store.text(document.document_id, revision)
        if extracted is None and document.error:
            raise from_row(document.error.code, document.error.params)
        if extracted is None:
            raise IllegalTransition(name=document.name, state=document.state.value, wanted=DocumentState.SPLITTING)
        known = store.rewritten(RevisionKey(document.document_id, revision, document.attempt))
        tools = tools_for(self._embedders.of(embedder_spec_of(base)), self._rewriter, known=known)
        if spec is None:
            stored = store.chunks_of(document.document_id, revision)
            return as_view(document.name, spec_of(base), extracted, stored, document.notices, tools)
        return previewed(document.name, extracted, spec, tools)

    def sample_view(self, name: str, spec: ChunkerSpec, embedder: EmbedderSpec = DEFAULT) -> ChunkView:
        """What a spec makes of a sample document. Raises: as `chunk_view`."""
        return previewed(name, sample_text(name), spec, tools_for(self._embedders.of(embedder), self._rewriter))

    def regions(self, base: BaseRecord, document_id: str, revision: int, start: int, end: int) -> tuple[Region, ...]:
        """Where a span stands on the pages, line by line; empty where the format has no layout.

        Raises: DocumentNotFound when the revision was replaced or removed.
        """
        text = self.text(base, document_id, revision).text
        return regions(self._stores.of(base).boxes(document_id, revision, start, end), text, start, end)

    def page_image(self, base: BaseRecord, document_id: str, revision: int, page: int, width_px: int) -> bytes:
        """A page (from 1) of a PDF or picture as PNG.

        Raises: DocumentNotFound, Encrypted, UnsupportedFormat, Damaged, InvalidValue.
        """
        original = self.original(base, document_id, revision)
        if original is None:
            raise DocumentNotFound(name=document_id)
        name = self.document(base, document_id).name
        return self._page_images.png(self._layout.base(base.id) / PAGE_IMAGES, original, name, page, width_px)

    # searching -------------------------------------------------------------------------------------------------------
    def search(self, base: BaseRecord, query: str, options: SearchOptions) -> SearchResult:
        """The chunks that fit a question best. Raises: EmptyQuestion, InvalidValue, EmbedderMismatch, NoReranker."""
        return retrieve(self._stores.of(base), lambda: self.embedder_of(base), query, options, self._reranker)

    def embedder_of(self, base: BaseRecord) -> Embedder:
        """The embedder whose vectors a base has."""
        return self._embedders.of(self.embedder_spec(base))

    def embedder_spec(self, base: BaseRecord) -> EmbedderSpec:
        """What a base's vectors were made by, or will be where it has none. Raises: InvalidValue."""
        return spec_in(self._stores.of(base).fingerprint()) or embedder_spec_of(base)

    def surroundings(
        self, base: BaseRecord, document_id: str, revision: int, start: int, end: int, around: int = 400
    ) -> Surroundings:
        """A span with the text around it, cut at line ends. Raises: DocumentNotFound."""
        extracted = self.text(base, document_id, revision)
        text = extracted.text
        begin, finish = max(0, start - around), min(len(text), end + around)
        above = [heading for heading in extracted.headings if heading.start <= start]
        return Surroundings(
            document=self.document(base, document_id).name,
            page=extracted.page_at(start),
            heading=above[-1].title if above else "",
            before=("…" if begin else "") + text[begin:start],
            text=text[start:end],
            after=text[end:finish] + ("…" if finish < len(text) else ""),
        )

    def verify(self, reference: str) -> VerifyReport:
        """Count a base and check every law, its originals included."""
        base = self.base(reference)
        store, originals = self._stores.of(base), self._stores.originals(base)
        wanted = store.originals()
        lost = [f"original {sha256} is missing or changed" for sha256 in originals.missing_or_changed(wanted)]
        report = store.verify()
        return VerifyReport(
            report.documents, report.chunks, report.vectors, len(wanted), (*report.problems, *lost), report.mended
        )

    def rebuild(self, reference: str, progress: Progress = lambda *_: None) -> VerifyReport:
        """Make everything anew that is derived, without a model, and verify; `mended` is what was wrong before."""
        base = self.base(reference)
        before = self.verify(reference)
        self._stores.of(base).rebuild(progress)
        shutil.rmtree(self._layout.base(base.id) / PAGE_IMAGES, ignore_errors=True)
        after = self.verify(reference)
        return replace(after, mended=tuple(problem for problem in before.problems if problem not in after.problems))

    def index_state(self, base: BaseRecord) -> IndexState:
        """How the vectors of a base are searched now."""
        return self._stores.of(base).index_state()

    def wish_upkeep(self, base: BaseRecord, kind: UpkeepKind) -> None:
        """Let the worker verify or rebuild a base; one wish at a time, and the last report goes."""
        found = self.upkeep(base)
        if found is None or found.settled:
            self._stores.of(base).set_note(UPKEEP, Upkeep(kind).row())

    def upkeep(self, base: BaseRecord) -> Upkeep | None:
        """The last wish of `wish_upkeep`, how far it is, and what it found."""
        return Upkeep.of(self._stores.of(base).note(UPKEEP))


def clean_base_name(name: str) -> str:
    """The name of a base as it is kept. Raises: InvalidName."""
    try:
        kept = clean_name(name)
    except InvalidName as error:
        raise InvalidName(**{**error.params, "limit": BASE_NAME_LIMIT}) from None
    if "/" in kept or len(kept) > BASE_NAME_LIMIT:
        reason = N_("it contains a slash") if "/" in kept else N_("it is too long")
        raise InvalidName(name=kept[:BASE_NAME_LIMIT], reason=reason, limit=BASE_NAME_LIMIT)
    return kept
