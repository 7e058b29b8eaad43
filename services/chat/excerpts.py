"""The stretch of a passage that has most to do with a question, where there is no room for all of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from services.chat.checking.words import covered, plain, words

SENTENCE_END = re.compile(r"[.!?…][\"'”’)\]]*(?=\s)|[。！？；][”’）」』]*|\n")


def sentence_ends(text: str) -> list[int]:
    """Where the sentences of a text end."""
    return [match.end() for match in SENTENCE_END.finditer(text) if text[: match.end()].strip()]


def excerpt(text: str, characters: int, question: str) -> tuple[int, int] | None:
    """The whole sentences in a row, of at most so many characters, that have most of a question's words.

    A word counts the more the fewer sentences have it. Of equal stretches the first; None where no sentence fits.
    """
    edges = sorted({0, *sentence_ends(text), len(text)})
    pieces = list(pairwise(edges))
    told = [_terms(text[start:end], question) for start, end in pieces]
    spread = Counter(term for terms in told for term in terms)
    best, most = None, -1.0
    for first, (start, _end) in enumerate(pieces):
        last = first
        while last < len(pieces) and pieces[last][1] - start <= characters:
            last += 1
        if last == first:
            continue
        worth = sum(1 / spread[term] for term in set[str]().union(*told[first:last]))
        if worth > most:
            best, most = (start, pieces[last - 1][1]), worth
    return best


def _terms(piece: str, question: str) -> frozenset[str]:
    """The words of a question that a sentence has."""
    asked: Sequence[str] = tuple(dict.fromkeys(words(question).terms))
    has = covered(asked, plain(piece).lower(), frozenset(words(piece).terms))
    return frozenset(term for term, there in zip(asked, has, strict=True) if there)
