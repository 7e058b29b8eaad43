"""Joining small units of text to chunks that are as large as they may be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

from services.knowledge.chunking.recursive import Span

Preference = Callable[[int], int]
"""How good a border the end of a unit is, by its number; the higher the better."""
_SENTENCE_ENDS = tuple("。！？；….!?”’」』")


def packed(
    units: Sequence[Span], weights: Sequence[int], size: int, overlap: int = 0, preference: Preference | None = None
) -> Iterator[tuple[int, int]]:
    """First and last unit of each chunk, in order. Units join without a gap; one that is too heavy stands alone.

    Args:
        weights: what each unit takes of `size`.
        overlap: the most that whole units at the end of a chunk may weigh which the next one repeats.
        preference: where given, a chunk ends at the best border in its second half.
    """
    sums = [0, *accumulate(weights)]
    first = 0
    while first < len(units):
        last = first
        while last + 1 < len(units) and sums[last + 2] - sums[first] <= size:
            last += 1
        if preference and last + 1 < len(units):
            half = (sums[last + 1] + sums[first]) / 2
            last = max(
                (one for one in range(first, last + 1) if sums[one + 1] >= half), key=lambda n: (preference(n), n)
            )
        yield first, last
        following = last + 1
        if following >= len(units):
            return
        while (
            following - 1 > first
            and sums[last + 1] - sums[following - 1] <= overlap
            and sums[last + 2] - sums[following - 1] <= size
        ):
            following -= 1
        first = following


def borders(text: str, units: Sequence[Span]) -> Preference:
    """The preference for the end of a paragraph, then of a line, then of a sentence."""
    return lambda number: _border_rank(text[slice(*units[number])])


def _border_rank(unit: str) -> int:
    bare = unit.rstrip()
    ends = unit.count("\n", len(bare))
    return min(ends, 2) + 1 if ends else int(bare.endswith(_SENTENCE_ENDS))
