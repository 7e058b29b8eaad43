"""How long the supervisor waits, for what, and when it tries again what has failed."""

from __future__ import annotations

from dataclasses import dataclass

from services.core.clock import now_ms, ticks_ms


@dataclass(frozen=True, slots=True)
class Patience:
    """Times in seconds."""

    grace_s: float = 10.0
    """From SIGTERM to SIGKILL."""
    readiness_s: float = 0.3
    """Between two looks at a starting server."""
    trial_s: float = 120.0
    """For the answer to the first short question."""
    memory_s: float = 15.0
    """For the driver to give back the memory of processes that have ended."""
    first_restart_s: float = 1.0
    longest_restart_s: float = 60.0
    quick_s: float = 60.0
    """A server that lived longer was not a failed start."""
    attempts: int = 5
    """Quick failures in a row after which it is left alone."""
    remote_s: float = 15.0
    """Between two looks at a server that is not ours."""


USUAL = Patience()


@dataclass(slots=True)
class _Failures:
    count: int = 0
    due_ms: float = 0.0


class Backoff:
    """Quick failures in a row of each server, and when its next start is due. Forgotten when the worker ends."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._failures: dict[str, _Failures] = {}

    def note(self, server_id: str, started_at: float | None) -> int:
        """Note a failure; returns how many quick ones in a row that makes.

        Args:
            started_at: when the run began, seconds since 1970; None: it never did.
        """
        now_s = now_ms() / 1000
        quick = now_s - (started_at or now_s) < self._patience.quick_s
        count = self._failures.get(server_id, _Failures()).count + 1 if quick else 1
        wait_s = min(self._patience.first_restart_s * 2 ** (count - 1), self._patience.longest_restart_s)
        self._failures[server_id] = _Failures(count, ticks_ms() + wait_s * 1000)
        return count

    def due(self, server_id: str) -> bool:
        """Whether the time for the next start has come."""
        return ticks_ms() >= self._failures.get(server_id, _Failures()).due_ms

    def forget(self, server_id: str) -> None:
        """Begin anew with this server."""
        self._failures.pop(server_id, None)
