"""Waiting for something to become true, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

LOOK_EVERY_S = 0.02
T = TypeVar("T")


def until(condition: Callable[[], T | None], seconds: float) -> T:
    """Wait until a condition is true, and give what it gave; fail where it never is within so many seconds."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(LOOK_EVERY_S)
    return found
