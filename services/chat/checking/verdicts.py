"""What a check of one sentence found: supported, not found in the source, contradicting it, or not to be told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.chat.checking.columns import misfiled
from services.chat.checking.negation import opposed
from services.chat.checking.placement import misplaced
from services.chat.checking.quantities import Clock, Figures, Moment, Quantity, figures
from services.chat.checking.substitution import substituted
from services.chat.checking.words import STOP, covered, missing_names, plain, words

SUPPORTED, NOT_FOUND, CONTRADICTS, UNSURE, NO_SOURCE = "supported", "not_found", "contradicts", "unsure", "no_source"
NUMBERS, NAMES, NEGATION, SWAPPED, PLACE = "numbers", "names", "negation", "swapped", "place"
WORDS, MEANING, JUDGE = "words", "meaning", "judge"

Similarity = Callable[[str, Sequence[str]], Sequence[float]]
"""Cosine of a sentence and each of some texts, by the base's embedder."""

ENOUGH, TOO_LITTLE = 0.5, 0.2
"""Shares of a sentence's content words that stand in its source."""
ALIKE, UNLIKE = 0.87, 0.8
"""Cosines of e5-small between a sentence and the nearest sentence of its source."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found, why, and in which words: `details` names numbers, names or clauses."""

    verdict: str
    reason: str
    details: dict[str, Any] = field(default_factory=dict)
    coverage: float = 0.0

    @property
    def supported(self) -> bool | None:
        """As a citation tells it; None where it cannot be told."""
        return {SUPPORTED: True, NOT_FOUND: False, CONTRADICTS: False}.get(self.verdict)


def judged(sentence: str, evidence: str, similarity: Similarity | None = None) -> Verdict:
    """Hold a sentence against the text that it is said to come from."""
    said, known = words(sentence), frozenset(words(evidence).terms)
    source = plain(evidence).lower()
    found = covered(said.terms, source, known)
    share = sum(found) / len(found) if found else 1.0
    lost = missing_names(said.names, evidence)
    wrong = unmatched(figures(sentence), figures(evidence))
    if wrong:
        verdict = CONTRADICTS if share >= ENOUGH and not lost else NOT_FOUND
        return Verdict(verdict, NUMBERS, {"numbers": wrong}, share)
    if lost:
        return Verdict(NOT_FOUND, NAMES, {"names": lost}, share)
    against = opposed(sentence, evidence)
    if against:
        return Verdict(CONTRADICTS, NEGATION, {"said": against[0], "source": against[1]}, share)
    swapped = substituted(sentence, evidence)
    if swapped:
        return Verdict(NOT_FOUND, SWAPPED, {"said": swapped[0], "source": swapped[1]}, share)
    elsewhere = misplaced(sentence, evidence) or misfiled(sentence, evidence)
    if elsewhere:
        return Verdict(CONTRADICTS, PLACE, {"said": elsewhere[0], "source": elsewhere[1]}, share)
    if share >= ENOUGH:
        return Verdict(SUPPORTED, WORDS, coverage=share)
    return _by_meaning(sentence, evidence, share, similarity)


def _by_meaning(sentence: str, evidence: str, share: float, similarity: Similarity | None) -> Verdict:
    from services.chat.checking.sentences import pieces

    if similarity is None:
        return Verdict(UNSURE if share else NOT_FOUND, WORDS, coverage=share)
    near = max(similarity(sentence, pieces(evidence)), default=0.0)
    if near >= ALIKE:
        return Verdict(SUPPORTED, MEANING, {"cosine": round(near, 3)}, share)
    if near < UNLIKE or share < TOO_LITTLE:
        return Verdict(NOT_FOUND, MEANING, {"cosine": round(near, 3)}, share)
    return Verdict(UNSURE, MEANING, {"cosine": round(near, 3)}, share)


def unmatched(said: Figures, known: Figures) -> list[str]:
    """The figures of a sentence, as written, that its source does not have."""
    wrong = [quantity.written for quantity in said.quantities if not quantity.weak and not _counted(quantity, known)]
    wrong += [moment.written for moment in said.moments if not _dated(moment, known)]
    wrong += [clock.written for clock in said.clocks if not _timed(clock, known)]
    return wrong


def _counted(quantity: Quantity, known: Figures) -> bool:
    same = [other for other in known.quantities if _same(quantity, other)]
    if not same:
        years = [moment.year for moment in known.moments if moment.year and not moment.month]
        hours = {clock.minutes / 60 % 12 for clock in known.clocks}
        told = {*years, *(moment.year for moment in known.moments)}
        return not quantity.kind and (quantity.value in told or (quantity.value <= 24 and quantity.value % 12 in hours))
    rivals = [other for other in known.quantities if quantity.counted and other.counted == quantity.counted]
    # The same number of something else is no support where the source counts this very thing otherwise; one that leaves
    # out what it counts ("312 pairs of lapwing and 57 of redshank") may be of this thing.
    return (
        not rivals
        or any(other in same for other in rivals)
        or any(not other.kind and (not other.counted or other.counted in STOP) for other in same)
    )


def _same(quantity: Quantity, other: Quantity) -> bool:
    if quantity.kind and other.kind and quantity.kind != other.kind:
        return False
    same_kind = quantity.kind == other.kind
    mine, theirs = (quantity.value, other.value) if same_kind else (quantity.bare, other.bare)
    return abs(mine - theirs) <= 1e-6 * max(abs(mine), 1e-9)


def _dated(moment: Moment, known: Figures) -> bool:
    if moment.month is None and any(not other.kind and other.value == moment.year for other in known.quantities):
        return True
    return any(_agrees(moment, other) for other in known.moments)


def _agrees(moment: Moment, other: Moment) -> bool:
    pairs = [(moment.year, other.year), (moment.month, other.month), (moment.day, other.day)]
    common = [(mine, theirs) for mine, theirs in pairs if mine is not None and theirs is not None]
    return bool(common) and all(mine == theirs for mine, theirs in common)


def _timed(clock: Clock, known: Figures) -> bool:
    for other in known.clocks:
        apart = abs(clock.minutes - other.minutes)
        if apart == 0 or (apart == 720 and not (clock.sure and other.sure)):
            return True
    hour = clock.minutes / 60
    return any(not other.kind and other.value in (hour, hour - 12) for other in known.quantities)
