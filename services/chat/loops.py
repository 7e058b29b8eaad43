"""A model that says the same over and over: small ones do, at temperature 0, until there is no room left."""

from __future__ import annotations

import re

from services.chat.excerpts import SENTENCE_END

COPIES = 3
CHARACTERS = 240
"""So many copies of a piece in a row, and so many characters of them all, are no figure of speech any more."""
LONGEST = 400
"""Characters of a piece that is looked for."""
STRIDE = 60
"""Characters between two looks: each takes half a millisecond."""


class LoopWatch:
    """Looks at an answer while it grows. For one answer."""

    def __init__(self) -> None:
        self._looked_at = 0

    def end(self, answer: str) -> int | None:
        """Where the answer should end, after the first copy of what it repeats; None where it does not, or not yet."""
        if len(answer) - self._looked_at < STRIDE:
            return None
        self._looked_at = len(answer)
        return loop_end(answer)


def loop_end(text: str) -> int | None:
    """The end of the first copy of the piece that a text repeats at its end; None where it repeats none."""
    period = _period(text[: -COPIES * LONGEST - 1 : -1])
    if period is None:
        return None
    begin = len(text) - period
    while begin > 0 and text[begin - 1] == text[begin - 1 + period]:
        begin -= 1
    end = begin + period
    sentence = SENTENCE_END.search(text, end - 2, end + period)  # a space may stand behind it already
    return sentence.end() if sentence else end


def _period(backwards: str) -> int | None:
    """The length of the piece that a text, read from its end, begins with several times in a row.

    Source: the prefix function of Knuth, Morris and Pratt; what a prefix shares with its own end leaves its period.
    """
    shared = [0] * len(backwards)
    found = None
    for place in range(1, len(backwards)):
        length = shared[place - 1]
        while length and backwards[place] != backwards[length]:
            length = shared[length - 1]
        shared[place] = length + (backwards[place] == backwards[length])
        whole, period = place + 1, place + 1 - shared[place]
        if whole >= max(CHARACTERS, COPIES * period) and re.search(r"\w", backwards[:period]):
            found = period
    return found
