"""From a question to hits: the one way that chat, command line, API and pages all search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from services.core.clock import Stopwatch
from services.core.errors import AppError, EmptyQuestion, InvalidValue
from services.core.i18n import N_
from services.core.vector_errors import NoReranker
from services.knowledge.embedders.asking import for_a_question
from services.knowledge.embedders.fingerprint import check
from services.knowledge.embedders.protocol import Embedder, Vectors
from services.knowledge.fusion import Candidate, diverse, fused
from services.knowledge.index.protocol import BaseStore
from services.knowledge.reranking import RERANKED, ChosenReranker, Reranker, no_reranker, not_reranked, reranked
from services.knowledge.search_types import SearchMode, SearchOptions
from services.knowledge.types import Hit, Notice, SearchResult, StoredChunk

MOST_HITS = 1000
WORDS_ONLY = "words_only"
"""The notice that a base was searched by words only."""
CANDIDATES = 50
"""From each way, at least; more where more hits are asked for."""


@dataclass(frozen=True, slots=True)
class Search:
    """One search of one base."""

    store: BaseStore
    embedder: Callable[[], Embedder]
    question: str
    options: SearchOptions
    watch: Stopwatch
    reranker: Reranker | None = None

    @property
    def limit(self) -> int:
        """Candidates that each way should bring."""
        options = self.options
        alone = options.mode is not SearchMode.HYBRID and not options.mmr and not options.rerank
        return options.top_k if alone else max(CANDIDATES, 2 * options.top_k)


def retrieve(
    store: BaseStore,
    embedder: Callable[[], Embedder],
    query: str,
    options: SearchOptions,
    chosen: ChosenReranker = no_reranker,
) -> SearchResult:
    """The chunks that fit a question best.

    Where the embedder cannot be asked, a hybrid search goes by words alone; where the reranker cannot be, the fused
    order stands. A notice says so.

    Raises: EmptyQuestion, InvalidValue, NoReranker; and what the embedder raises where the search is by meaning only.
    """
    _check(query, options)
    reranker = chosen() if options.rerank else None
    if options.rerank and reranker is None:
        raise NoReranker()
    search = Search(store, embedder, query.strip(), options, Stopwatch(), reranker)
    counts = store.counts()
    pending = counts.documents - counts.settled
    if not counts.chunks:
        return SearchResult(search.question, options.mode, {}, (), counts.documents, pending)
    mode, vector, notices = _question_vector(search)
    candidates, cut = _candidates(search, mode, vector)
    if cut:
        notices = (*notices, Notice("words_too_common"))
    candidates, away = _reranked(search, candidates)
    by_words = mode is SearchMode.LEXICAL or (mode is SearchMode.HYBRID and not cut)
    hits, told = _hits(search, candidates, by_words), (*notices, *away)
    return SearchResult(search.question, mode, search.watch.timings_ms, hits, counts.documents, pending, told)


def _check(query: str, options: SearchOptions) -> None:
    if not query.strip():
        raise EmptyQuestion()
    if not 1 <= options.top_k <= MOST_HITS:
        raise InvalidValue(field="top_k", value=options.top_k, reason=N_("it must be from 1 to 1000"))
    for field in ("dense_weight", "mmr_lambda"):
        if not 0 <= getattr(options, field) <= 1:
            raise InvalidValue(field=field, value=getattr(options, field), reason=N_("it must be from 0 to 1"))


def _question_vector(search: Search) -> tuple[SearchMode, Vectors | None, tuple[Notice, ...]]:
    mode = search.options.mode
    if mode is SearchMode.LEXICAL:
        return mode, None, ()
    try:
        with search.watch.step("embed"), for_a_question():
            embedder = search.embedder()
            check(search.store.fingerprint(), embedder)
            return mode, embedder.encode_queries([search.question])[0], ()
    except AppError as error:
        if mode is SearchMode.DENSE:
            raise
        return SearchMode.LEXICAL, None, (Notice(WORDS_ONLY, {"error": [error.code, error.params]}),)


def _candidates(search: Search, mode: SearchMode, vector: Vectors | None) -> tuple[list[Candidate], bool]:
    """What the ways bring, with the score of each way for all of them, best first; and whether words were cut short.

    What only some of the chunks were compared by has no say where there is another way.
    """
    store, options, limit, watch = search.store, search.options, search.limit, search.watch
    cosines: dict[int, float] = {}
    shares: dict[int, float] = {}
    cut = False
    if vector is not None:
        with watch.step("dense"):
            cosines = {hit.chunk_id: hit.score for hit in store.search(vector, limit, options.filter)}
    dense_order = list(cosines)
    if mode is not SearchMode.DENSE:
        with watch.step("lexical"):
            found = store.search_words(search.question, limit, options.filter, dense_order)
            cut = found.cut
            if not cut or mode is SearchMode.LEXICAL:
                shares = {hit.chunk_id: hit.score for hit in found.hits}
    with watch.step("fuse"):
        lexical_order = sorted(shares, key=lambda chunk_id: (-shares[chunk_id], chunk_id))[:limit]
        if vector is not None:
            missing = [chunk_id for chunk_id in shares if chunk_id not in cosines]
            cosines |= {key: float(stored @ vector) for key, stored in store.vectors(missing).items()}
        ways = [Candidate(key, cosines.get(key), shares.get(key, 0.0)) for key in {**cosines, **shares}]
        return fused(ways, mode, options, store.cosine_scale(), dense_order, lexical_order), cut


def _reranked(search: Search, candidates: list[Candidate]) -> tuple[list[Candidate], tuple[Notice, ...]]:
    """The best in the reranker's order, then the others; where it cannot be asked, all as they were, with a notice."""
    if search.reranker is None:
        return candidates, ()
    best, others = candidates[:RERANKED], candidates[RERANKED:]
    stored = {chunk.chunk_id: chunk for chunk in search.store.chunks([candidate.chunk_id for candidate in best])}
    here = [candidate for candidate in best if candidate.chunk_id in stored]
    try:
        with search.watch.step("rerank"):
            order = reranked(search.reranker, search.question, here, lambda candidate: stored[candidate.chunk_id])
    except AppError as error:
        return candidates, (not_reranked(error),)
    return [*(replace(candidate, rerank_score=score) for candidate, score in order), *others], ()


def _hits(search: Search, candidates: Sequence[Candidate], by_words: bool) -> tuple[Hit, ...]:
    options, store = search.options, search.store
    if options.mmr:
        with search.watch.step("mmr"):
            near = candidates[: search.limit]
            vectors = store.vectors([candidate.chunk_id for candidate in near])
            candidates = diverse(near, vectors, options, store.cosine_scale())
    chosen = candidates[: options.top_k]
    stored = {chunk.chunk_id: chunk for chunk in store.chunks([candidate.chunk_id for candidate in chosen])}
    shown = [(candidate, stored[candidate.chunk_id]) for candidate in chosen if candidate.chunk_id in stored]
    return tuple(_hit(rank, candidate, chunk, by_words) for rank, (candidate, chunk) in enumerate(shown, 1))


def _hit(rank: int, candidate: Candidate, chunk: StoredChunk, by_words: bool) -> Hit:
    return Hit(
        rank,
        candidate.score,
        chunk,
        candidate.dense_rank,
        candidate.lexical_rank,
        candidate.cosine,
        candidate.share if by_words else None,
        candidate.rerank_score,
    )
