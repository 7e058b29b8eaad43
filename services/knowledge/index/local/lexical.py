"""The lexical index: BM25 over the words of visible chunks, kept by triggers in the transactions that change them.

A score is a share of the most that the question's words could bring anywhere: it means the same for every question.
"""

from __future__ import annotations

import json
import math
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from services.knowledge.index.local import ranges
from services.knowledge.index.local.ranges import Range
from services.knowledge.index.words import words_of
from services.knowledge.search_types import EVERYTHING, SearchFilter
from services.knowledge.types import LexicalHit, LexicalHits

MOST_WORDS = 64
"""Words of a question that are looked for; of a longer one the rarest."""
SCORED_CHUNKS = 100_000
"""Most chunks whose scores are computed for a question, which takes some 50 ms. In a larger base its rarest words are
looked for: where these are in a tenth of the chunks together, both ways lose 0.006 of nDCG@10 at most (three
collections).
"""
FEW_CHUNKS = 10_000
"""Where no more can be found, every word counts."""
COMMON_SHARE = 0.3
"""A word in a larger share of the chunks tells too little beside rarer ones: nothing at all where it is in half."""
FEWEST_COMMON = 3
"""Where a question has common words alone, so many of the rarest have to stand together, if they do anywhere."""
SATURATION = 2.2
"""What BM25 (k1 = 1.2) gives a word at most, as a multiple of its rarity."""
LEAST_RARITY = 1e-6
"""As FTS5 has it, of a word that is in half of the chunks or more."""
BEST = """
    SELECT rowid, score FROM
        (SELECT rowid, bm25(lexical) AS score FROM lexical WHERE lexical MATCH ?{inside} LIMIT ?)
    ORDER BY rowid IN (SELECT value FROM json_each(?)) DESC, score LIMIT ?
"""
COUNT = "SELECT COUNT(*) FROM (SELECT 1 FROM lexical WHERE lexical MATCH ?{inside} LIMIT ?)"
REMEMBERED_WORDS = 50_000
REMEMBERED_FROM = 1000
DRIFT = 0.1


@dataclass(frozen=True, slots=True)
class Term:
    """A word of a question, and in how many chunks it is."""

    word: str
    chunks: int


@dataclass(frozen=True, slots=True)
class Wording:
    """What is looked for at once."""

    expression: str
    terms: Sequence[Term]
    """The words that may bring something, the rarest first."""
    left: Sequence[Term] = ()
    """What is tried where nothing was found."""
    cut: bool = False
    """More chunks have them than are looked at."""


@dataclass(frozen=True, slots=True)
class Inside:
    """Where is looked: everywhere, or in some ranges of chunk ids."""

    condition: str
    bounds: tuple[int, ...]
    most_chunks: int
    """More chunks than this cannot be found."""


