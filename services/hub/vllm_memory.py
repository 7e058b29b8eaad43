"""The memory that vLLM takes on each GPU.

vLLM may use a share of each GPU's whole memory (`gpu_memory_utilization`), and refuses to start where less than that is
free; what weights, activations, graphs and buffers leave of the share is its KV cache. The GPU with the least of it
decides. Sources and limits: docs/adr/0010-memory-plan.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from services.core.units import bytes_text
from services.hub import quantisation
from services.hub.advice import Reason, reason
from services.hub.cache import Cache, cache_bits, cache_of, dtype_bits
from services.hub.cards import Card
from services.hub.model_files import ModelFiles
from services.hub.plan_types import DEFAULT_LENGTH, MemoryPlan, PerGpu, PlanWish, Rule
from services.hub.quantisation import Scheme
from services.hub.safetensors_header import BITS, WIDE_FLOATS
from services.hub.weights import Stage, parameters, stage_bytes, stages
from services.hub.working_memory import (
    COMMUNICATION_BYTES,
    CONTEXT_BYTES,
    OUTSIDE_TORCH_BYTES,
    activations,
    graph_bytes,
    vllm_step,
)

STATES = 2
"""Of each sequence: the one that is worked on, and the one that a common beginning is taken up from."""


@dataclass(frozen=True, slots=True)
class Rank:
    """One GPU of the plan: its card, what it holds, and its cache."""

    card: Card
    held: PerGpu
    cache: Cache


def rule_of(model: ModelFiles, wish: PlanWish) -> Rule:
    """The rule of thumb for a model as it would be loaded."""
    if model.bits is not None:
        return Rule(model.parameters, round(float(model.bits), 1))
    scheme = scheme_of(model, wish)
    narrow = scheme.linear_bits or scheme.expert_bits
    return Rule(model.parameters, float(int(narrow) if narrow else dtype_bits(wish.dtype, model.dtype)))


def length_of(model: ModelFiles, wish: PlanWish) -> int:
    """The context that is planned for: the wished one, else the model's own."""
    return wish.max_model_len or model.architecture.context or DEFAULT_LENGTH


def scheme_of(model: ModelFiles, wish: PlanWish) -> Scheme:
    """How the weights are held: as the files say, else as was wished. Raises: InvalidValue."""
    wished = quantisation.named(wish.quantization) if wish.quantization else quantisation.PLAIN
    return (model.scheme if model.quantised and model.scheme else None) or wished


def weights_scale(model: ModelFiles, scheme: Scheme, bits: Fraction) -> Fraction:
    """What the shapes' bytes are to be multiplied with, so that their sum is what the files hold."""
    computed = sum(stage_bytes(model.architecture, stage, 1, scheme, bits) for stage in stages(model.architecture, 1))
    if not computed:
        return Fraction(1)
    if model.stored and not model.quantised and scheme != quantisation.PLAIN:
        return Fraction(model.stored.count, parameters(model.architecture))
    if model.stored:
        as_is = model.quantised or model.stored.quantised
        held = [
            count * (bits if dtype in WIDE_FLOATS and not as_is else BITS[dtype]) / 8
            for dtype, count in model.stored.elements
        ]
        return Fraction(sum(held)) / computed
    if model.indexed_bytes and (model.quantised or scheme == quantisation.PLAIN):
        on_disk = Fraction(32) if model.dtype in ("float32", "float") else Fraction(16)
        return model.indexed_bytes * (Fraction(1) if model.quantised else bits / on_disk) / computed
    return Fraction(1)


def share_of(card: Card, utilization: float) -> int:
    """What vLLM may use of a card: a share of the whole, whatever others hold."""
    return int(card.total_bytes * utilization)


def kv_available(share: int, weights: int, activation: int, outside: int) -> int:
    """What is left for the cache of vLLM's share."""
    return share - weights - activation - outside


def ranks_of(model: ModelFiles, wish: PlanWish, cards: Sequence[Card]) -> list[Rank]:
    """Each kind of GPU in each stage, with what it holds: GPUs that are alike hold the same.

    Cards are given out in order, the last one again if need be.
    """
    tensor, length = wish.tensor_parallel_size, length_of(model, wish)
    bits, scheme = dtype_bits(wish.dtype, model.dtype), scheme_of(model, wish)
    scale = weights_scale(model, scheme, bits)
    found = []
    for position, stage in enumerate(stages(model.architecture, wish.pipeline_parallel_size)):
        weights = int(scale * stage_bytes(model.architecture, stage, tensor, scheme, bits))
        given = cards[position * tensor : (position + 1) * tensor] or cards[-1:]
        alike = {(card.total_bytes, card.free_bytes, card.name): card for card in reversed(given)}
        found += [_rank(model, wish, stage, card, weights, length, bits) for card in reversed(alike.values())]
    return found


def _rank(
    model: ModelFiles, wish: PlanWish, stage: Stage, card: Card, weights: int, length: int, bits: Fraction
) -> Rank:
    step = vllm_step(card.total_bytes, card.name, length, wish.max_num_batched_tokens, wish.max_num_seqs)
    narrow = cache_bits(wish.kv_cache_dtype, bits)
    under_way = step.tokens * (wish.pipeline_parallel_size + 1)
    cache = cache_of(model.architecture, stage.layers, wish.tensor_parallel_size, narrow, under_way, STATES)
    together = wish.tensor_parallel_size * wish.pipeline_parallel_size > 1
    outside = OUTSIDE_TORCH_BYTES + (COMMUNICATION_BYTES if together else 0)
    outside += 0 if wish.enforce_eager else graph_bytes(stage)
    activation = activations(model.architecture, stage, wish.tensor_parallel_size, step, bits)
    share = share_of(card, wish.gpu_memory_utilization)
    held = PerGpu(
        weights_bytes=weights,
        kv_bytes_per_token=cache.token_bytes,
        kv_bytes=cache.needed(length, wish.concurrency),
        activation_bytes=activation,
        overhead_bytes=outside + CONTEXT_BYTES,
        kv_available_bytes=kv_available(share, weights, activation, outside),
        reserved_bytes=share + CONTEXT_BYTES,
        budget_bytes=share,
    )
    return Rank(card, held, cache)


