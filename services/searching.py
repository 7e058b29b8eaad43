"""Several bases searched at once for chat: their hits ranked together, and put in order by the reranker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from services.chat.ports import Filters, Found, Passage, SearchedBase
from services.core.clock import Stopwatch
from services.core.errors import AppError
from services.knowledge.fusion import comparable
from services.knowledge.reranking import RERANKED, ChosenReranker, Reranker, reranked
from services.knowledge.retrieval import MOST_HITS, WORDS_ONLY
from services.knowledge.search_types import CosineScale, SearchFilter, SearchOptions
from services.knowledge.service import KnowledgeService
from services.knowledge.types import Hit, SearchResult
from services.store.bases import BaseRecord

SEVERAL_TO_ONE = 3
"""Times as many hits are searched where several of them may be shown as one passage."""
OUTSIDE = 3
"""Passages that are named where the filters leave none."""
FoundHit = tuple[BaseRecord, Hit]


def search_bases(
    knowledge: KnowledgeService,
    chosen: ChosenReranker,
    base_ids: Sequence[str],
    question: str,
    top_k: int,
    filters: Filters,
) -> Found:
    """Search several bases; their hits are ranked together by what their scores are worth.

    Where a reranker is chosen, it is asked once for the best of all bases; where it cannot be asked, that order stands.
    """
    reranker = chosen()
    wanted = max(top_k, RERANKED) if reranker else top_k
    results = _results(knowledge, base_ids, question, wanted, filters)
    hits = _ranked(knowledge, results)
    timings: Counter[str] = Counter()
    for _, result in results:
        timings.update(result.timings_ms)
    away = None
    if reranker and hits:
        watch = Stopwatch()
        try:
            with watch.step("rerank"):
                hits = _by_reranker(reranker, question, hits)
        except AppError as error:
            away = error
        timings.update(watch.timings_ms)
    passages = [_passage(number, *found) for number, found in enumerate(hits[:top_k], 1)]
    bases = {base.id: _searched(base, result) for base, result in results}
    left_out = (knowledge.base(base_id) for base_id in base_ids if base_id not in bases)
    searched = [*bases.values(), *(SearchedBase(base.id, base.name, left_out=True) for base in left_out)]
    outside = () if passages or not filters.any else _unfiltered(knowledge, base_ids, question)
    return Found(searched, passages, dict(timings), away, outside)


def _unfiltered(knowledge: KnowledgeService, base_ids: Sequence[str], question: str) -> tuple[Passage, ...]:
    """The nearest passages of documents that the filters leave out."""
    hits = _ranked(knowledge, _results(knowledge, base_ids, question, OUTSIDE, Filters()))
    return tuple(_passage(number, *found) for number, found in enumerate(hits[:OUTSIDE], 1))


def _results(
    knowledge: KnowledgeService, base_ids: Sequence[str], question: str, wanted: int, filters: Filters
) -> list[tuple[BaseRecord, SearchResult]]:
    """What each base brings; a base that has none of the documents that were named is not searched."""
    results = []
    for base in map(knowledge.base, base_ids):
        narrowed = _narrowed(knowledge, base, filters)
        if narrowed is not None:
            several = SEVERAL_TO_ONE if base.chunker in ("parent_child", "propositions") else 1
            options = SearchOptions(top_k=min(wanted * several, MOST_HITS), filter=narrowed)
            results.append((base, knowledge.search(base, question, options)))
    return results


def _ranked(knowledge: KnowledgeService, results: Sequence[tuple[BaseRecord, SearchResult]]) -> list[FoundHit]:
    """The hits of all bases, best first. Several chunks may be shown as one stretch: only the best of them is there."""
    ranked = _comparable if len(results) > 1 else _as_found
    hits = [(base, hit) for base, result in results for hit in ranked(knowledge, base, result)]
    hits.sort(key=lambda found: -found[1].score)
    shown: dict[tuple[str, str, int, int], FoundHit] = {}
    for base, hit in hits:
        place = (base.id, hit.chunk.document_id, hit.chunk.shown_start, hit.chunk.shown_end)
        shown.setdefault(place, (base, hit))
    return list(shown.values())


def _by_reranker(reranker: Reranker, question: str, hits: list[FoundHit]) -> list[FoundHit]:
    order = reranked(reranker, question, hits[:RERANKED], lambda found: found[1].chunk)
    best = [(base, replace(hit, rerank_score=score)) for (base, hit), score in order]
    return [*best, *hits[RERANKED:]]


def _as_found(knowledge: KnowledgeService, base: BaseRecord, result: SearchResult) -> Sequence[Hit]:
    return result.hits


def _comparable(knowledge: KnowledgeService, base: BaseRecord, result: SearchResult) -> Sequence[Hit]:
    """The hits of a base with scores that can be compared with those of others."""
    spec = knowledge.embedder_spec(base)
    scale, options = CosineScale(spec.cosine_offset, spec.cosine_range), SearchOptions()
    return [replace(hit, score=comparable(hit, options, scale)) for hit in result.hits]


def _searched(base: BaseRecord, result: SearchResult) -> SearchedBase:
    away = next((notice.params["error"] for notice in result.notices if notice.code == WORDS_ONLY), None)
    words_only = {"code": away[0], "params": away[1]} if away else None
    return SearchedBase(base.id, base.name, result.documents, result.documents_pending, words_only)


def _passage(number: int, base: BaseRecord, hit: Hit) -> Passage:
    chunk = hit.chunk
    return Passage(
        number=number,
        chunk_id=chunk.chunk_id,
        document_id=chunk.document_id,
        revision=chunk.revision,
        document=chunk.document,
        page=chunk.page,
        start=chunk.shown_start,
        end=chunk.shown_end,
        heading=chunk.heading,
        text=chunk.shown_text,
        context=chunk.context,
        found_start=chunk.start,
        found_end=chunk.end,
        score=hit.score,
        rerank_score=hit.rerank_score,
        base_id=base.id,
        base_name=base.name,
        dense_rank=hit.dense_rank,
        lexical_rank=hit.lexical_rank,
        cosine=hit.cosine,
        share=hit.share,
    )


def _narrowed(knowledge: KnowledgeService, base: BaseRecord, filters: Filters) -> SearchFilter | None:
    """The filters in terms of a base; None where it has none of the documents that were named."""
    found: list[str] = []
    if filters.documents:
        known = (knowledge.named(base, name) for name in filters.documents)
        found = [row.document_id for row in known if row]
        if not found:
            return None
    return SearchFilter(tuple(found), filters.types, filters.since_ms, filters.until_ms)
