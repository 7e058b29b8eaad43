"""From a question to hits: the one way that chat, command line, API and pages all search."""

from __future__ import annotations

from services.core.clock import Stopwatch
from services.core.errors import EmptyQuestion, InvalidValue
from services.core.i18n import N_
from services.knowledge.embedders.fingerprint import check
from services.knowledge.embedders.protocol import Embedder
from services.knowledge.index.protocol import BaseStore
from services.knowledge.search_types import SearchMode, SearchOptions
from services.knowledge.types import Hit, SearchResult

MOST_HITS = 1000


def retrieve(store: BaseStore, embedder: Embedder, query: str, options: SearchOptions) -> SearchResult:
    """The chunks that fit a question best. Raises: EmptyQuestion, InvalidValue, EmbedderMismatch."""
    question = query.strip()
    if not question:
        raise EmptyQuestion()
    if not 1 <= options.top_k <= MOST_HITS:
        raise InvalidValue(field="top_k", value=options.top_k, reason=N_("it must be from 1 to 1000"))
    watch = Stopwatch()
    counts = store.counts()
    hits: tuple[Hit, ...] = ()
    if counts.vectors:
        check(store.fingerprint(), embedder)
        with watch.step("embed"):
            vector = embedder.encode_queries([question])[0]
        with watch.step("dense"):
            found = store.search(vector, options.top_k)
            scores = {hit.chunk_id: hit.score for hit in found}
            chunks = store.chunks([hit.chunk_id for hit in found])
        hits = tuple(
            Hit(rank, scores[chunk.chunk_id], chunk, dense_rank=rank, lexical_rank=None)
            for rank, chunk in enumerate(chunks, 1)
        )
    return SearchResult(question, SearchMode.DENSE, watch.timings_ms, hits, counts.documents - counts.settled)
