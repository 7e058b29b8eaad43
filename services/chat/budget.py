"""How many tokens of passages a prompt may have, and which passages that is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from services.chat.excerpts import excerpt, sentence_ends
from services.chat.prompts import PromptPassage, shown
from services.core.errors import ContextLengthExceeded

P = TypeVar("P", bound=PromptPassage)

TEMPLATE_TOKENS = 64
"""What a chat template adds around seven messages, with room to spare."""

LEAST_SHARE = 1 / 3
"""Less than this of a passage is rather left out than shown without its context."""

TRIES = 4
"""Tokens of a stretch are estimated from those of its passage, so that a few looks are enough."""


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


def fit(passages: Sequence[P], budget: int, count_tokens: Callable[[str], int], question: str = "") -> list[P]:
    """The first passages that the budget holds, frames included, in their order.

    Of the last there may be a part: the whole sentences that have most of the question's words, or the first ones.

    Raises: ContextLengthExceeded where not even the beginning of the first one has room.
    """
    fitting: list[P] = []
    left = budget
    for number, passage in enumerate(passages, 1):
        tokens = count_tokens(shown(passage, number, "en"))
        if tokens > left:
            part = _stretch(passage, number, tokens, left, count_tokens, question) if question else None
            part = part or _beginning(passage, number, left, count_tokens, alone=not fitting)
            if part is None and not fitting:
                raise ContextLengthExceeded(needed=tokens, available=budget)
            return [*fitting, part] if part else fitting
        fitting.append(passage)
        left -= tokens
    return fitting


def _stretch(
    passage: P, number: int, whole: int, left: int, count_tokens: Callable[[str], int], question: str
) -> P | None:
    """The sentences of a passage that fit the question best; None where too little of it has room."""
    frame = count_tokens(shown(replace(passage, text=""), number, "en"))
    characters = int(len(passage.text) * (left - frame) / max(whole - frame, 1))
    for _ in range(TRIES):
        span = excerpt(passage.text, characters, question) if characters > 0 else None
        if span is None or span[1] - span[0] < len(passage.text) * LEAST_SHARE:
            return None
        start, end = span
        text = passage.text[start:end]
        part = replace(passage, text=text, start=passage.start + start, end=passage.start + end)
        if count_tokens(shown(part, number, "en")) <= left:
            return part
        characters = int(characters * 0.9)
    return None


def _beginning(passage: P, number: int, tokens: int, count_tokens: Callable[[str], int], *, alone: bool) -> P | None:
    """As much of a passage as the tokens hold; standing alone, any beginning is better than nothing."""

    def fits(part: PromptPassage) -> bool:
        return count_tokens(shown(part, number, "en")) <= tokens

    begun = _longest(passage, sentence_ends(passage.text), fits)
    if alone:
        return begun or _longest(passage, range(1, len(passage.text)), fits)
    return begun if begun and len(begun.text) >= len(passage.text) * LEAST_SHARE else None


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
