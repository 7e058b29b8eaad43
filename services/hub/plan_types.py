"""What is asked of a memory plan, and what it answers: plain frozen values. Sizes are bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.hub.advice import Reason, Say, Suggestion

DEFAULT_SHARE = 0.92
"""vLLM 0.32's own; that of older ones is 0.9."""
DEFAULT_LENGTH = 4096
"""Where neither the wish nor the model says how long a context is."""


@dataclass(frozen=True, slots=True)
class PlanWish:
    """What a server is asked to be. The names are those of vLLM's options; None: what the engine takes by itself."""

    max_model_len: int | None = None
    gpu_memory_utilization: float = DEFAULT_SHARE
    tensor_parallel_size: int = 1
    pipeline_parallel_size: int = 1
    dtype: str = "auto"
    quantization: str | None = None
    kv_cache_dtype: str = "auto"
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    enforce_eager: bool = False
    concurrency: int = 1
    """Requests of full length that are to fit at a time."""


@dataclass(frozen=True, slots=True)
class PerGpu:
    """What one GPU holds: the one that has the least room left. `kv_bytes` is the cache of what was wished for."""

    weights_bytes: int
    kv_bytes_per_token: int
    kv_bytes: int
    activation_bytes: int
    overhead_bytes: int
    kv_available_bytes: int
    """What can be cache, at most; below zero: so much is missing before any cache."""
    reserved_bytes: int
    """What the engine takes once it runs: vLLM makes all of its share into cache."""
    budget_bytes: int
    """What the engine may take."""

    @property
    def total_bytes(self) -> int:
        """All that the wish needs."""
        return self.weights_bytes + self.kv_bytes + self.activation_bytes + self.overhead_bytes


@dataclass(frozen=True, slots=True)
class Rule:
    """The rule of thumb: parameters × bits ÷ 8."""

    parameters: int
    bits: float

    @property
    def bytes(self) -> int:
        """What it gives."""
        return int(self.parameters * self.bits / 8)


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """The answer. `reasons` say why; the first of `suggestions` is the one to try."""

    fits: bool
    engine: str
    place: str
    """gpu or host."""
    rule: Rule
    per_gpu: PerGpu
    max_model_len: int
    kv_tokens: int
    concurrency: float
    """Requests of `max_model_len` tokens that the cache holds at a time."""
    max_model_len_that_fits: int
    gpus: tuple[int | None, ...]
    reasons: tuple[Reason, ...]
    suggestions: tuple[Suggestion, ...] = ()

    @property
    def claim_bytes(self) -> int:
        """What it would take of each GPU, or needs where it does not fit."""
        held = self.per_gpu
        return held.reserved_bytes if self.fits else max(held.reserved_bytes, held.total_bytes)


def as_row(plan: MemoryPlan, say: Say) -> dict[str, Any]:
    """A plan as JSON values. `say(template, **params)` puts a reason into words."""
    held = plan.per_gpu
    names = (
        *("weights_bytes", "kv_bytes_per_token", "kv_bytes", "activation_bytes", "overhead_bytes", "total_bytes"),
        *("kv_available_bytes", "reserved_bytes", "budget_bytes"),
    )
    suggestions = [suggestion.row(say) for suggestion in plan.suggestions]
    return {
        "fits": plan.fits,
        "engine": plan.engine,
        "place": plan.place,
        "gpus": list(plan.gpus),
        "rule_of_thumb": {"parameters": plan.rule.parameters, "bits": plan.rule.bits, "bytes": plan.rule.bytes},
        "per_gpu": {name: getattr(held, name) for name in names},
        "max_model_len": plan.max_model_len,
        "kv_tokens": plan.kv_tokens,
        "concurrency": round(plan.concurrency, 2),
        "max_model_len_that_fits": plan.max_model_len_that_fits,
        "reasons": [reason.row(say) for reason in plan.reasons],
        "suggestion": suggestions[0] if suggestions else {},
        "suggestions": suggestions,
    }
