"""Documents and hits as JSON values, as the command line and the API tell them."""

from __future__ import annotations

from typing import Any

from services.core.errors import from_row
from services.core.i18n import DEFAULT_LANGUAGE
from services.knowledge.notices import render
from services.knowledge.types import DocumentRow, DocumentState, Hit, Notice, SearchResult


def document_row(row: DocumentRow, language: str = DEFAULT_LANGUAGE) -> dict[str, Any]:
    """A document with the state of its newest content; `waiting` says what it waits for, `error` why it has failed."""
    said = _error(row.error, language) if row.error else None
    waits = row.state is DocumentState.WAITING
    return {
        "document": row.name,
        "document_id": row.document_id,
        "names": list(row.names),
        "state": row.state.value,
        "revision": row.revision,
        "bytes": row.size_bytes,
        "pages": row.pages,
        "chunks": row.chunks,
        "warnings": [{"code": notice.code, "message": render(notice, language)} for notice in row.notices],
        "waiting": said if waits else None,
        "error": None if waits else said,
    }


def search_row(result: SearchResult, language: str = DEFAULT_LANGUAGE) -> dict[str, Any]:
    """The hits of a question, and what is to be known about them."""
    return {
        "query": result.query,
        "mode": result.mode.value,
        "timings_ms": result.timings_ms,
        "hits": [hit_row(hit) for hit in result.hits],
        "documents_pending": result.documents_pending,
        "warnings": [{"code": notice.code, "message": render(notice, language)} for notice in result.notices],
    }


def hit_row(hit: Hit) -> dict[str, Any]:
    """A hit with where it stands. A rank by a way that did not bring it is None."""
    chunk = hit.chunk
    return {
        "rank": hit.rank,
        "score": round(hit.score, 6),
        "document": chunk.document,
        "document_id": chunk.document_id,
        "page": chunk.page,
        "start": chunk.start,
        "end": chunk.end,
        "heading": chunk.heading,
        "text": chunk.text,
        "context": chunk.context,
        "shown_start": chunk.shown_start,
        "shown_end": chunk.shown_end,
        "dense_rank": hit.dense_rank,
        "lexical_rank": hit.lexical_rank,
        "rerank_score": None if hit.rerank_score is None else round(hit.rerank_score, 6),
    }


def _error(error: Notice, language: str) -> dict[str, str]:
    rendered = from_row(error.code, error.params).render(language)
    return {"code": rendered.code, "message": rendered.message, "remedy": rendered.remedy}
