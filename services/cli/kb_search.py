"""`lectern kb search`: what a question finds, without asking a model."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from services.app import Services
from services.cli.kb import Name
from services.cli.output import failing_well, speaker
from services.core.i18n import N_
from services.knowledge.notices import render as render_notice
from services.knowledge.rows import search_row
from services.knowledge.search_types import Fusion, SearchFilter, SearchMode, SearchOptions
from services.knowledge.types import SearchResult
from services.store.bases import BaseRecord

SHOWN_CHARACTERS = 160

Day = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], show_default=False)]


def search(
    name: Name,
    query: Annotated[str, typer.Argument(help="the question", show_default=False)],
    mode: Annotated[SearchMode, typer.Option(help="by meaning, by words, or both")] = SearchMode.HYBRID,
    top_k: Annotated[int | None, typer.Option(help="number of hits", show_default=False)] = None,
    fusion: Annotated[Fusion, typer.Option(help="how the hits of both ways become one list")] = Fusion.SCORE,
    dense_weight: Annotated[float, typer.Option(help="share of the meaning where scores are fused, 0 to 1")] = 0.7,
    mmr: Annotated[bool, typer.Option("--mmr", help="leave out hits that repeat better ones")] = False,
    mmr_lambda: Annotated[float, typer.Option(help="1: only relevance counts; 0: only difference does")] = 0.5,
    rerank: Annotated[
        bool | None, typer.Option(help="let the reranker order the best hits; by default where one is chosen")
    ] = None,
    filter_document: Annotated[list[str] | None, typer.Option(help="only this document, name or id; repeated")] = None,
    filter_type: Annotated[list[str] | None, typer.Option(help="only this type, such as application/pdf")] = None,
    filter_from: Day = None,
    filter_to: Day = None,
) -> None:
    """Search without asking a model."""
    with failing_well():
        services = speaker.services()
        base = services.knowledge.base(name)
        wanted = SearchFilter(
            _ids(services, base, filter_document or []), tuple(filter_type or ()), _ms(filter_from), _ms(filter_to)
        )
        top_k = services.product.top_k if top_k is None else top_k
        reranks = services.reranks if rerank is None else rerank
        options = SearchOptions(mode, top_k, fusion, dense_weight, mmr, mmr_lambda, wanted, reranks)
        _emit(services.knowledge.search(base, query, options))


def _ids(services: Services, base: BaseRecord, references: list[str]) -> tuple[str, ...]:
    return tuple(services.knowledge.document(base, reference).document_id for reference in references)


def _ms(moment: datetime | None) -> int | None:
    """A time of this machine's zone in milliseconds since 1970."""
    return None if moment is None else int(moment.timestamp() * 1000)


def _emit(result: SearchResult) -> None:
    row = search_row(result, speaker.language)
    reranked = any(hit.rerank_score is not None for hit in result.hits)
    columns = [N_("rank"), N_("score"), N_("dense"), N_("lexical"), N_("document"), N_("page"), N_("text")]
    if reranked:
        columns.insert(1, N_("reranker"))
    lines = [
        [
            hit.rank,
            *([None if hit.rerank_score is None else f"{hit.rerank_score:.3f}"] if reranked else []),
            *(f"{hit.score:.3f}", hit.dense_rank, hit.lexical_rank, hit.chunk.document, hit.chunk.page),
            " ".join(hit.chunk.text.split())[:SHOWN_CHARACTERS],
        ]
        for hit in result.hits
    ]

    def text() -> None:
        for notice in result.notices:
            typer.echo(render_notice(notice, speaker.language), err=True)
        speaker.table(columns, lines)

    speaker.emit(row, text)