def assess(model: ModelFiles, wish: PlanWish, cards: Sequence[Card]) -> MemoryPlan:
    """Whether vLLM would start with this wish on these cards, of which it takes those with the most free memory."""
    wanted, length = wish.tensor_parallel_size * wish.pipeline_parallel_size, length_of(model, wish)
    chosen = sorted(sorted(cards, key=lambda card: -card.free_bytes)[:wanted], key=lambda card: card.index or 0)
    ranks = ranks_of(model, wish, chosen)
    tightest = min(ranks, key=lambda rank: rank.held.kv_available_bytes - rank.held.kv_bytes)
    limit = model.architecture.context or max(length, DEFAULT_LENGTH)
    reasons = [*_shape_reasons(model, wish, len(cards)), *_start_reasons(ranks, wish)]
    reasons += _room_reasons(tightest, wish, length)
    blocked = bool(reasons)
    return MemoryPlan(
        fits=not blocked,
        engine="vllm",
        place="gpu",
        rule=rule_of(model, wish),
        per_gpu=tightest.held,
        max_model_len=length,
        kv_tokens=min(rank.cache.tokens(rank.held.kv_available_bytes, length) for rank in ranks),
        concurrency=min(times(rank.held.kv_available_bytes, rank.cache.needed(length)) for rank in ranks),
        max_model_len_that_fits=min(
            rank.cache.longest(rank.held.kv_available_bytes, limit, wish.concurrency) for rank in ranks
        ),
        gpus=tuple(card.index for card in chosen),
        reasons=(*(reasons or _good(tightest, length)), *_cautions(model)),
    )


def times(available: int, each: int) -> float:
    """How many times something fits."""
    return max(0, available) / each if each else 0.0


def _shape_reasons(model: ModelFiles, wish: PlanWish, found: int) -> list[Reason]:
    """What cannot start whatever the memory."""
    reasons, architecture = [], model.architecture
    wanted, size = wish.tensor_parallel_size * wish.pipeline_parallel_size, wish.tensor_parallel_size
    if wanted > found:
        reasons.append(reason("too_few_gpus", wanted_gpus=wanted, found=found))
    if not divides(model, size):
        heads, kv_heads = architecture.heads, architecture.kv_heads
        reasons.append(reason("heads_not_divisible", heads=heads, kv_heads=kv_heads, size=size))
    if wish.pipeline_parallel_size > len(architecture.layers):
        reasons.append(reason("too_many_stages", layers=len(architecture.layers), size=wish.pipeline_parallel_size))
    if architecture.context and length_of(model, wish) > architecture.context:
        reasons.append(reason("beyond_context", length=length_of(model, wish), context=architecture.context))
    return reasons


def divides(model: ModelFiles, tensor_parallel: int) -> bool:
    """Whether vLLM can cut a model's heads into so many parts."""
    architecture = model.architecture
    if architecture.heads % tensor_parallel:
        return False
    kv = architecture.kv_heads
    return bool(architecture.latent) or not kv or kv % tensor_parallel == 0 or tensor_parallel % kv == 0


def _start_reasons(ranks: Sequence[Rank], wish: PlanWish) -> list[Reason]:
    """Where less is free than vLLM wants at its start; its own context is there by then."""
    for rank in ranks:
        free = rank.card.free_bytes - CONTEXT_BYTES
        if rank.card.free_bytes < rank.card.total_bytes and free < rank.held.budget_bytes:
            return [
                reason(
                    "free_below_share",
                    gpu=rank.card.index if rank.card.index is not None else "?",
                    share=bytes_text(rank.held.budget_bytes),
                    percent=round(wish.gpu_memory_utilization * 100),
                    free=bytes_text(max(0, free)),
                    others=bytes_text(rank.card.total_bytes - rank.card.free_bytes),
                )
            ]
    return []


def _room_reasons(rank: Rank, wish: PlanWish, length: int) -> list[Reason]:
    held = rank.held
    share, available = bytes_text(held.budget_bytes), held.kv_available_bytes
    if held.weights_bytes >= held.budget_bytes:
        return [reason("weights_too_large", weights=bytes_text(held.weights_bytes), share=share)]
    if available <= 0:
        return [reason("no_room_for_cache", needed=bytes_text(held.budget_bytes - available), share=share)]
    if rank.cache.needed(length) > available:
        tokens = rank.cache.longest(available, length)
        return [
            reason(
                "cache_too_small",
                length=length,
                needed=bytes_text(rank.cache.needed(length)),
                available=bytes_text(available),
                tokens=tokens,
            )
        ]
    if held.kv_bytes > available:
        needed, count = bytes_text(held.kv_bytes), wish.concurrency
        return [reason("too_many_at_once", count=count, length=length, needed=needed, available=bytes_text(available))]
    return []


def _good(rank: Rank, length: int) -> list[Reason]:
    available = rank.held.kv_available_bytes
    return [
        reason(
            "fits",
            needed=bytes_text(rank.held.total_bytes),
            share=bytes_text(rank.held.budget_bytes),
            available=bytes_text(available),
            length=length,
            concurrency=f"{times(available, rank.cache.needed(length)):.1f}",
        )
    ]


def _cautions(model: ModelFiles) -> list[Reason]:
    return [reason("quantisation_unknown")] if model.scheme is None and model.stored is None else []
