"""Sources for an answer whose model has named none: each sentence gets the passage whose words it uses.

A sentence gets a source only where most of its words and all of its numbers stand in one passage; the turn remembers
that the marks were attached here and not by the model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from services.chat.citations import marks
from services.chat.prompts import PromptPassage, is_refusal

LEAST_SHARE = 0.6
"""Of a sentence's words; beneath it the likeness may be chance."""

_SENTENCE = re.compile(r"[^。！？\n.!?]+(?:[.!?](?=\S)[^。！？\n.!?]*)*[。！？.!?]*")
_END = re.compile(r"[。！？.!?]*\s*$")
_WORD = re.compile(r"[^\W\d_\u3400-\u9fff]+|[\u3400-\u9fff]+|\d+(?:[.,]\d+)*")
_FENCE = re.compile(r"^\s*(```|~~~)", re.MULTILINE)


def attached(answer: str, passages: Sequence[PromptPassage]) -> str | None:
    """The answer with marks added; None where nothing is to be added: it has marks, refuses, or is not of the passages.

    An answer with code is left alone: a mark would become part of the code.
    """
    if marks(answer, len(passages)) or is_refusal(answer) or _FENCE.search(answer):
        return None
    known = [_terms(passage.text) for passage in passages]
    marked = _SENTENCE.sub(lambda match: _with_mark(match.group(), known), answer)
    return marked if marked != answer else None


def _with_mark(sentence: str, known: Sequence[set[str]]) -> str:
    number = _source(_terms(sentence), known)
    if number is None:
        return sentence
    end = _END.search(sentence)
    cut = end.start() if end else len(sentence)
    space = "" if re.search(r"[\u3400-\u9fff]$", sentence[:cut]) else " "
    return f"{sentence[:cut]}{space}[{number}]{sentence[cut:]}"


def _source(terms: set[str], known: Sequence[set[str]]) -> int | None:
    """The number of the passage that has most of the terms and every number among them."""
    shares = [
        len(terms & passage) / len(terms)
        if terms and all(term in passage for term in terms if term[0].isdigit())
        else 0.0
        for passage in known
    ]
    best = max(range(len(shares)), key=shares.__getitem__, default=None)
    return best + 1 if best is not None and shares[best] >= LEAST_SHARE else None


def _terms(text: str) -> set[str]:
    """Words and numbers in lower case; Chinese as pairs of neighbouring characters."""
    found: set[str] = set()
    for word in _WORD.findall(text):
        if "\u3400" <= word[0] <= "\u9fff":
            found |= {word[index : index + 2] for index in range(max(1, len(word) - 1))}
        else:
            found.add(word.lower())
    return found
