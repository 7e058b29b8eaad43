"""What an engine's own /metrics say: a reading, and the figures that two readings make.

Known are the names of vLLM (V1, and V0 where it differs) and of llama.cpp's server. Other engines have none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from itertools import pairwise

from prometheus_client.parser import text_string_to_metric_families

MS_A_SECOND = 1000
PERCENT = 100
P95 = 0.95


@dataclass(frozen=True, slots=True)
class Names:
    """What an engine calls its figures; several names of one figure are those of its versions."""

    running: str
    waiting: str
    prompt_tokens: str
    generated_tokens: str
    prompt_seconds: str = ""
    generated_seconds: str = ""
    ttft_seconds: str = ""
    kv_cache_share: tuple[str, ...] = ()


VLLM = Names(
    running="vllm:num_requests_running",
    waiting="vllm:num_requests_waiting",
    prompt_tokens="vllm:prompt_tokens_total",
    generated_tokens="vllm:generation_tokens_total",
    ttft_seconds="vllm:time_to_first_token_seconds",
    kv_cache_share=("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"),
)
LLAMA_CPP = Names(
    running="llamacpp:requests_processing",
    waiting="llamacpp:requests_deferred",
    prompt_tokens="llamacpp:prompt_tokens_total",
    generated_tokens="llamacpp:tokens_predicted_total",
    prompt_seconds="llamacpp:prompt_seconds_total",
    generated_seconds="llamacpp:tokens_predicted_seconds_total",
    kv_cache_share=("llamacpp:kv_cache_usage_ratio",),
)


@dataclass(frozen=True, slots=True)
class Counter:
    """Tokens since the engine began. `seconds` is the time they took, where the engine counts it."""

    tokens: float
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Histogram:
    """Durations since the engine began: how many, their sum, and how many up to each bound, bounds ascending."""

    count: float
    sum_s: float
    buckets: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at /metrics. What the engine does not tell is None."""

    at_ms: float
    """Monotonic."""
    running: float | None
    waiting: float | None
    kv_cache_percent: float | None
    prompt: Counter | None
    generated: Counter | None
    first_tokens: Histogram | None


@dataclass(frozen=True, slots=True)
class Figures:
    """How a server does: now, and since the reading before. What is not known is None."""

    running: float | None = None
    waiting: float | None = None
    prompt_tokens_per_second: float | None = None
    generated_tokens_per_second: float | None = None
    ttft_ms: float | None = None
    """Mean time to the first token of the answers that began since; None where none did."""
    ttft_p95_ms: float | None = None
    kv_cache_percent: float | None = None


def reading(text: str, at_ms: float) -> Reading | None:
    """What a reply of /metrics says; None where it is of no engine that is known."""
    for names in (VLLM, LLAMA_CPP):
        found = _samples(text, names)
        if found:
            return _reading(found, names, at_ms)
    return None


def figures(before: Reading | None, now: Reading) -> Figures:
    """The figures at a reading. A counter that went back belongs to an engine that has begun anew."""
    begun = before is None or now.at_ms <= before.at_ms or _went_back(before, now)
    gauges = Figures(running=now.running, waiting=now.waiting, kv_cache_percent=now.kv_cache_percent)
    if before is None or begun:
        return gauges
    elapsed_s = (now.at_ms - before.at_ms) / MS_A_SECOND
    mean_ms, p95_ms = _first_token(before.first_tokens, now.first_tokens)
    return Figures(
        running=now.running,
        waiting=now.waiting,
        prompt_tokens_per_second=_rate(before.prompt, now.prompt, elapsed_s, now.running),
        generated_tokens_per_second=_rate(before.generated, now.generated, elapsed_s, now.running),
        ttft_ms=mean_ms,
        ttft_p95_ms=p95_ms,
        kv_cache_percent=now.kv_cache_percent,
    )


Samples = Mapping[str, list[tuple[Mapping[str, str], float]]]


