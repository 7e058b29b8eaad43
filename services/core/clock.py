"""The time, in one place: milliseconds since 1970 (UTC) for what is stored, monotonic ones for what is measured."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


def now_ms() -> int:
    """Milliseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000_000


def ticks_ms() -> float:
    """Monotonic milliseconds; only differences mean anything."""
    return time.monotonic_ns() / 1_000_000


class Stopwatch:
    """Named durations of the steps of one piece of work, in milliseconds."""

    def __init__(self) -> None:
        self.timings_ms: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measure a step; a step that is entered twice adds up."""
        begin = ticks_ms()
        try:
            yield
        finally:
            self.timings_ms[name] = round(self.timings_ms.get(name, 0.0) + ticks_ms() - begin, 3)
