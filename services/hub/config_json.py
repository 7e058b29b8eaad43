"""A model's config.json, in whatever dialect, as an `Architecture`.

Sources: the configuration classes of the transformers library; ChatGLM's own names; for the matrices of Mamba, Mamba 2
and the gated delta net the modelling code of Jamba, Bamba and Qwen3-Next.
"""

from __future__ import annotations

from services.hub.architecture import Architecture, Experts, Latent, StateSpace
from services.hub.layers import expert_count, layers_of
from services.hub.numbers import MOST_LAYERS, Fields, needed, number, wrong

TEXT_PARTS = ("text_config", "llm_config", "language_config", "thinker_config")
OUTSIDE = ("tie_word_embeddings", "torch_dtype", "dtype", "quantization_config", "vision_config")
"""What may stand beside the nested part."""
UNGATED = (
    *("gpt2", "gpt_neox", "gptj", "gpt_bigcode", "falcon", "phi", "opt", "bloom", "mpt", "starcoder2"),
    *("nemotron", "nemotron_h"),
)
"""Models whose feed-forward parts have two matrices."""
TIED = ("gemma", "cohere", "gpt2", "gpt_bigcode", "opt", "bloom", "mpt", "falcon", "starcoder2")
"""Beginnings of model types that share embedding and output layer where their config is silent."""


def text_part(config: Fields) -> Fields:
    """The fields of the language model: a nested part of a multimodal config, with what only the outside says."""
    for key in TEXT_PARTS:
        part = config.get(key)
        if isinstance(part, dict):
            return {**{name: config[name] for name in OUTSIDE if name in config}, **text_part(part)}
    return config


def architecture_of(config: Fields) -> Architecture:
    """The architecture that a config describes. Raises: Unreadable."""
    fields = text_part(config)
    model_type = str(fields.get("model_type") or config.get("model_type") or "")
    layers = layers_of(fields, model_type)
    attends = any(layer.mixer in ("full", "window") for layer in layers)
    hidden = needed(fields, "hidden_size", "n_embd", "d_model", "dim")
    heads = needed(fields, *HEADS) if attends else number(fields, *HEADS) or 0
    head_dim = _head_dim(fields, hidden, heads)
    tied = fields.get("tie_word_embeddings")
    return Architecture(
        model_type=model_type,
        hidden=hidden,
        layers=layers,
        heads=heads,
        kv_heads=_kv_heads(fields, heads),
        head_dim=head_dim,
        value_dim=number(fields, "v_head_dim") or head_dim,
        intermediate=_intermediate(fields, hidden),
        vocab=needed(fields, "padded_vocab_size", "vocab_size", "n_vocab"),
        context=_context(fields),
        tied=tied if isinstance(tied, bool) else model_type.startswith(TIED),
        gated=model_type not in UNGATED,
        gated_attention=bool(fields.get("attn_output_gate", model_type.startswith(("qwen3_next", "qwen3_5")))),
        window=number(fields, "sliding_window", "attention_chunk_size"),
        experts=_experts(fields, model_type),
        latent=_latent(fields),
        state=_state(fields, model_type, hidden) if any(layer.mixer == "state" for layer in layers) else None,
        other_elements=_vision(fields.get("vision_config")),
    )


HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads")


