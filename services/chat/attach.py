"""Sources for an answer whose model has named none: each sentence gets the passage that plainly says it.

A sentence gets a source only where most of its words and all of its numbers stand in one passage, and the check finds
nothing against it; the turn remembers that the marks were attached here and not by the model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from services.chat.checking.sentences import sentences
from services.chat.checking.verdicts import SUPPORTED, WORDS, judged
from services.chat.citations import marks
from services.chat.prompts import PromptPassage
from services.chat.refusals import refuses

LEAST_SHARE = 0.6
"""Of a sentence's words; beneath it the likeness may be chance."""

_END = re.compile(r"[。！？.!?]*[*_\s|]*$")
_FENCE = re.compile(r"^\s*(```|~~~)", re.MULTILINE)


def attached(answer: str, passages: Sequence[PromptPassage]) -> str | None:
    """The answer with marks added; None where nothing is to be added: it has marks, refuses, or is not of the passages.

    An answer with code is left alone: a mark would become part of the code.
    """
    if marks(answer, len(passages)) or refuses(answer) or _FENCE.search(answer):
        return None
    pieces, position = [], 0
    for sentence in sentences(answer, 0):
        number = _source(sentence.text, passages)
        if number is None:
            continue
        end = _END.search(answer[: sentence.end], sentence.start)
        cut = end.start() if end else sentence.end
        space = "" if re.search(r"[\u3400-\u9fff]$", answer[:cut]) else " "
        pieces.append(f"{answer[position:cut]}{space}[{number}]")
        position = cut
    return "".join([*pieces, answer[position:]]) if pieces else None


def _source(sentence: str, passages: Sequence[PromptPassage]) -> int | None:
    """The number of the passage that has most of the words and nothing against the sentence."""
    found = [judged(sentence, passage.text) for passage in passages]
    shares = [verdict.coverage if (verdict.verdict, verdict.reason) == (SUPPORTED, WORDS) else 0.0 for verdict in found]
    best = max(range(len(shares)), key=shares.__getitem__, default=None)
    return best + 1 if best is not None and shares[best] >= LEAST_SHARE else None
