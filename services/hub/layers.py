"""Which layer of a model is of which kind, from the many ways in which configs say so.

Sources: the configuration classes of the transformers library, whose field names these are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from services.core.i18n import N_
from services.hub.architecture import Feed, Layer, Mixer
from services.hub.numbers import MOST_LAYERS, Fields, Unreadable, needed, number, wrong

MIXERS: dict[str, Mixer] = {
    "full_attention": "full",
    "attention": "full",
    "sliding_attention": "window",
    "chunked_attention": "window",
    "linear_attention": "state",
    "mamba": "state",
    "mamba2": "state",
}
NEMOTRON: dict[str, Layer] = {
    "M": Layer("state", "none"),
    "*": Layer("full", "none"),
    "-": Layer("none", "dense"),
    "E": Layer("none", "experts"),
}
"""The letters of `hybrid_override_pattern`."""
ALL_STATE = ("mamba", "mamba2", "falcon_mamba")
EVERY_OTHER_WINDOW = ("gemma2", "gpt_oss")
WINDOW_PATTERN = {"gemma3": 6, "gemma3_text": 6, "cohere2": 4}
"""Each how many-th layer sees everything, where the config does not say."""
WINDOW_ON_REQUEST = ("qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "qwen2_5_vl", "qwen2_vl")
"""Models whose `sliding_window` counts only with `use_sliding_window`."""


def layers_of(fields: Fields, model_type: str) -> tuple[Layer, ...]:
    """The layers of a config, first to last. Raises: Unreadable."""
    pattern = fields.get("hybrid_override_pattern")
    if isinstance(pattern, str):
        if not 0 < len(pattern) <= MOST_LAYERS:
            raise wrong("hybrid_override_pattern", pattern)
        return tuple(_letter(letter) for letter in pattern)
    count = needed(fields, "num_hidden_layers", "num_layers", "n_layer", "n_layers", most=MOST_LAYERS)
    mixer, feed = _mixers(fields, model_type, count), _feeds(fields, model_type, count)
    return tuple(Layer(mixer(index), feed(index)) for index in range(count))


def _letter(letter: str) -> Layer:
    if letter not in NEMOTRON:
        raise wrong("hybrid_override_pattern", letter)
    return NEMOTRON[letter]


def _mixers(fields: Fields, model_type: str, count: int) -> Callable[[int], Mixer]:
    named = fields.get("layer_types") or fields.get("layers_block_type")
    if isinstance(named, list):
        return _named(named, count)
    if model_type in ALL_STATE:
        return lambda index: "state"
    listed = fields.get("attn_layer_indices")
    if isinstance(listed, list):
        attending = _indices(listed)
        return lambda index: "full" if index in attending else "state"
    if period := number(fields, "full_attention_interval"):
        return _each(period, period - 1)
    if period := number(fields, "attn_layer_period"):
        return _each(period, number(fields, "attn_layer_offset") or 0)
    if not number(fields, "sliding_window", "attention_chunk_size"):
        return lambda index: "full"
    return _windows(fields, model_type)


def _each(period: int, offset: int) -> Callable[[int], Mixer]:
    return lambda index: "full" if index % period == offset else "state"


def _named(named: Sequence[object], count: int) -> Callable[[int], Mixer]:
    if len(named) < count:
        raise Unreadable(N_("it names {found} kinds of layer for {count} layers"), found=len(named), count=count)
    kinds: list[Mixer] = []
    for name in named[:count]:
        if not isinstance(name, str) or name not in MIXERS:
            raise wrong("layer_types", name)
        kinds.append(MIXERS[name])
    return lambda index: kinds[index]


def _windows(fields: Fields, model_type: str) -> Callable[[int], Mixer]:
    """Where a window is set, and nothing names the kinds."""
    if model_type in EVERY_OTHER_WINDOW:
        return lambda index: "window" if index % 2 == 0 else "full"
    period = number(fields, "sliding_window_pattern", "_sliding_window_pattern") or WINDOW_PATTERN.get(model_type)
    if period:
        return lambda index: "full" if (index + 1) % period == 0 else "window"
    if model_type in WINDOW_ON_REQUEST:
        first = number(fields, "max_window_layers") or 0
        wanted = fields.get("use_sliding_window") is True
        return lambda index: "window" if wanted and index >= first else "full"
    if "attention_chunk_size" in fields:  # Llama 4: each fourth layer has no positions and sees everything
        return lambda index: "full" if (index + 1) % 4 == 0 else "window"
    return lambda index: "window"


def _feeds(fields: Fields, model_type: str, count: int) -> Callable[[int], Feed]:
    if model_type in ALL_STATE:
        return lambda index: "none"
    if not expert_count(fields):
        return lambda index: "dense"
    listed = fields.get("moe_layer_freq")
    if isinstance(listed, list):
        return lambda index: "experts" if index < len(listed) and listed[index] else "dense"
    first = number(fields, "first_k_dense_replace", most=MOST_LAYERS) or 0
    step = number(fields, "decoder_sparse_step", "interleave_moe_layer_step", "moe_layer_freq") or 1
    period, offset = number(fields, "expert_layer_period") or 1, number(fields, "expert_layer_offset") or 0
    dense = _indices(fields.get("mlp_only_layers"))

    def feed(index: int) -> Feed:
        chosen = index >= first and index not in dense and index % period == offset % period
        return "experts" if chosen and (index + 1) % step == 0 else "dense"

    return feed


def _indices(listed: object) -> set[int]:
    return {one for one in listed if isinstance(one, int)} if isinstance(listed, list) else set()


def expert_count(fields: Fields) -> int:
    """How many experts a layer has; 0: it is no mixture of experts."""
    found = number(fields, "num_local_experts", "n_routed_experts", "num_experts", "moe_num_experts", most=1 << 16) or 0
    return found if found > 1 else 0
