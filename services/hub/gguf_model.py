"""A GGUF header as an `Architecture`. The names of its fields are those of llama.cpp."""

from __future__ import annotations

from services.core.i18n import N_
from services.hub.architecture import Architecture, Experts, Latent, Layer, Mixer, StateSpace
from services.hub.gguf import Header, Listing
from services.hub.numbers import MOST_LAYERS, Fields, Unreadable, needed, number

NO_LANGUAGE_MODEL = ("clip", "mmproj", "whisper", "sd", "flux")
WINDOW_EACH = {"gemma2": 2, "gemma3": 6, "gpt-oss": 2, "cohere2": 4, "llama4": 4}
"""Each how many-th layer sees everything, in models with a window."""
UNGATED = ("gpt2", "gptneox", "falcon", "phi2", "bloom", "mpt", "starcoder2", "nemotron", "nemotron_h")


def architecture_of(header: Header) -> Architecture:
    """The architecture that a header describes. Raises: Unreadable."""
    kind = str(header.metadata.get("general.architecture") or "")
    if not kind or kind in NO_LANGUAGE_MODEL:
        raise Unreadable(N_("it holds no language model"))
    begin = f"{kind}."
    fields = {key.removeprefix(begin): value for key, value in header.metadata.items() if key.startswith(begin)}
    count = needed(fields, "block_count", most=MOST_LAYERS)
    hidden = needed(fields, "embedding_length")
    per_layer = _kv_heads(fields, count)
    heads = _most(fields, "attention.head_count")
    head_dim = number(fields, "attention.key_length") or (hidden // heads if heads else 0)
    experts = _experts(fields, hidden)
    mixers = _mixers(fields, kind, per_layer)
    names = {tensor.name for tensor in header.tensors}
    return Architecture(
        model_type=kind,
        hidden=hidden,
        layers=tuple(Layer(mixer, "experts" if experts else "dense") for mixer in mixers),
        heads=heads,
        kv_heads=max(per_layer, default=0),
        head_dim=head_dim,
        value_dim=number(fields, "attention.value_length") or head_dim,
        intermediate=_most(fields, "feed_forward_length"),
        vocab=_vocab(header, fields),
        context=number(fields, "context_length"),
        tied="output.weight" not in names,
        gated=kind not in UNGATED,
        window=number(fields, "attention.sliding_window") or None,
        experts=experts,
        latent=_latent(fields),
        state=_state(fields) if "state" in mixers else None,
    )


def _most(fields: Fields, key: str) -> int:
    """A number, or the largest of one for each layer; 0 where there is none."""
    value = fields.get(key)
    if isinstance(value, list):
        return max((number({key: one}, key) or 0 for one in value), default=0)
    return number(fields, key) or 0


def _kv_heads(fields: Fields, count: int) -> list[int]:
    """Key-value heads of each layer; 0: it does not attend."""
    key = "attention.head_count_kv"
    value = fields.get(key)
    if isinstance(value, list):
        if len(value) < count:
            raise Unreadable(N_("it does not say {key}"), key=key)
        return [number({key: one}, key) or 0 for one in value[:count]]
    return [number(fields, key) or _most(fields, "attention.head_count")] * count


def _mixers(fields: Fields, kind: str, per_layer: list[int]) -> list[Mixer]:
    states = number(fields, "ssm.state_size")
    interval = number(fields, "full_attention_interval") if states else None
    window, each = number(fields, "attention.sliding_window"), WINDOW_EACH.get(kind)
    mixers: list[Mixer] = []
    for index, heads in enumerate(per_layer):
        if not heads or (interval and (index + 1) % interval):
            mixers.append("state" if states else "none")
        elif window and (each is None or (index + 1) % each):
            mixers.append("window")
        else:
            mixers.append("full")
    return mixers


def _vocab(header: Header, fields: Fields) -> int:
    tokens = header.metadata.get("tokenizer.ggml.tokens")
    counted = tokens.count if isinstance(tokens, Listing) else 0
    return number(fields, "vocab_size") or counted or 0


def _experts(fields: Fields, hidden: int) -> Experts | None:
    count = number(fields, "expert_count", most=1 << 16) or 0
    if count < 2:
        return None
    size = number(fields, "expert_feed_forward_length") or _most(fields, "feed_forward_length") or 4 * hidden
    return Experts(count, min(count, number(fields, "expert_used_count") or 1), size)


def _latent(fields: Fields) -> Latent | None:
    rank, rope = number(fields, "attention.kv_lora_rank"), number(fields, "rope.dimension_count")
    if not rank or not rope:
        return None
    key = number(fields, "attention.key_length_mla", "attention.key_length") or rope
    value = number(fields, "attention.value_length_mla", "attention.value_length") or rank
    return Latent(rank, rope, max(0, key - rope), value, number(fields, "attention.q_lora_rank"))


def _state(fields: Fields) -> StateSpace:
    inner, size = needed(fields, "ssm.inner_size"), needed(fields, "ssm.state_size")
    kernel, groups = needed(fields, "ssm.conv_kernel", most=1024), number(fields, "ssm.group_count") or 0
    # llama.cpp keeps convolution and state as float32
    return StateSpace("mamba2", inner, 0, (inner + 2 * groups * size) * (kernel - 1), inner * size, "float32")
