"""A knowledge base as LangChain knows stores: a `VectorStore`, a `BaseRetriever`, and the base's embedder.

    from services.app import bootstrap
    from services.core.settings import load
    from services.knowledge.langchain_store import LecternVectorStore

    store = LecternVectorStore(bootstrap(load()).knowledge, "handbook")

Texts that are added become documents of the base, ready at once (`texts`). A search finds them and the base's files
alike; a passage of a file comes with where it stands as metadata.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Self

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from langchain_core.vectorstores import VectorStore
from pydantic import ConfigDict

from services.core.errors import BaseNotFound, InvalidValue
from services.core.i18n import N_
from services.knowledge.embedders.protocol import Embedder
from services.knowledge.loaders.record import Record
from services.knowledge.search_types import EVERYTHING, SearchFilter, SearchMode, SearchOptions
from services.knowledge.service import KnowledgeService
from services.knowledge.types import Hit


class LecternEmbeddings(Embeddings):
    """The embedder of a base as LangChain's `Embeddings`."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Vectors of passages."""
        return [[float(number) for number in row] for row in self._embedder.encode_passages(texts)]

    def embed_query(self, text: str) -> list[float]:
        """The vector of a question."""
        return [float(number) for number in self._embedder.encode_queries([text])[0]]


class LecternVectorStore(VectorStore):
    """A knowledge base as a `VectorStore`. Thread-safe."""

    def __init__(
        self, knowledge: KnowledgeService, base: str, *, mode: SearchMode = SearchMode.DENSE, create: bool = False
    ) -> None:
        """
        Args:
            base: name or id.
            mode: how it is searched.
            create: make the base where there is none.

        Raises: BaseNotFound, InvalidName.
        """
        try:
            self._base = knowledge.base(base)
        except BaseNotFound:
            if not create:
                raise
            self._base = knowledge.create(base)
        self._knowledge = knowledge
        self._mode = mode

    @property
    def embeddings(self) -> LecternEmbeddings:
        """The embedder of the base."""
        return LecternEmbeddings(self._knowledge.embedder_of(self._base))

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **_: Any,
    ) -> list[str]:
        """Add texts, each a document of its own; one of a known id takes the place of the older text.

        Args:
            metadatas: JSON values for each text.
            ids: None for those that shall get one.

        Raises: InvalidValue, NoExtractableText, TooLarge, EmbedderMismatch.
        """
        given = list(texts)
        named = [id or str(uuid.uuid4()) for id in (ids or [None] * len(given))]
        told = metadatas or [{}] * len(given)
        if not len(given) == len(named) == len(told):
            raise InvalidValue(field="ids", value=len(named), reason=N_("there must be one for each text"))
        records = [Record(*each) for each in zip(named, given, told, strict=True)]
        self._knowledge.texts.add(self._base, list({record.id: record for record in records}.values()))
        return named

    def delete(self, ids: list[str] | None = None, **_: Any) -> bool | None:
        """Remove texts by their ids; those that are not there count as removed. Raises: InvalidValue without ids."""
        if ids is None:
            raise InvalidValue(field="ids", value="None", reason=N_("delete the knowledge base to remove all"))
        self._knowledge.texts.remove(self._base, ids)
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The texts with these ids that are there."""
        return [_whole(record) for record in self._knowledge.texts.get(self._base, ids)]

    def similarity_search(self, query: str, k: int = 4, filter: SearchFilter | None = None, **_: Any) -> list[Document]:
        """The passages nearest to a question."""
        return [document for document, _ in self.similarity_search_with_score(query, k, filter)]

    def similarity_search_with_score(
        self, query: str, k: int = 4, filter: SearchFilter | None = None, **_: Any
    ) -> list[tuple[Document, float]]:
        """The same with their scores, the greatest first."""
        return self._found(query, SearchOptions(self._mode, k, filter=filter or EVERYTHING))

    def max_marginal_relevance_search(
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: SearchFilter | None = None,
        **_: Any,
    ) -> list[Document]:
        """The nearest passages that do not repeat each other. How many are looked at is decided by the base."""
        options = SearchOptions(self._mode, k, mmr=True, mmr_lambda=lambda_mult, filter=filter or EVERYTHING)
        return [document for document, _ in self._found(query, options)]

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings | None = None,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        knowledge: KnowledgeService | None = None,
        base: str = "LangChain",
        **_: Any,
    ) -> Self:
        """A base of this name with these texts in it, made where there is none.

        Args:
            embedding: None, or a `LecternEmbeddings`: a base is embedded by its own embedder.

        Raises: InvalidValue, and as `add_texts`.
        """
        if knowledge is None:
            raise InvalidValue(field="knowledge", value="None", reason=N_("it says where the base is kept"))
        if not isinstance(embedding, LecternEmbeddings | None):
            kind, reason = type(embedding).__name__, N_("a knowledge base is embedded by its own embedder")
            raise InvalidValue(field="embedding", value=kind, reason=reason)
        store = cls(knowledge, base, create=True)
        store.add_texts(texts, metadatas, ids=ids)
        return store

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        return lambda score: max(0.0, min(1.0, score))

    def _found(self, query: str, options: SearchOptions) -> list[tuple[Document, float]]:
        found = self._knowledge.search(self._base, query, options)
        return [
            (_document(hit, self._knowledge.texts.of_chunk(self._base, hit.chunk)), hit.score) for hit in found.hits
        ]


class LecternRetriever(BaseRetriever):
    """A knowledge base as a retriever: the same search as for answers, hybrid unless told otherwise."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    knowledge: KnowledgeService
    base: str
    options: SearchOptions = SearchOptions()

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, k: int | None = None
    ) -> list[Document]:
        base = self.knowledge.base(self.base)
        options = replace(self.options, top_k=k) if k else self.options
        hits = self.knowledge.search(base, query, options).hits
        return [_document(hit, self.knowledge.texts.of_chunk(base, hit.chunk)) for hit in hits]


def _document(hit: Hit, record: Record | None) -> Document:
    """A hit as LangChain's document. A text that was added comes back as it was, if all of it is the passage."""
    chunk = hit.chunk
    if record is None:
        place = {"document": chunk.document, "document_id": chunk.document_id, "page": chunk.page}
        metadata = {**place, "start": chunk.start, "end": chunk.end, "heading": chunk.heading, "score": hit.score}
        return Document(id=str(chunk.chunk_id), page_content=chunk.text, metadata=metadata)
    if chunk.text.strip() == record.text.strip():
        return _whole(record)
    return Document(id=record.id, page_content=chunk.text, metadata=dict(record.metadata))


def _whole(record: Record) -> Document:
    return Document(id=record.id, page_content=record.text, metadata=dict(record.metadata))
