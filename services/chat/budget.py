"""How many tokens of passages a prompt may have, and which passages that is."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from services.chat.prompts import PromptPassage, shown
from services.core.errors import ContextLengthExceeded

P = TypeVar("P", bound=PromptPassage)

TEMPLATE_TOKENS = 64
"""What a chat template adds around seven messages, with room to spare."""

LEAST_SHARE = 1 / 3
"""Less than this of a passage is rather left out than shown without its context."""

_SENTENCE_END = re.compile(r"[.!?…][\"'”’)\]]*(?=\s)|[。！？；][”’）」』]*|\n")


def passage_budget(
    context_length: int | None, fixed_tokens: int, question_tokens: int, max_answer_tokens: int, cap: int
) -> int:
    """Tokens left for passages, at most `cap`; the cap alone where the server does not tell its context.

    Raises: ContextLengthExceeded where instruction, question and answer leave nothing.
    """
    if context_length is None:
        return cap
    needed = fixed_tokens + question_tokens + max_answer_tokens + TEMPLATE_TOKENS
    if needed >= context_length:
        raise ContextLengthExceeded(needed=needed, available=context_length)
    return min(cap, context_length - needed)


def fit(passages: Sequence[P], budget: int, count_tokens: Callable[[str], int]) -> list[P]:
    """The first passages that the budget holds, frames included, in their order; the last may be cut after a sentence.

    Raises: ContextLengthExceeded where not even the beginning of the first one has room.
    """
    fitting: list[P] = []
    left = budget
    for number, passage in enumerate(passages, 1):
        tokens = count_tokens(shown(passage, number, "en"))
        if tokens > left:
            begun = _beginning(passage, number, left, count_tokens, alone=not fitting)
            if begun is None and not fitting:
                raise ContextLengthExceeded(needed=tokens, available=budget)
            return [*fitting, begun] if begun else fitting
        fitting.append(passage)
        left -= tokens
    return fitting


def _beginning(passage: P, number: int, tokens: int, count_tokens: Callable[[str], int], *, alone: bool) -> P | None:
    """As much of a passage as the tokens hold; standing alone, any beginning is better than nothing."""

    def fits(part: PromptPassage) -> bool:
        return count_tokens(shown(part, number, "en")) <= tokens

    begun = _longest(passage, _sentence_ends(passage.text), fits)
    if alone:
        return begun or _longest(passage, range(1, len(passage.text)), fits)
    return begun if begun and len(begun.text) >= len(passage.text) * LEAST_SHARE else None


def _sentence_ends(text: str) -> list[int]:
    return [match.end() for match in _SENTENCE_END.finditer(text) if text[: match.end()].strip()]


def _longest(passage: P, ends: Sequence[int], fits: Callable[[PromptPassage], bool]) -> P | None:
    """The longest beginning that fits, by halving: each look may ask the server to count."""
    best, low, high = None, 0, len(ends)
    while low < high:
        middle = (low + high) // 2
        end = ends[middle]
        part = replace(passage, text=passage.text[:end], end=passage.start + end)
        if fits(part):
            best, low = part, middle + 1
        else:
            high = middle
    return best
