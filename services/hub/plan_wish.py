"""What was chosen about a server as a wish for the planner, and the planner's advice as choices again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from services.core.hub_errors import PlanUnknown
from services.core.i18n import N_
from services.hub.advice import Suggestion
from services.hub.cards import Card
from services.hub.model_files import ModelFiles
from services.hub.plan import plan
from services.hub.plan_types import MemoryPlan, PlanWish

VLLM, LLAMACPP = "vllm", "llama.cpp"
PLANNED = (VLLM, LLAMACPP)
"""Engines whose memory can be computed."""
SAME = ("tensor_parallel_size", "pipeline_parallel_size", "dtype", "kv_cache_dtype", "enforce_eager")
LLAMACPP_NAMES = {"max_model_len": "context", "concurrency": "parallel"}


@dataclass(frozen=True, slots=True)
class Fitting:
    """A plan, and the memory that it was made against: that of its fullest GPU, or the host's."""

    plan: MemoryPlan
    card: Card


def fitting(
    engine: str, choices: Mapping[str, Any], model: ModelFiles, cards: Sequence[Card], host: Card | None
) -> Fitting:
    """Plan a server from its choices.

    Args:
        choices: all fields of the engine's spec.
        cards: every GPU of the machine.

    Raises: PlanUnknown, InvalidValue.
    """
    if (model.gguf is not None) != (engine == LLAMACPP):
        raise PlanUnknown(reason=N_("it can be computed of GGUF files under llama.cpp, and of other models under vLLM"))
    chosen = choices.get("gpus") or ()
    known = {card.index: card for card in cards}
    usable = [known[index] for index in chosen if index in known] if chosen else list(cards)
    if engine == LLAMACPP:
        usable = _offloaded(choices["gpu_layers"], model, usable)
    if not usable and engine == VLLM:
        raise PlanUnknown(reason=N_("no GPU is found here whose memory is known"))
    if not usable and host is None:
        raise PlanUnknown(reason=N_("how much memory is free here is not known"))
    wish = wish_of(engine, choices)
    found = plan(model, wish, usable, host) if engine == LLAMACPP else _on_first(model, wish, usable)
    held = [card for card in usable if card.index in found.gpus] if found.place == "gpu" else [host or usable[0]]
    return Fitting(found, min(held, key=lambda card: card.free_bytes))


def wish_of(engine: str, choices: Mapping[str, Any]) -> PlanWish:
    """The wish that the fields of an engine's spec express."""
    if engine == LLAMACPP:
        return PlanWish(max_model_len=choices["context"], concurrency=choices["parallel"])
    return PlanWish(
        max_model_len=choices["max_model_len"] or None,
        gpu_memory_utilization=choices["gpu_memory_utilization"],
        quantization=choices["quantization"] or None,
        max_num_seqs=choices["max_num_seqs"] or None,
        **{name: choices[name] for name in SAME},
    )


def choices_of(engine: str, flags: Mapping[str, Any]) -> dict[str, Any]:
    """What a suggestion changes, under the names of the engine's spec."""
    names = LLAMACPP_NAMES if engine == LLAMACPP else {}
    return {names.get(flag, flag): value for flag, value in flags.items()}


def _on_first(model: ModelFiles, wish: PlanWish, cards: Sequence[Card]) -> MemoryPlan:
    """vLLM's plan on the GPUs that it takes, the first ones; the suggestions name others where those have more room."""
    wanted = wish.tensor_parallel_size * wish.pipeline_parallel_size
    found = plan(model, wish, cards[:wanted])
    if found.fits or len(cards) <= wanted:
        return found
    best = plan(model, wish, cards)  # it takes those with the most free memory
    if best.fits:
        names = ", ".join(map(str, best.gpus))
        other = Suggestion("other_gpus", {"gpus": list(best.gpus)}, {"names": names})
        return replace(found, suggestions=(other, *found.suggestions))
    return replace(found, suggestions=tuple(_named(one, wish, cards) for one in best.suggestions))


def _named(suggestion: Suggestion, wish: PlanWish, cards: Sequence[Card]) -> Suggestion:
    """A suggestion with the GPUs that it was planned for, where they are not those that vLLM takes by itself."""
    size = suggestion.flags.get("tensor_parallel_size", wish.tensor_parallel_size) * wish.pipeline_parallel_size
    best = sorted(sorted(cards, key=lambda card: -card.free_bytes)[:size], key=lambda card: card.index or 0)
    if not suggestion.flags or best == list(cards[:size]):
        return suggestion
    return replace(suggestion, flags={**suggestion.flags, "gpus": [card.index for card in best]})


def _offloaded(layers: int, model: ModelFiles, cards: list[Card]) -> list[Card]:
    """The cards that llama.cpp uses: all layers go there, or none."""
    if layers == 0 or not cards:
        return []
    if 0 < layers < len(model.architecture.layers):
        raise PlanUnknown(reason=N_("some layers stay on the processor; only all or none can be computed"))
    return cards
