"""Making one order of two: fused scores or fused ranks, and room for what differs (MMR).

Scores are fused on scales that do not depend on the other hits. A cosine's scale belongs to the embedder: below
`offset` it says nothing, and `offset + scale` is a very good match. A lexical score is a share of what the question's
words can bring at most. Reciprocal rank fusion (Cormack et al., 2009) looks at ranks alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from services.knowledge.embedders.protocol import Vectors
from services.knowledge.search_types import CosineScale, Fusion, SearchMode, SearchOptions
from services.knowledge.types import Hit

RRF_K = 60


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chunk with its score by each way. A cosine of None: it was not searched by meaning."""

    chunk_id: int
    cosine: float | None
    share: float
    score: float = 0.0
    dense_rank: int | None = None
    lexical_rank: int | None = None
    rerank_score: float | None = None


def fused(
    candidates: Sequence[Candidate],
    mode: SearchMode,
    options: SearchOptions,
    scale: CosineScale,
    dense_order: Sequence[int],
    lexical_order: Sequence[int],
) -> list[Candidate]:
    """The candidates with score and ranks, best first. The orders are those of each way alone, best first."""
    dense = {chunk_id: rank for rank, chunk_id in enumerate(dense_order, 1)}
    lexical = {chunk_id: rank for rank, chunk_id in enumerate(lexical_order, 1)}

    def scored(candidate: Candidate) -> Candidate:
        ranks = dense.get(candidate.chunk_id), lexical.get(candidate.chunk_id)
        score = _score(candidate, mode, options, scale, ranks)
        return replace(candidate, score=score, dense_rank=ranks[0], lexical_rank=ranks[1])

    return sorted(map(scored, candidates), key=lambda candidate: (-candidate.score, candidate.chunk_id))


def _score(
    candidate: Candidate,
    mode: SearchMode,
    options: SearchOptions,
    scale: CosineScale,
    ranks: tuple[int | None, int | None],
) -> float:
    if mode is SearchMode.LEXICAL or candidate.cosine is None:
        return candidate.share
    if mode is SearchMode.DENSE:
        return candidate.cosine
    if options.fusion is Fusion.RRF:
        return sum(1 / (RRF_K + rank) for rank in ranks if rank is not None)
    return _weighted(candidate.cosine, candidate.share, options, scale)


def _weighted(cosine: float, share: float, options: SearchOptions, scale: CosineScale) -> float:
    return options.dense_weight * scale.worth(cosine) + (1 - options.dense_weight) * share


def comparable(hit: Hit, options: SearchOptions, scale: CosineScale) -> float:
    """A hit's score among hits of other bases, fused on the scale of its embedder.

    A base has a scale of its own, measured on its chunks, which fits its hits best and those of no other base. Where
    one way is not known, the other one stands for both: neither a base that was searched by words only nor one that
    has the words everywhere is put behind the others for that alone.
    """
    if hit.cosine is None:
        return hit.share or 0.0
    if hit.share is None:
        return scale.worth(hit.cosine)
    return _weighted(hit.cosine, hit.share, options, scale)


def diverse(
    candidates: Sequence[Candidate], vectors: Mapping[int, Vectors], options: SearchOptions, scale: CosineScale
) -> list[Candidate]:
    """The candidates in the order of maximal marginal relevance (Carbonell and Goldstein, 1998), as many as asked for.

    Relevance and likeness are on one scale: scores from the worst to the best candidate as 0 to 1, cosines by theirs.
    Where they were reranked, their places stand for scores: a reranker's are bunched at 0 and 1, or know no bounds.
    """
    left = [candidate for candidate in candidates if candidate.chunk_id in vectors]
    if not left:
        return list(candidates)
    reranked = any(candidate.rerank_score is not None for candidate in left)
    scores = np.array([-place if reranked else candidate.score for place, candidate in enumerate(left)], float)
    spread = float(scores.max() - scores.min())
    relevance = (scores - scores.min()) / spread if spread else np.ones(len(left))
    matrix = np.stack([vectors[candidate.chunk_id] for candidate in left])
    likeness = (matrix @ matrix.T - scale.offset) / scale.scale
    chosen: list[int] = []
    nearest = np.full(len(left), 0.0)
    while len(chosen) < min(options.top_k, len(left)):
        marginal = options.mmr_lambda * relevance - (1 - options.mmr_lambda) * nearest
        marginal[chosen] = -np.inf
        best = int(np.argmax(marginal))
        nearest = likeness[best] if not chosen else np.maximum(nearest, likeness[best])
        chosen.append(best)
    return [left[position] for position in chosen]