class LexicalIndex:
    """Searches by words. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, int] = {}
        self._known_at = 0

    def search(
        self,
        connection: sqlite3.Connection,
        query: str,
        limit: int,
        wanted: SearchFilter = EVERYTHING,
        also: Sequence[int] = (),
    ) -> LexicalHits:
        """The best chunks by their words, best first; and those of `also` that have any of the words.

        Cost: SCORED_CHUNKS, and reading in which chunks the words are.
        """
        total = ranges.visible_chunks(connection)
        terms: Sequence[Term] = self._terms(connection, query, total)
        inside = _inside(connection, None if wanted == EVERYTHING else ranges.visible(connection, wanted), total)
        while terms and inside.most_chunks and limit > 0:
            wording = _wording(connection, terms, total, inside, limit)
            found = _best(connection, wording, inside, limit, also)
            if found:
                most = SATURATION * sum(_rarity(term.chunks, total) for term in wording.terms)
                hits = [LexicalHit(chunk_id, min(1.0, -score / most)) for chunk_id, score in found]
                return LexicalHits(tuple(sorted(hits, key=lambda hit: (-hit.score, hit.chunk_id))), wording.cut)
            terms = wording.left  # the wanted documents have none of these words
        return LexicalHits()

    def _terms(self, connection: sqlite3.Connection, query: str, total: int) -> list[Term]:
        """The words of a question that are in some chunk, the rarest first."""
        self._forget_if_drifted(total)
        words = list(dict.fromkeys(words_of(query)))[: 8 * MOST_WORDS]
        terms = [Term(word, self._chunks(connection, word)) for word in words]
        return sorted((term for term in terms if term.chunks), key=lambda term: term.chunks)[:MOST_WORDS]

    def _forget_if_drifted(self, total: int) -> None:
        with self._lock:
            if abs(total - self._known_at) > DRIFT * self._known_at or len(self._known) > REMEMBERED_WORDS:
                self._known, self._known_at = {}, total

    def _chunks(self, connection: sqlite3.Connection, word: str) -> int:
        """In how many chunks a word is. Only common ones are remembered: they cost time, and hardly change."""
        known = self._known.get(word)
        if known is None:
            known = _count(connection, _quoted(word), Inside("", (), -1))
            if known > REMEMBERED_FROM:
                with self._lock:
                    self._known[word] = known
        return known


def _wording(connection: sqlite3.Connection, terms: Sequence[Term], total: int, inside: Inside, limit: int) -> Wording:
    """The rarest words, as many as every chunk that has one can be scored for.

    Where not even the rarest word is affordable, chunks have to hold several words at once.
    """
    if inside.most_chunks <= FEW_CHUNKS:
        return Wording(_any(terms), terms)
    taken = sum(term.chunks <= COMMON_SHARE * total for term in terms) or len(terms)
    if inside.most_chunks > SCORED_CHUNKS:
        taken = sum(chunks <= SCORED_CHUNKS for chunks in accumulate(term.chunks for term in terms[:taken]))
    if taken:
        return Wording(_any(terms[:taken]), terms[:taken], terms[taken:])
    for size in range(min(FEWEST_COMMON, len(terms)), 0, -1):
        rarest = terms[:size]
        expression = " AND ".join(_quoted(term.word) for term in rarest)
        found = _count(connection, expression, replace(inside, most_chunks=SCORED_CHUNKS + 1))
        if found >= limit:
            break
    return Wording(expression, rarest, terms[size:], found > SCORED_CHUNKS)


def _inside(connection: sqlite3.Connection, only: list[Range] | None, total: int) -> Inside:
    if only is None:
        return Inside("", (), total)
    if not only:
        return Inside("", (), 0)
    bounds = (only[0][0], only[-1][1])
    if len(only) == 1:
        return Inside(" AND rowid BETWEEN ? AND ?", bounds, ranges.size(only))
    flags = ranges.bits(only).tobytes()
    connection.create_function("wanted", 1, lambda row: flags[row >> 3] >> (row & 7) & 1, deterministic=True)
    return Inside(" AND rowid BETWEEN ? AND ? AND wanted(rowid)", bounds, min(total, ranges.size([bounds])))


def _best(
    connection: sqlite3.Connection, wording: Wording, inside: Inside, limit: int, also: Sequence[int]
) -> list[tuple[int, float]]:
    rows = connection.execute(
        BEST.format(inside=inside.condition),
        (wording.expression, *inside.bounds, SCORED_CHUNKS, json.dumps([*also]), limit + len(also)),
    )
    return [(int(row[0]), float(row[1])) for row in rows]


def _count(connection: sqlite3.Connection, expression: str, inside: Inside) -> int:
    """How many chunks match, counted up to `inside.most_chunks`; -1: all."""
    given = (expression, *inside.bounds, inside.most_chunks)
    return int(connection.execute(COUNT.format(inside=inside.condition), given).fetchone()[0])


def _any(terms: Sequence[Term]) -> str:
    return " OR ".join(_quoted(term.word) for term in terms)


def _rarity(chunks: int, total: int) -> float:
    """How much a word tells: the IDF of FTS5."""
    return max(LEAST_RARITY, math.log((total - chunks + 0.5) / (chunks + 0.5))) if chunks < total else LEAST_RARITY


def _quoted(word: str) -> str:
    return '"' + word.replace('"', '""') + '"'
