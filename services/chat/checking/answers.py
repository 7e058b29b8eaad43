"""A finished answer, checked sentence by sentence against the passages that the model was shown."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from services.chat.checking.quantities import figures
from services.chat.checking.sentences import Sentence, sentences
from services.chat.checking.verdicts import (
    CONTRADICTS,
    NO_SOURCE,
    NOT_FOUND,
    SUPPORTED,
    UNSURE,
    WORDS,
    Similarity,
    Verdict,
    judged,
)
from services.chat.checking.words import words
from services.chat.ports import Passage
from services.chat.refusals import refuses

CHECKS = "checks"
"""In a turn's settings: what was found for each of its sentences."""
PLAINLY = 0.6
"""The share of a sentence's words that another passage must have to be named instead."""
_LEADS_IN = re.compile(r"[:：]\s*$")


@dataclass(frozen=True, slots=True)
class SentenceCheck:
    """What was found for a sentence; `better` is a passage that plainly says it, where the cited ones do not."""

    start: int
    end: int
    numbers: tuple[int, ...]
    verdict: str
    reason: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    better: int | None = None

    def row(self) -> dict[str, Any]:
        """As stored with the turn."""
        return {**asdict(self), "numbers": list(self.numbers)}

    @property
    def supported(self) -> bool | None:
        """As a citation tells it."""
        return {SUPPORTED: True, NOT_FOUND: False, CONTRADICTS: False}.get(self.verdict)


def check_answer(
    answer: str, passages: Sequence[Passage], similarity: Similarity | None = None
) -> tuple[SentenceCheck, ...]:
    """Check every sentence that says something; nothing where the answer only says that nothing was found."""
    if refuses(answer):
        return ()
    evidence = {number: evidence_of(passage) for number, passage in enumerate(passages, 1)}
    return tuple(
        _check(sentence, evidence, similarity) for sentence in sentences(answer, len(passages)) if _claims(sentence)
    )


def evidence_of(passage: Passage) -> str:
    """All that a passage tells: its text, under its document's name and its headings."""
    name = passage.document.rpartition("/")[2].rpartition(".")[0] or passage.document
    return "\n".join(part for part in (name, passage.heading, passage.text) if part)


def checks_of(settings: Mapping[str, Any]) -> list[SentenceCheck]:
    """What was found for an answer, from its turn's settings; empty where it was not checked."""
    return [SentenceCheck(**{**row, "numbers": tuple(row["numbers"])}) for row in settings.get(CHECKS, [])]


def support(checks: Sequence[SentenceCheck]) -> dict[int, tuple[bool | None, str]]:
    """For each cited passage whether it bears out all that is said with it, and the reason, the worst first."""
    found: dict[int, tuple[bool | None, str]] = {}
    order = {False: 0, None: 1, True: 2}
    for check in checks:
        for number in check.numbers:
            known = found.get(number)
            if known is None or order[check.supported] < order[known[0]]:
                found[number] = (check.supported, f"{check.verdict}:{check.reason}")
    return found


def _check(sentence: Sentence, evidence: Mapping[int, str], similarity: Similarity | None) -> SentenceCheck:
    place = (sentence.start, sentence.end, sentence.numbers)
    if not sentence.numbers:
        return SentenceCheck(*place, NO_SOURCE, better=_plainly(sentence, evidence))
    cited = "\n".join(evidence[number] for number in sentence.numbers)
    verdict: Verdict = judged(sentence.text, cited, similarity)
    others = {number: text for number, text in evidence.items() if number not in sentence.numbers}
    better = _plainly(sentence, others) if verdict.verdict in (NOT_FOUND, CONTRADICTS, UNSURE) else None
    return SentenceCheck(*place, verdict.verdict, verdict.reason, verdict.details, better)


def _plainly(sentence: Sentence, evidence: Mapping[int, str]) -> int | None:
    """The passage that says the sentence nearly in its words."""
    found = {number: judged(sentence.text, text) for number, text in evidence.items()}
    plain = [
        number
        for number, verdict in found.items()
        if (verdict.verdict, verdict.reason) == (SUPPORTED, WORDS) and verdict.coverage >= PLAINLY
    ]
    return max(plain, key=lambda number: found[number].coverage, default=None)


def _claims(sentence: Sentence) -> bool:
    """Whether a sentence says something that a source could bear out: no heading, no question, no "as follows:"."""
    text = sentence.text
    if sentence.numbers:
        return bool(words(text).terms or figures(text).quantities)
    if _LEADS_IN.search(text) or text.endswith(("?", "？")):
        return False
    return len(words(text).terms) >= 2
