"""How long an answer may be: what was chosen, or what the server's context leaves for it."""

from __future__ import annotations

from services.chat.budget import TEMPLATE_TOKENS
from services.chat.notes import TRIMMED, note
from services.chat.running import Running
from services.core.errors import ContextLengthExceeded

LEAST_ANSWER = 16
REST_SHARE = 4
"""Where an answer is trimmed, one part in so many of what is left stays for passages or memory."""


def answer_tokens(running: Running, wanted: int, context: int, fixed_tokens: int) -> int:
    """Tokens that the answer may have; where they are fewer than wanted, the turn says so.

    Args:
        fixed_tokens: of what is sent in any case: instruction, examples, question.
    Raises: ContextLengthExceeded where nothing sensible is left.
    """
    left = context - fixed_tokens - TEMPLATE_TOKENS
    if wanted < left:
        return wanted
    given = left - left // REST_SHARE
    if given < LEAST_ANSWER:
        raise ContextLengthExceeded(needed=fixed_tokens + TEMPLATE_TOKENS + wanted, available=context)
    running.note(note(TRIMMED, wanted=wanted, given=min(given, wanted), context=context))
    return min(given, wanted)
