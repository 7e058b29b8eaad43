"""How many tokens a text has where no server can be asked: rather too many than too few."""

from __future__ import annotations

import math
import re

_LATIN = re.compile(r"[A-Za-z ]")
_LETTERS_PER_TOKEN = 3


def estimated_tokens(text: str) -> int:
    """Tokens of a text: three Latin letters or spaces make one; every other character counts as one."""
    latin = len(_LATIN.findall(text))
    return len(text) - latin + math.ceil(latin / _LETTERS_PER_TOKEN)
