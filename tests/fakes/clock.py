"""A clock that stands still until a test moves it."""

from __future__ import annotations


class Clock:
    """Milliseconds, in place of services.core.clock.ticks_ms."""

    def __init__(self) -> None:
        self.now_ms = 1_000.0

    def __call__(self) -> float:
        return self.now_ms

    def pass_seconds(self, seconds: float) -> None:
        """Let time go by."""
        self.now_ms += seconds * 1000
