"""What this installation's chats come to: running totals, fed with the turns that have ended since the last look."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics

from services.core.clock import now_ms
from services.store.conversations import ENDED, MODES, TurnOutcome, TurnRows

OVERLAP_MS = 3_600_000
"""How far back each look reaches: a clock that is set back by less, or a turn that is stored late, is counted once."""
FIRST_TOKEN_S = (0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60)
ANSWER_S = (0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300)


class TurnTotals:
    """Counts the turns of one machine since this was made; what was deleted stays counted. Not thread-safe.

    The numbers begin at zero with the process, as Prometheus expects: counted anew from what is stored, a deleted
    conversation would look like a counter that was reset. Only the ids of the last hour are kept.
    """

    def __init__(self, turns: TurnRows, machine_id: str, registry: CollectorRegistry) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._turns = turns
        self._machine_id = machine_id
        self._looked_at_ms = now_ms()
        self._since_ms = self._looked_at_ms - OVERLAP_MS
        self._seen = turns.begun(machine_id, self._since_ms)
        self._live = {turn.id for turn in turns.live(machine_id)}
        self._ended = Counter(
            "lectern_chat_turns_total", "Questions by how their answers ended.", ["mode", "state"], registry=registry
        )
        self._prompt = _counter("lectern_chat_prompt_tokens_total", "Tokens that models have read.", registry)
        self._completion = _counter(
            "lectern_chat_completion_tokens_total", "Tokens that models have written.", registry
        )
        self._first_token = _histogram(
            "lectern_chat_first_token_seconds", "From asking the model to its first word.", FIRST_TOKEN_S, registry
        )
        self._answer = _histogram(
            "lectern_chat_answer_seconds", "From the question to the end of its answer.", ANSWER_S, registry
        )
        for mode in MODES:  # known from the start, so that the first one is an increase
            for metric in (self._prompt, self._completion, self._first_token, self._answer):
                metric.labels(mode)
            for state in ENDED:
                self._ended.labels(mode, state)

    @property
    def live(self) -> int:
        """Turns that were being answered at the last look."""
        return len(self._live)

    def update(self) -> None:
        """Look for turns that have ended. Cost: grows with the turns of the last hour, not with all. Raises:
        DatabaseUnavailable.
        """
        now = now_ms()
        # Never further back than before: what was forgotten would be counted twice.
        self._since_ms = max(self._since_ms, min(now, self._looked_at_ms) - OVERLAP_MS)
        self._looked_at_ms = now
        begun = self._turns.begun(self._machine_id, self._since_ms)
        fresh = begun - self._seen
        outcomes = self._turns.outcomes([*fresh, *(self._live - fresh)])
        self._seen = begun
        self._live = {outcome.id for outcome in outcomes if outcome.live}
        for outcome in outcomes:
            if not outcome.live:
                self._count(outcome)

    def _count(self, turn: TurnOutcome) -> None:
        self._ended.labels(turn.mode, turn.state).inc()
        self._prompt.labels(turn.mode).inc(turn.prompt_tokens or 0)
        self._completion.labels(turn.mode).inc(turn.completion_tokens or 0)
        if turn.state == "done":  # how long a failure took says nothing about answers
            for name, histogram in (("first_token", self._first_token), ("total", self._answer)):
                if name in turn.timings_ms:
                    histogram.labels(turn.mode).observe(turn.timings_ms[name] / 1000)


def _counter(name: str, meaning: str, registry: CollectorRegistry) -> Counter:
    return Counter(name, meaning, ["mode"], registry=registry)


def _histogram(name: str, meaning: str, buckets: tuple[float, ...], registry: CollectorRegistry) -> Histogram:
    return Histogram(name, meaning, ["mode"], buckets=buckets, registry=registry)
