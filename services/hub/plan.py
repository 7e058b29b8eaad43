"""Will it fit? One plan for a model, a wish and the memory there is, and what to change where it does not fit.

Pure arithmetic: what is read of files and GPUs comes in as values. Each suggestion was planned itself and fits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from services.core.errors import GpuMemoryUnknown
from services.core.units import GIB, bytes_text
from services.hub import llama_memory, vllm_memory
from services.hub.advice import Suggestion
from services.hub.cards import Card
from services.hub.model_files import ModelFiles
from services.hub.plan_types import MemoryPlan, PlanWish
from services.hub.working_memory import CONTEXT_BYTES

USEFUL_LENGTH = 2048
"""A context that is shorter is not suggested."""
HIGHEST_SHARE, SMALL_STEP = 0.95, 16
MOST = 3
"""Suggestions of one plan."""


def plan(model: ModelFiles, wish: PlanWish, cards: Sequence[Card], host: Card | None = None) -> MemoryPlan:
    """Plan a server.

    Args:
        cards: the GPUs it may use; for a GGUF file without any, its layers stay in the host's memory.
        host: the host's memory.

    Raises: GpuMemoryUnknown, InvalidValue.
    """
    if not cards and (model.gguf is None or host is None):
        raise GpuMemoryUnknown(wanted_gpus=wish.tensor_parallel_size * wish.pipeline_parallel_size, found_gpus=0)
    found = _assess(model, wish, cards, host)
    if found.fits:
        return found
    return replace(found, suggestions=tuple(_suggest(model, wish, cards, host, found)))


def tensor_parallel_for(model: ModelFiles, gpus: int) -> int:
    """The largest tensor_parallel_size up to a number of GPUs that goes with a model's heads."""
    return next((size for size in range(gpus, 1, -1) if vllm_memory.divides(model, size)), 1)


def _assess(model: ModelFiles, wish: PlanWish, cards: Sequence[Card], host: Card | None) -> MemoryPlan:
    if model.gguf:
        return llama_memory.assess(model, model.gguf, wish, cards, host)
    return vllm_memory.assess(model, wish, cards)


def _suggest(
    model: ModelFiles, wish: PlanWish, cards: Sequence[Card], host: Card | None, found: MemoryPlan
) -> list[Suggestion]:
    """Up to three changes, each of which makes it fit; where none does, the memory that would."""
    good: list[Suggestion] = []
    for code, flags in _changes(model, wish, cards, found):
        helped = _that_fits(model, wish, cards, host, flags)
        if helped is not None and len(good) < MOST:
            good.append(Suggestion(code if flags or "max_model_len" not in helped else "shorter", helped))
    if good:
        return good
    held = found.per_gpu
    if model.gguf:
        return [Suggestion("more_memory", {}, {"memory": bytes_text(held.total_bytes)})]
    least = (held.total_bytes - CONTEXT_BYTES) / min(HIGHEST_SHARE, wish.gpu_memory_utilization)
    return [Suggestion("another_gpu", {}, {"memory": bytes_text(-(-least // GIB) * GIB)})]


def _that_fits(
    model: ModelFiles, wish: PlanWish, cards: Sequence[Card], host: Card | None, flags: dict[str, Any]
) -> dict[str, Any] | None:
    """The flags, with a shorter context added where they need it; None where they do not help."""
    changed = replace(wish, **flags)
    tried = _assess(model, changed, cards, host)
    if tried.fits:
        return flags
    shorter = min(tried.max_model_len_that_fits, tried.max_model_len)
    if shorter < min(USEFUL_LENGTH, tried.max_model_len):
        return None
    again = _assess(model, replace(changed, max_model_len=shorter), cards, host)
    return {**flags, "max_model_len": shorter} if again.fits else None


def _changes(
    model: ModelFiles, wish: PlanWish, cards: Sequence[Card], found: MemoryPlan
) -> Iterator[tuple[str, dict[str, Any]]]:
    """What could be changed, the least intrusive first; an empty change is the shorter context alone."""
    codes = {reason.code for reason in found.reasons}
    if model.gguf is None and "free_below_share" in codes:
        yield "lower_share", {"gpu_memory_utilization": _share_that_is_free(cards, found)}
    yield "shorter", {}
    if wish.concurrency > 1:
        yield "fewer_at_once", {"concurrency": max(1, int(found.concurrency))}
    if model.gguf is None:
        yield from _vllm_changes(model, wish, cards, codes)


def _vllm_changes(
    model: ModelFiles, wish: PlanWish, cards: Sequence[Card], codes: set[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    if wish.kv_cache_dtype in ("auto", ""):
        yield "narrow_cache", {"kv_cache_dtype": "fp8"}
    if wish.gpu_memory_utilization < HIGHEST_SHARE and "free_below_share" not in codes:
        yield "higher_share", {"gpu_memory_utilization": HIGHEST_SHARE}
    most = len(cards) // wish.pipeline_parallel_size
    for size in range(wish.tensor_parallel_size + 1, most + 1):
        if vllm_memory.divides(model, size):
            yield "more_gpus", {"tensor_parallel_size": size}
            break
    if codes & {"heads_not_divisible", "too_few_gpus"}:
        fewer = tensor_parallel_for(model, min(max(1, most), max(1, wish.tensor_parallel_size - 1)))
        yield "fewer_parts", {"tensor_parallel_size": fewer}
    if not model.quantised and not wish.quantization:
        yield "quantise", {"quantization": "fp8"}
        yield "quantise", {"quantization": "bitsandbytes"}
    if not wish.enforce_eager:
        yield "smaller_step", {"max_num_seqs": min(SMALL_STEP, wish.max_num_seqs or SMALL_STEP), "enforce_eager": True}


def _share_that_is_free(cards: Sequence[Card], found: MemoryPlan) -> float:
    """The largest share, in whole percent, that every chosen GPU has free at the start."""
    chosen = [card for card in cards if card.index in found.gpus]
    least = min((card.free_bytes - CONTEXT_BYTES) / card.total_bytes for card in chosen)
    return max(0, int(least * 100)) / 100
