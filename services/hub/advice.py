"""Why a plan fits or does not, and what to change: codes with parameters, put into words only where they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from services.core.i18n import N_

REASONS = {
    "fits": N_(
        "It fits: {needed} of the {share} that the engine may use on each GPU. {available} are left for the KV cache: "
        "{concurrency} requests of {length} tokens at a time."
    ),
    "fits_llama": N_("It fits: {needed} of {free} free memory, with {count} × {length} tokens of context."),
    "weights_too_large": N_("The weights alone take {weights} on each GPU; the engine may use {share}."),
    "no_room_for_cache": N_(
        "Weights, activations and buffers take {needed} of the {share} that the engine may use on each GPU: "
        "nothing is left for the KV cache."
    ),
    "cache_too_small": N_(
        "One request of {length} tokens needs {needed} of KV cache, but {available} are left: "
        "enough for {tokens} tokens."
    ),
    "too_many_at_once": N_(
        "{count} requests of {length} tokens at a time need {needed} of KV cache, but {available} are left."
    ),
    "free_below_share": N_(
        "vLLM wants {share} free on GPU {gpu} when it starts ({percent} % of all its memory), "
        "but others hold {others}: {free} would be free."
    ),
    "memory_too_small": N_("It needs {needed}, but {free} are free."),
    "too_few_gpus": N_("{wanted_gpus} GPUs are wanted, {found} are there."),
    "heads_not_divisible": N_(
        "tensor_parallel_size {size} does not go with {heads} attention heads and {kv_heads} key-value heads."
    ),
    "too_many_stages": N_("{layers} layers cannot be cut into {size} pipeline stages."),
    "beyond_context": N_("The model was made for {context} tokens; vLLM refuses a max_model_len of {length}."),
    "quantisation_unknown": N_(
        "How the weights are quantised is not known, so they were counted in full width: it may need less."
    ),
}
SUGGESTIONS = {
    "shorter": N_("Set max_model_len to {max_model_len}."),
    "lower_share": N_(
        "Set gpu_memory_utilization to {gpu_memory_utilization}: as much as is free now. Raising it would not help."
    ),
    "higher_share": N_("Set gpu_memory_utilization to {gpu_memory_utilization}: the GPU has the memory free."),
    "narrow_cache": N_("Set kv_cache_dtype to {kv_cache_dtype}: each token then takes half."),
    "more_gpus": N_("Set tensor_parallel_size to {tensor_parallel_size}: the model is then divided among more GPUs."),
    "other_gpus": N_("Choose GPU {names}: more of its memory is free."),
    "fewer_parts": N_("Set tensor_parallel_size to {tensor_parallel_size}."),
    "quantise": N_("Set quantization to {quantization}, or use a version of the model that is quantised already."),
    "smaller_step": N_("Set max_num_seqs to {max_num_seqs} and enforce_eager: it takes less, and answers more slowly."),
    "fewer_at_once": N_("Plan for {concurrency} requests at a time: more of them wait for their turn."),
    "another_gpu": N_("Use GPUs with at least {memory} each, or a smaller model."),
    "more_memory": N_("Free memory until {memory} are free, or choose a smaller model or a shorter context."),
}
AND_SHORTER = N_("{first} Set max_model_len to {max_model_len} as well.")


class Say(Protocol):
    """Puts a template into the reader's language."""

    def __call__(self, message: str, /, **params: Any) -> str: ...


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason: a code of `REASONS`, and what fills its words."""

    code: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def words(self, say: Say) -> str:
        """In the reader's language."""
        return say(REASONS[self.code], **self.params)

    def row(self, say: Say) -> dict[str, Any]:
        """As JSON."""
        return {"code": self.code, "message": self.words(say), "params": dict(self.params)}


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One way that helps: a code of `SUGGESTIONS`, and the options to change."""

    code: str
    flags: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)

    def words(self, say: Say) -> str:
        """In the reader's language."""
        first = say(SUGGESTIONS[self.code], **self.flags, **self.params)
        if self.code == "shorter" or "max_model_len" not in self.flags:
            return first
        return say(AND_SHORTER, first=first, max_model_len=self.flags["max_model_len"])

    def row(self, say: Say) -> dict[str, Any]:
        """As JSON: the options beside code and words."""
        return {"code": self.code, "message": self.words(say), **self.flags}


def reason(code: str, /, **params: str | int) -> Reason:
    """A reason with its parameters."""
    return Reason(code, params)