def _head_dim(fields: Fields, hidden: int, heads: int) -> int:
    return number(fields, "head_dim", "kv_channels", "attention_head_dim") or (hidden // heads if heads else 0)


def _kv_heads(fields: Fields, heads: int) -> int:
    if fields.get("multi_query_attention") is True:
        return number(fields, "multi_query_group_num") or 1
    if fields.get("multi_query") is True and not fields.get("new_decoder_architecture"):
        return 1
    return number(fields, "num_key_value_heads", "num_kv_heads", "n_head_kv") or heads


def _intermediate(fields: Fields, hidden: int) -> int:
    own = number(fields, "intermediate_size_mlp", "intermediate_size", "ffn_hidden_size", "n_inner", "ffn_dim", "d_ff")
    return own if own is not None else 4 * hidden


def _context(fields: Fields) -> int | None:
    """The longest context; what YaRN and its like stretch is counted, as vLLM does."""
    keys = ("max_position_embeddings", "seq_length", "n_positions", "max_sequence_length", "max_seq_len", "n_ctx")
    own = number(fields, *keys)
    scaling = fields.get("rope_scaling") or fields.get("rope_parameters")
    if own is None or not isinstance(scaling, dict):
        return own
    kind, factor = scaling.get("rope_type", scaling.get("type")), scaling.get("factor")
    if kind not in ("yarn", "linear", "dynamic") or not isinstance(factor, int | float) or not 1 <= factor <= 1024:
        return own
    base = number(scaling, "original_max_position_embeddings") or own
    return max(own, int(base * factor))


def _experts(fields: Fields, model_type: str) -> Experts | None:
    count = expert_count(fields)
    if not count:
        return None
    size = needed(fields, "moe_intermediate_size", "expert_intermediate_size", "intermediate_size", "ffn_hidden_size")
    times = number(fields, "n_shared_experts", most=1024) or int(model_type.startswith("llama4"))
    shared = number(fields, "shared_expert_intermediate_size", "shared_intermediate_size") or times * size
    active = number(fields, "num_experts_per_tok", "num_experts_per_token", "moe_k", "top_k", most=1 << 16) or 1
    return Experts(count, min(active, count), size, shared)


def _latent(fields: Fields) -> Latent | None:
    rank = number(fields, "kv_lora_rank")
    if not rank:
        return None
    return Latent(
        rank=rank,
        rope_dim=needed(fields, "qk_rope_head_dim"),
        nope_dim=needed(fields, "qk_nope_head_dim"),
        value_dim=needed(fields, "v_head_dim"),
        query_rank=number(fields, "q_lora_rank") or None,
    )


def _state(fields: Fields, model_type: str, hidden: int) -> StateSpace:
    dtype = fields.get("mamba_ssm_cache_dtype") or fields.get("mamba_ssm_dtype")
    kept_as = dtype if isinstance(dtype, str) and dtype != "auto" else None
    if number(fields, "linear_num_value_heads"):
        return _delta(fields, hidden, kept_as)
    if model_type in ("jamba", "mamba", "falcon_mamba"):
        return _mamba(fields, hidden, kept_as)
    return _mamba2(fields, hidden, kept_as)


def _delta(fields: Fields, hidden: int, kept_as: str | None) -> StateSpace:
    """Gated delta net."""
    heads, width = needed(fields, "linear_num_value_heads"), needed(fields, "linear_value_head_dim")
    key_width = needed(fields, "linear_key_head_dim")
    keys, values = needed(fields, "linear_num_key_heads") * key_width, heads * width
    kernel = needed(fields, "linear_conv_kernel_dim", most=1024)
    channels = 2 * keys + values
    weights = hidden * (2 * keys + 2 * values + 2 * heads) + values * hidden + channels * kernel
    return StateSpace("delta", values, weights, channels * (kernel - 1), heads * key_width * width, kept_as)


def _mamba(fields: Fields, hidden: int, kept_as: str | None) -> StateSpace:
    inner = (number(fields, "mamba_expand", "expand", most=64) or 2) * hidden
    size = number(fields, "mamba_d_state", "state_size") or 16
    kernel = number(fields, "mamba_d_conv", "conv_kernel", most=1024) or 4
    given = fields.get("mamba_dt_rank", fields.get("time_step_rank"))
    rank = given if isinstance(given, int) and 0 < given <= hidden else -(-hidden // 16)
    weights = hidden * 2 * inner + inner * (rank + 2 * size) + rank * inner + inner * hidden + inner * (kernel + size)
    return StateSpace("mamba", inner, weights, inner * (kernel - 1), inner * size, kept_as)


def _mamba2(fields: Fields, hidden: int, kept_as: str | None) -> StateSpace:
    heads = needed(fields, "mamba_n_heads", "mamba_num_heads", "n_mamba_heads", "num_heads")
    expand = number(fields, "mamba_expand", "expand", most=64) or 2
    width = fields.get("mamba_d_head", fields.get("mamba_head_dim", fields.get("mamba_headdim")))
    own = width if isinstance(width, int) and 0 < width <= hidden * expand else None
    inner = heads * (own or number(fields, "head_dim") or max(1, expand * hidden // heads))
    size = needed(fields, "mamba_d_state", "ssm_state_size", "state_size")
    groups = number(fields, "mamba_n_groups", "n_groups", "mamba_ngroups", most=MOST_LAYERS) or 1
    kernel = number(fields, "mamba_d_conv", "conv_kernel", most=1024) or 4
    if inner > hidden * 64:
        raise wrong("mamba_n_heads", heads)
    channels = inner + 2 * groups * size
    weights = hidden * (inner + channels + heads) + inner * hidden + channels * kernel
    return StateSpace("mamba2", inner, weights, channels * (kernel - 1), inner * size, kept_as)


def _vision(part: object) -> int:
    """About what an image encoder weighs: attention and feed-forward of each of its layers."""
    if not isinstance(part, dict):
        return 0
    depth = number(part, "num_hidden_layers", "depth", most=MOST_LAYERS)
    hidden = number(part, "embed_dim", "hidden_size")
    if not depth or not hidden:
        return 0
    inner = number(part, "intermediate_size") or (number(part, "mlp_ratio", most=64) or 4) * hidden
    matrices = 3 if part.get("hidden_act") == "silu" else 2
    return depth * (4 * hidden * hidden + matrices * hidden * inner)