def _samples(text: str, names: Names) -> Samples:
    """The finite samples of these names; none where the text is not in Prometheus' format.

    Only their lines are parsed: vLLM's reply has a thousand others.
    """
    starts = tuple(name for name in (*astuple(names)[:-1], *names.kv_cache_share) if name)
    wanted = "\n".join(line for line in text.splitlines() if line.startswith(starts))
    found: dict[str, list[tuple[Mapping[str, str], float]]] = {}
    try:
        for family in text_string_to_metric_families(wanted + "\n"):
            for sample in family.samples:
                if math.isfinite(sample.value):
                    found.setdefault(sample.name, []).append((sample.labels, sample.value))
    except ValueError:
        return {}
    return found


def _reading(found: Samples, names: Names, at_ms: float) -> Reading:
    shares = (value for name in names.kv_cache_share for _, value in found.get(name, ()))
    fullest = max(shares, default=None)  # of several engines behind one address, the one that is short of room first
    return Reading(
        at_ms=at_ms,
        running=_sum(found, names.running),
        waiting=_sum(found, names.waiting),
        kv_cache_percent=None if fullest is None else fullest * PERCENT,
        prompt=_counter(found, names.prompt_tokens, names.prompt_seconds),
        generated=_counter(found, names.generated_tokens, names.generated_seconds),
        first_tokens=_histogram(found, names.ttft_seconds),
    )


def _sum(found: Samples, name: str) -> float | None:
    return sum(value for _, value in found[name]) if name in found else None


def _counter(found: Samples, tokens: str, seconds: str) -> Counter | None:
    counted = _sum(found, tokens)
    return None if counted is None else Counter(counted, _sum(found, seconds))


def _histogram(found: Samples, name: str) -> Histogram | None:
    count, total = _sum(found, f"{name}_count"), _sum(found, f"{name}_sum")
    if not name or count is None or total is None:
        return None
    buckets: dict[float, float] = {}
    for labels, value in found.get(f"{name}_bucket", ()):
        bound = _number(labels.get("le", ""))
        if bound is not None:
            buckets[bound] = buckets.get(bound, 0.0) + value
    return Histogram(count, total, tuple(sorted(buckets.items())))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _went_back(before: Reading, now: Reading) -> bool:
    pairs = zip(_counts(before), _counts(now), strict=True)
    return any(earlier is not None and later is not None and later < earlier for earlier, later in pairs)


def _counts(reading: Reading) -> tuple[float | None, ...]:
    tokens = (each.tokens if each else None for each in (reading.prompt, reading.generated))
    return (*tokens, reading.first_tokens.count if reading.first_tokens else None)


def _rate(before: Counter | None, now: Counter | None, elapsed_s: float, running: float | None) -> float | None:
    """Tokens per second.

    An engine that counts seconds beside its tokens adds both when a request ends. They are spread over the time they
    took; while such an engine is at work and has added nothing, its rate is not known.
    """
    if before is None or now is None:
        return None
    tokens = now.tokens - before.tokens
    if now.seconds is None or before.seconds is None:
        return tokens / elapsed_s
    if not tokens:
        return None if running else 0.0
    return tokens / max(elapsed_s, now.seconds - before.seconds)


def _first_token(before: Histogram | None, now: Histogram | None) -> tuple[float | None, float | None]:
    """Mean and 95th percentile of what was added, in milliseconds."""
    if before is None or now is None or now.count <= before.count:
        return None, None
    count = now.count - before.count
    mean_ms = (now.sum_s - before.sum_s) / count * MS_A_SECOND
    known = dict(before.buckets)
    added = [(bound, total - known.get(bound, 0.0)) for bound, total in now.buckets]
    p95_s = _percentile(added, P95)
    return mean_ms, None if p95_s is None else p95_s * MS_A_SECOND


def _percentile(buckets: list[tuple[float, float]], share: float) -> float | None:
    """Within its bucket a percentile is read off a straight line; beyond the last bound it is that bound."""
    if not buckets or buckets[-1][1] <= 0:
        return None
    rank = buckets[-1][1] * share
    for (low, below), (high, upto) in pairwise([(0.0, 0.0), *buckets]):
        if upto >= rank:
            return low if math.isinf(high) else low + (high - low) * (rank - below) / (upto - below)
    return None
