"""Reading numbers out of files that somebody else has made: each within limits, or an error that says which one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.core.i18n import N_
from services.core.phrases import phrase

MOST = 1 << 32
"""Above any count or width of a model that exists: beyond it a file is broken or means harm."""
MOST_LAYERS = 4096

Fields = Mapping[str, Any]


class Unreadable(Exception):
    """Why a model's file makes no sense: `reason` as an error's parameter takes it."""

    def __init__(self, text: str, **params: str | int) -> None:
        super().__init__(text, params)
        self.reason: str | dict[str, Any] = phrase(text, **params) if params else text


def number(fields: Fields, *keys: str, most: int = MOST) -> int | None:
    """The first of these fields that is there; None where all are absent or null. Raises: Unreadable."""
    for key in keys:
        value = fields.get(key)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise wrong(key, value)
        if not 0 <= value <= most or int(value) != value:  # NaN is not between any two numbers
            raise wrong(key, value)
        return int(value)
    return None


def needed(fields: Fields, *keys: str, most: int = MOST) -> int:
    """The same, where a model cannot be without it; zero is refused. Raises: Unreadable."""
    found = number(fields, *keys, most=most)
    if not found:
        raise Unreadable(N_("it does not say {key}"), key=keys[0])
    return found


def wrong(key: str, value: object) -> Unreadable:
    """The error for a field whose value makes no sense."""
    return Unreadable(N_("{key} cannot be {value}"), key=key, value=str(value)[:40])
