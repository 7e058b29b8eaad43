"""What a search is asked for: the way, how many hits, how ways are fused, and which documents it may look at."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class SearchMode(StrEnum):
    """The way to search."""

    DENSE = "dense"
    """By meaning: the nearest vectors."""
    LEXICAL = "lexical"
    """By words: BM25."""
    HYBRID = "hybrid"
    """Both, fused."""


class Fusion(StrEnum):
    """How the hits of two ways become one list."""

    SCORE = "score"
    """The weighted sum of both scores, each on a scale that does not depend on the other hits."""
    RRF = "rrf"
    """Reciprocal rank fusion: only the ranks count."""


@dataclass(frozen=True, slots=True)
class SearchFilter:
    """Which documents a search looks at; what is empty or None leaves everything in. Times: when it was added (UTC)."""

    document_ids: tuple[str, ...] = ()
    media_types: tuple[str, ...] = ()
    added_from_ms: int | None = None
    added_to_ms: int | None = None


EVERYTHING = SearchFilter()


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """How to search. Whoever searches alike gets alike: chat, command line, API and pages all go this way."""

    mode: SearchMode = SearchMode.HYBRID
    top_k: int = 6
    fusion: Fusion = Fusion.SCORE
    dense_weight: float = 0.7
    """The share of the dense score where scores are fused, from 0 to 1."""
    mmr: bool = False
    """Whether a hit that repeats a better one makes room for another (maximal marginal relevance)."""
    mmr_lambda: float = 0.5
    """1: only relevance counts; 0: only difference does."""
    filter: SearchFilter = field(default=EVERYTHING)
    rerank: bool = False
    """Whether the best hits are put in the order of the reranker that is chosen."""


@dataclass(frozen=True, slots=True)
class CosineScale:
    """What the cosines of an embedder are worth. `measured_on`: chunks it was measured on; 0: it is a default."""

    offset: float = 0.7
    scale: float = 0.2
    measured_on: int = 0

    def worth(self, cosine: float) -> float:
        """0: no better than chance; 1: a very good match; beyond both where a cosine is."""
        return (cosine - self.offset) / self.scale
