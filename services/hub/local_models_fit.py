"""Would it run here? A model that is on the disk is planned; of any other the rule of thumb says what it can.

Against the memory as it is free now: what others hold is not there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from services.core.errors import AppError
from services.hub.cards import Card
from services.hub.catalogue import Entry
from services.hub.local_models import LocalModel
from services.hub.model_files import ModelFiles, read_model
from services.hub.plan import plan, tensor_parallel_for
from services.hub.plan_types import PlanWish

Verdict = Literal["fits", "changed", "no", "unknown"]
"""changed: with the changes that the plan suggests. unknown: nothing here could tell."""
CHANGES = {"max_model_len", "gpu_memory_utilization", "kv_cache_dtype", "max_num_seqs", "enforce_eager"}
"""What may be changed without taking another model or another card."""
ROOM = 1.2
"""What a model needs at least beside its weights, for the rule of thumb: a little cache, buffers, activations."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A verdict, the GPUs that it takes (0: none), and the options with which it fits where it needs them."""

    verdict: Verdict
    gpus: int = 0
    choices: Mapping[str, Any] = field(default_factory=dict)
    planned: bool = False
    """Whether it was planned from the model's files; else it is the rule of thumb."""


def of_model(model: LocalModel, cards: Sequence[Card], host: Card | None) -> Fit:
    """Whether a model on the disk would run now. Reads its headers."""
    facts = model.facts
    if facts.error:
        return Fit("unknown")
    if facts.use != "chat" or model.source == "ollama":
        return _by_rule(model.bytes, cards, host, on_host=True)
    try:
        files = read_model(model.path)
        return _planned(files, cards, host)
    except AppError:  # an engine that has to have a GPU, and there is none; or a quantisation that nobody knows
        return Fit("unknown")


def of_entry(entry: Entry, cards: Sequence[Card], host: Card | None) -> Fit:
    """Whether a model of the catalogue would run now, by the rule of thumb."""
    return _by_rule(entry.bytes, cards, host, on_host=entry.format == "gguf" or entry.use != "chat")


def _planned(files: ModelFiles, cards: Sequence[Card], host: Card | None) -> Fit:
    changed: Fit | None = None
    for size in _sizes(files, len(cards)):
        found = plan(files, PlanWish(tensor_parallel_size=size), cards, host)
        gpus = 0 if found.place == "host" else len(found.gpus)
        if found.fits:
            return Fit("fits", gpus, planned=True)
        helps = next((one.flags for one in found.suggestions if one.flags and one.flags.keys() <= CHANGES), None)
        if helps and changed is None:
            changed = Fit("changed", gpus, helps, planned=True)
    return changed or Fit("no", planned=True)


def _sizes(files: ModelFiles, cards: int) -> list[int]:
    """Numbers of GPUs that can share the model, the fewest first."""
    if files.gguf:
        return [1]
    return sorted({1, *(tensor_parallel_for(files, count) for count in range(2, cards + 1))})


def _by_rule(weights_bytes: int, cards: Sequence[Card], host: Card | None, *, on_host: bool) -> Fit:
    needed = weights_bytes * ROOM
    free = sorted((card.free_bytes for card in cards), reverse=True)
    for count in (1, 2, 4, 8):
        if len(free) >= count and free[count - 1] * count >= needed:
            return Fit("fits", count)
    if on_host and host and host.free_bytes >= needed:
        return Fit("fits")
    return Fit("no" if cards or (on_host and host) else "unknown")
