"""The memory that llama.cpp takes for a GGUF file: on GPUs, whose layers it shares out, or in the host's memory.

It takes what it needs, and no share. Of its context each request has a part, so it is as long as all of them together.
On GPUs the embedding stays on the host, unless it is the output layer as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from services.core.units import bytes_text
from services.hub.advice import Reason, reason
from services.hub.architecture import Layer
from services.hub.cache import cache_bits, cache_of
from services.hub.cards import Card
from services.hub.model_files import GgufWeights, ModelFiles
from services.hub.plan_types import MemoryPlan, PerGpu, PlanWish
from services.hub.vllm_memory import Rank, length_of, rule_of, times
from services.hub.weights import stages
from services.hub.working_memory import CONTEXT_BYTES, LLAMA_OUTSIDE_BYTES, LLAMA_STEP_TOKENS, llama_compute


def assess(
    model: ModelFiles, weights: GgufWeights, wish: PlanWish, cards: Sequence[Card], host: Card | None
) -> MemoryPlan:
    """Whether llama.cpp would have the memory: all layers on the cards, or all on the host where there are none."""
    length = length_of(model, wish)
    ranks = _on_cards(model, weights, wish, cards) if cards or host is None else [_on_host(model, weights, wish, host)]
    tightest = min(ranks, key=lambda rank: rank.held.kv_available_bytes - rank.held.kv_bytes)
    fits = tightest.held.kv_available_bytes >= tightest.held.kv_bytes
    limit = model.architecture.context or length
    return MemoryPlan(
        fits=fits,
        engine="llama.cpp",
        place="gpu" if cards else "host",
        rule=rule_of(model, wish),
        per_gpu=tightest.held,
        max_model_len=length,
        kv_tokens=min(rank.cache.tokens(rank.held.kv_available_bytes, length) for rank in ranks),
        concurrency=min(times(rank.held.kv_available_bytes, rank.cache.needed(length)) for rank in ranks),
        max_model_len_that_fits=min(
            rank.cache.longest(rank.held.kv_available_bytes, limit, wish.concurrency) for rank in ranks
        ),
        gpus=tuple(card.index for card in cards),
        reasons=(_reason(tightest, wish, length, fits),),
    )


def _reason(tightest: Rank, wish: PlanWish, length: int, fits: bool) -> Reason:
    needed, free = bytes_text(tightest.held.total_bytes), bytes_text(tightest.card.free_bytes)
    if fits:
        return reason("fits_llama", needed=needed, free=free, count=wish.concurrency, length=length)
    return reason("memory_too_small", needed=needed, free=free)


def _on_host(model: ModelFiles, weights: GgufWeights, wish: PlanWish, host: Card) -> Rank:
    return _rank(model, wish, host, model.architecture.layers, weights.bytes, LLAMA_OUTSIDE_BYTES)


def _on_cards(model: ModelFiles, weights: GgufWeights, wish: PlanWish, cards: Sequence[Card]) -> list[Rank]:
    ranks, begin = [], 0
    for card, stage in zip(cards, stages(model.architecture, len(cards)), strict=True):
        held = sum(weights.layers[begin : begin + len(stage.layers)])
        begin += len(stage.layers)
        if stage.last:
            held += weights.output + (weights.embedding if model.architecture.tied else 0)
        ranks.append(_rank(model, wish, card, stage.layers, held, LLAMA_OUTSIDE_BYTES + CONTEXT_BYTES))
    return ranks


def _rank(model: ModelFiles, wish: PlanWish, card: Card, layers: Sequence[Layer], weights: int, outside: int) -> Rank:
    bits = cache_bits(wish.kv_cache_dtype, Fraction(16))
    cache = cache_of(model.architecture, layers, 1, bits, LLAMA_STEP_TOKENS)
    needed, compute = cache.needed(length_of(model, wish), wish.concurrency), llama_compute(model.architecture)
    held = PerGpu(
        weights_bytes=weights,
        kv_bytes_per_token=cache.token_bytes,
        kv_bytes=needed,
        activation_bytes=compute,
        overhead_bytes=outside,
        kv_available_bytes=card.free_bytes - weights - compute - outside,
        reserved_bytes=weights + needed + compute + outside,
        budget_bytes=card.free_bytes,
    )
    return Rank(card, held, cache)
