"""The way of one revision from its original to searchable vectors, in steps that may each be repeated.

Every step first looks whether the work is still wanted, and leaves what it made in the base's store: after a kill the
same step is called again and goes on where the store says that it stopped. Steps return False when the work is not
wanted any more. They raise `AppError`; the caller then settles the revision with `fail`, or has it `wait` where that is
`EmbedderAway`, which passes.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from services.core.errors import AppError
from services.core.vector_errors import EmbedderAway
from services.knowledge.chunking.chunks import make_chunks
from services.knowledge.chunking.registry import make_chunker, spec_of
from services.knowledge.chunking.tools import OpenChatModel, no_chat_model, tools_for
from services.knowledge.embedders.asking import while_wanted
from services.knowledge.embedders.fingerprint import check, fingerprint
from services.knowledge.embedders.registry import Embedders, embedder_spec_of
from services.knowledge.embedders.trouble import trouble
from services.knowledge.embedding import Embedding
from services.knowledge.index.local.vector_cache import VectorCache
from services.knowledge.loaders.reader import Cancelled, Reader
from services.knowledge.stores import Stores
from services.knowledge.types import DocumentState, Extracted, Notice, RevisionKey, Unwanted
from services.store.bases import BaseBuild, BaseRecord


class Ingest:
    """Reads, splits, embeds and publishes revisions. Thread-safe as far as its reader and embedder are."""

    def __init__(
        self,
        stores: Stores,
        reader: Reader,
        embedders: Embedders,
        open_model: OpenChatModel = no_chat_model,
    ) -> None:
        """`open_model` finds the chat server that rewrites for the strategy of statements."""
        self._stores = stores
        self._reader = reader
        self._embedders = embedders
        self._open_model = open_model
        self._embedding = Embedding(VectorCache(stores.layout.vector_cache))

    def read(self, base: BaseRecord, key: RevisionKey) -> bool:
        """Extract the text of the original and store it."""
        store = self._stores.of(base)
        document = store.document(key.document_id)
        if document is None or not store.set_state(key, DocumentState.READING):
            return False
        if isinstance(base, BaseBuild):
            known = self._known_text(base, key, document.sha256)
            if known is not None:
                return store.write_text(key, known)
        original = self._stores.originals(base).path(document.sha256)
        passwords = self._stores.passwords
        try:
            password = passwords.of(base.id, document.sha256)
            extracted = self._reader.read(original, document.name, lambda: not store.current(key), password)
        except Cancelled:
            return False
        except AppError:
            passwords.forget(base.id, document.sha256)
            raise
        written = store.write_text(key, extracted)
        passwords.forget(base.id, document.sha256)
        return written

    def _known_text(self, base: BaseBuild, key: RevisionKey, sha256: str) -> Extracted | None:
        """What the build that answers has read of the same content: it is not read again, and citations stay true."""
        answering = self._stores.of(self._stores.answering_base(base))
        if answering.original(key.document_id, key.revision) != sha256:
            return None
        text = answering.text(key.document_id, key.revision)
        return replace(text, boxes=answering.layout(key.document_id, key.revision)) if text else None

    def split(self, base: BaseRecord, key: RevisionKey) -> bool:
        """Cut the stored text into chunks and stage them."""
        store = self._stores.of(base)
        extracted = store.text(key.document_id, key.revision)
        if extracted is None or not store.set_state(key, DocumentState.SPLITTING):
            return False
        wanted = partial(store.current, key)
        tools = tools_for(
            self._embedders.of(embedder_spec_of(base)),
            self._open_model,
            known=store.rewritten(key),
            keep=partial(store.keep_rewritten, key),
            wanted=wanted,
        )
        try:
            with while_wanted(wanted):
                chunks, notices = make_chunks(extracted, make_chunker(spec_of(base), tools), tools)
        except Unwanted:
            return False
        return store.stage(key, chunks, notices)

    def embed(self, base: BaseRecord, key: RevisionKey) -> bool:
        """Give every staged chunk its vector, a few at a time. Raises: EmbedderMismatch, EmbedderAway."""
        store = self._stores.of(base)
        if not store.set_state(key, DocumentState.EMBEDDING):
            return False
        embedder = self._embedders.of(embedder_spec_of(base))
        try:
            with while_wanted(partial(store.current, key)):
                store.bind(fingerprint(embedder))
                check(store.fingerprint(), embedder)
                return self._embedding.embed(store, key, embedder)
        except Unwanted:
            return False

    def publish(self, base: BaseRecord, key: RevisionKey) -> bool:
        """Count, and let searches find it. Raises: CountMismatch."""
        return self._stores.of(base).publish(key)

    def wait(self, base: BaseRecord, key: RevisionKey, reason: EmbedderAway) -> None:
        """Keep what was made of a revision until its embedder can be asked again."""
        self._stores.of(base).wait(key, Notice(reason.code, reason.params))

    def trouble(self, base: BaseRecord) -> AppError | None:
        """Why the embedder of a base cannot be asked now, or never again for its vectors; None: it can."""
        return trouble(self._embedders.of(embedder_spec_of(base)), self._stores.of(base).fingerprint())

    def fail(self, base: BaseRecord, key: RevisionKey, error: AppError) -> None:
        """Settle a revision as failed."""
        self._stores.of(base).fail(key, Notice(error.code, error.params))
