"""The lexical index: BM25 over the words of visible chunks, kept by triggers in the transactions that change them.

A score is a share of the most that the question's words could bring anywhere: it means the same for every question.
"""

from __future__ import annotations

import json
import math
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from services.knowledge.index.local import ranges
from services.knowledge.index.local.ranges import Range
from services.knowledge.index.words import words_of
from services.knowledge.search_types import EVERYTHING, SearchFilter
from services.knowledge.types import LexicalHit

MOST_WORDS = 64
"""Words of a question that are looked for; of a longer one the rarest."""
COMMON_CHUNKS = 10_000
"""A word in more chunks than this is looked for only where all are: it would cost much and tell little."""
SATURATION = 2.2
"""What BM25 (k1 = 1.2) gives a word at most, as a multiple of its rarity."""
LEAST_RARITY = 1e-6
"""As FTS5 has it, of a word that is in half of the chunks or more."""
BEST = """
    SELECT rowid, bm25(lexical) AS score FROM lexical WHERE lexical MATCH ?{inside}
    ORDER BY rowid IN (SELECT value FROM json_each(?)) DESC, score LIMIT ?
"""
REMEMBERED_WORDS = 50_000
DRIFT = 0.1


@dataclass(frozen=True, slots=True)
class Term:
    """A word of a question, and in how many chunks it is: exactly up to COMMON_CHUNKS, and then one more."""

    word: str
    chunks: int


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
    ) -> list[LexicalHit]:
        """The best chunks by their words, best first; and those of `also` that have any of the words.

        Cost: grows with the chunks that have one of the rarer words, up to COMMON_CHUNKS for each.
        """
        total = ranges.visible_chunks(connection)
        terms = self._terms(connection, query, total)
        only = None if wanted == EVERYTHING else ranges.visible(connection, wanted)
        if not terms or only == [] or limit < 1:
            return []
        telling = [term for term in terms if term.chunks <= COMMON_CHUNKS]
        found = _best(connection, telling or terms, limit, only, also)
        if not found and telling:
            telling = terms
            found = _best(connection, terms, limit, only, also)
        most = SATURATION * sum(_rarity(term.chunks, total) for term in telling or terms)
        hits = [LexicalHit(chunk_id, min(1.0, -score / most)) for chunk_id, score in found]
        return sorted(hits, key=lambda hit: (-hit.score, hit.chunk_id))

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
            known = connection.execute(
                "SELECT COUNT(*) FROM (SELECT 1 FROM lexical WHERE lexical MATCH ? LIMIT ?)",
                (_quoted(word), COMMON_CHUNKS + 1),
            ).fetchone()[0]
            if known > COMMON_CHUNKS // 10:
                with self._lock:
                    self._known[word] = known
        return int(known)


def _best(
    connection: sqlite3.Connection, terms: Sequence[Term], limit: int, only: list[Range] | None, also: Sequence[int]
) -> list[tuple[int, float]]:
    inside = ""
    bounds: tuple[int, ...] = ()
    if only is not None:
        inside, bounds = " AND rowid BETWEEN ? AND ?", (only[0][0], only[-1][1])
        if len(only) > 1:
            flags = ranges.bits(only).tobytes()
            connection.create_function("wanted", 1, lambda row: flags[row >> 3] >> (row & 7) & 1, deterministic=True)
            inside += " AND wanted(rowid)"
    rows = connection.execute(
        BEST.format(inside=inside),
        (" OR ".join(_quoted(term.word) for term in terms), *bounds, json.dumps([*also]), limit + len(also)),
    )
    return [(int(row[0]), float(row[1])) for row in rows]


def _rarity(chunks: int, total: int) -> float:
    """How much a word tells: the IDF of FTS5."""
    return max(LEAST_RARITY, math.log((total - chunks + 0.5) / (chunks + 0.5))) if chunks < total else LEAST_RARITY


def _quoted(word: str) -> str:
    return '"' + word.replace('"', '""') + '"'
