"""Sources for an answer whose model has named none, or the wrong one: the passage that plainly says the sentence.

A sentence gets a source only where most of its words and all of its numbers stand in one passage, and the check finds
nothing against it; the turn remembers which marks were set here and not by the model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from services.chat.checking.answers import SentenceCheck
from services.chat.checking.sentences import sentences
from services.chat.checking.verdicts import SUPPORTED, WORDS, judged
from services.chat.citations import marks
from services.chat.marks import groups
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


def moved(answer: str, checks: Sequence[SentenceCheck], count: int) -> tuple[str, list[int]] | None:
    """The answer with marks moved to where their sentences are said, and the passages that they name now.

    A mark moves where it is the only one of its sentence, its passage does not bear the sentence out, and another one
    plainly says it; None where no mark does.

    Args:
        count: of the passages.
    """
    wrong = [check for check in checks if check.supported is False and check.better and len(check.numbers) == 1]
    pieces, position, now = [], 0, []
    for group in groups(answer, count):
        check = next((check for check in wrong if check.start <= group.start and group.end <= check.end), None)
        if check is None or check.better is None or group.spoken:
            continue
        pieces += [answer[position : group.start], f"[{check.better}]"]
        position = group.end
        now.append(check.better)
    return ("".join([*pieces, answer[position:]]), list(dict.fromkeys(now))) if now else None


def _source(sentence: str, passages: Sequence[PromptPassage]) -> int | None:
    """The number of the passage that has most of the words and nothing against the sentence."""
    found = [judged(sentence, passage.text) for passage in passages]
    shares = [verdict.coverage if (verdict.verdict, verdict.reason) == (SUPPORTED, WORDS) else 0.0 for verdict in found]
    best = max(range(len(shares)), key=shares.__getitem__, default=None)
    return best + 1 if best is not None and shares[best] >= LEAST_SHARE else None
