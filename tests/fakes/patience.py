"""Waiting for something to become true, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable

LOOK_EVERY_S = 0.02


def until(condition: Callable[[], object], seconds: float) -> None:
    """Wait until a condition is true; fail where it never is within so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(LOOK_EVERY_S)
