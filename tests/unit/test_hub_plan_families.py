"""Each family of models: its layers, what a token costs in each of them, and how many weights it has."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from services.hub.architecture import Architecture
from services.hub.cache import Cache, cache_of
from services.hub.model_files import read_model
from services.hub.plan_types import PlanWish
from services.hub.vllm_memory import scheme_of
from services.hub.weights import layer_matrices, parameters
from tests.unit.hub_models import SMALL_LAYER, SMALL_PARAMETERS, small


def cache(architecture: Architecture, tensor_parallel: int = 1, step: int = 64) -> Cache:
    return cache_of(architecture, architecture.layers, tensor_parallel, Fraction(16), step)


def mixers(architecture: Architecture) -> str:
    """The layers by the first letters of what they do."""
    return "".join(layer.mixer[0] for layer in architecture.layers)


def layer_elements(architecture: Architecture, index: int) -> int:
    return sum(part.elements for part in layer_matrices(architecture, architecture.layers[index], 1))


def test_llama_counts_its_weights_and_the_bytes_of_a_token(tmp_path: Path) -> None:
    found = small(tmp_path).architecture
    assert (found.heads, found.kv_heads, found.head_dim, found.context) == (8, 2, 32, 4096)
    assert parameters(found) == SMALL_PARAMETERS
    assert cache(found).token_bytes == 2 * 4 * 2 * 32 * 2


def test_a_head_may_be_wider_than_its_part_of_the_hidden_size(tmp_path: Path) -> None:
    found = small(tmp_path, head_dim=64).architecture
    assert cache(found).token_bytes == 2 * 4 * 2 * 64 * 2
    assert layer_elements(found, 0) == 256 * 64 * (8 + 2 + 2 + 8) + 3 * 256 * 512 + 512


def test_published_models_have_the_weights_that_their_cards_say(tmp_path: Path) -> None:
    qwen = {"model_type": "qwen2", "num_hidden_layers": 28, "hidden_size": 3584, "num_attention_heads": 28}
    qwen |= {"num_key_value_heads": 4, "intermediate_size": 18944, "vocab_size": 152064}
    found = small(tmp_path, **qwen)
    assert found.parameters / 1e9 == pytest.approx(7.62, abs=0.01)  # the model card of Qwen2.5-7B
    mixtral = {"model_type": "mixtral", "num_hidden_layers": 32, "hidden_size": 4096, "num_attention_heads": 32}
    mixtral |= {"num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 32000, "num_local_experts": 8}
    assert small(tmp_path, **mixtral).parameters / 1e9 == pytest.approx(46.7, abs=0.05)


def test_chatglm_has_its_own_names(tmp_path: Path) -> None:
    fields: dict[str, Any] = {
        "model_type": "chatglm",
        "num_layers": 28,
        "hidden_size": 4096,
        "ffn_hidden_size": 13696,
        "num_attention_heads": 32,
        "kv_channels": 128,
        "multi_query_attention": True,
        "multi_query_group_num": 2,
        "padded_vocab_size": 65024,
        "seq_length": 8192,
        "tie_word_embeddings": False,
    }
    path = tmp_path / "chatglm.json"
    path.write_text(json.dumps(fields), "utf-8")
    found = read_model(path)
    assert cache(found.architecture).token_bytes == 2 * 28 * 2 * 128 * 2
    assert found.architecture.context == 8192
    assert found.parameters / 1e9 == pytest.approx(6.24, abs=0.01)


def test_experts_are_counted_in_the_layers_that_have_them(tmp_path: Path) -> None:
    moe = {"num_experts": 16, "num_experts_per_tok": 4, "moe_intermediate_size": 128, "model_type": "qwen3_moe"}
    found = small(tmp_path, **moe, decoder_sparse_step=2, mlp_only_layers=[1]).architecture
    assert [layer.feed for layer in found.layers] == ["dense", "dense", "dense", "experts"]
    attention = SMALL_LAYER - 3 * 256 * 512
    assert layer_elements(found, 3) == attention + 16 * 3 * 256 * 128 + 256 * 16


def test_latent_attention_caches_one_vector_whatever_the_parallelism(tmp_path: Path) -> None:
    latent = {"kv_lora_rank": 64, "qk_rope_head_dim": 16, "qk_nope_head_dim": 32, "v_head_dim": 32, "q_lora_rank": 96}
    experts = {"n_routed_experts": 8, "n_shared_experts": 2, "moe_intermediate_size": 64, "first_k_dense_replace": 1}
    found = small(tmp_path, model_type="deepseek_v3", **latent, **experts).architecture
    for tensor_parallel in (1, 2, 8):
        assert cache(found, tensor_parallel).token_bytes == 4 * (64 + 16) * 2
    attention = 256 * 96 + 96 * 8 * (32 + 16) + 256 * (64 + 16) + 64 * 8 * (32 + 32) + 8 * 32 * 256
    assert layer_elements(found, 0) == attention + 3 * 256 * 512 + 512
    assert layer_elements(found, 1) == attention + 256 * 8 + 8 * 3 * 256 * 64 + 3 * 256 * 2 * 64 + 512


def test_gemma_2_alternates_windows_and_ties_its_embedding(tmp_path: Path) -> None:
    found = small(tmp_path, model_type="gemma2", sliding_window=128, tie_word_embeddings=None).architecture
    assert (mixers(found), found.tied) == ("wfwf", True)
    assert parameters(found) == SMALL_PARAMETERS - 640 * 256
    each = 2 * 2 * 32 * 2
    held = cache(found, step=64)
    assert held.token_bytes == 4 * each
    kept = 192 + 16  # window - 1 + step, in blocks of 16, and one block more
    assert held.needed(4096) == 2 * each * 4096 + 2 * each * kept
    assert held.needed(100) == 2 * each * 112 + 2 * each * (112 + 16)  # shorter than the window: nothing is given back


def test_gemma_3_sees_everything_in_each_sixth_layer_and_nests_its_text_model(tmp_path: Path) -> None:
    text = {"model_type": "gemma3_text", "num_hidden_layers": 12, "hidden_size": 256, "num_attention_heads": 8}
    text |= {"num_key_value_heads": 2, "intermediate_size": 512, "vocab_size": 640, "sliding_window": 64}
    outside = {"model_type": "gemma3", "text_config": text, "torch_dtype": "float16", "vocab_size": 1}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(outside), "utf-8")
    found = read_model(path)
    assert mixers(found.architecture) == "wwwwwf" * 2
    assert (found.dtype, found.architecture.vocab, found.architecture.tied) == ("float16", 640, True)


def test_an_image_encoder_is_counted_beside_the_language_model(tmp_path: Path) -> None:
    vision = {"depth": 2, "hidden_size": 128, "intermediate_size": 256, "hidden_act": "silu"}
    found = small(tmp_path, vision_config=vision)
    assert found.parameters == SMALL_PARAMETERS + 2 * (4 * 128 * 128 + 3 * 128 * 256)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"model_type": "mistral", "sliding_window": 1024}, "wwww"),
        ({"model_type": "mistral", "sliding_window": None}, "ffff"),
        ({"model_type": "qwen2", "sliding_window": 1024, "use_sliding_window": False}, "ffff"),
        ({"model_type": "qwen2", "sliding_window": 9, "use_sliding_window": True, "max_window_layers": 3}, "fffw"),
        ({"model_type": "gpt_oss", "sliding_window": 128}, "wfwf"),
        ({"model_type": "cohere2", "sliding_window": 128}, "wwwf"),
        ({"layer_types": ["sliding_attention", "full_attention"] * 2, "sliding_window": 9}, "wfwf"),
        ({"layer_types": ["mamba", "mamba", "attention", "mamba"], "mamba_n_heads": 8, "mamba_d_state": 16}, "ssfs"),
        ({"model_type": "bamba", "attn_layer_indices": [1], "mamba_n_heads": 8, "mamba_d_state": 16}, "sfss"),
    ],
)
def test_the_kinds_of_layers_are_found(tmp_path: Path, changes: dict[str, Any], expected: str) -> None:
    assert mixers(small(tmp_path, **changes).architecture) == expected


def test_jamba_keeps_a_state_for_each_sequence(tmp_path: Path) -> None:
    jamba = {"model_type": "jamba", "attn_layer_period": 4, "attn_layer_offset": 2, "mamba_expand": 2}
    jamba |= {
        "mamba_d_state": 16,
        "mamba_d_conv": 4,
        "num_experts": 4,
        "expert_layer_period": 2,
        "expert_layer_offset": 1,
    }
    found = small(tmp_path, **jamba).architecture
    assert mixers(found) == "ssfs"
    assert [layer.feed for layer in found.layers] == ["dense", "experts", "dense", "experts"]
    held, wide = cache(found), cache_of(found, found.layers, 1, Fraction(32), 64)
    assert held.token_bytes == 2 * 1 * 2 * 32 * 2
    assert wide.state_bytes == 2 * held.state_bytes
    assert cache_of(found, found.layers, 1, Fraction(8), 64).state_bytes == held.state_bytes  # only the tokens narrow
    state = (512 * 3 + 512 * 16) * 2  # convolution of 4, state of 16, for 512 channels
    assert held.needed(1000, 3) == 3 * (1008 * 256 + 3 * state)


def test_qwen3_next_attends_in_each_fourth_layer(tmp_path: Path) -> None:
    delta = {"model_type": "qwen3_next", "full_attention_interval": 4, "linear_num_value_heads": 8}
    delta |= {"linear_num_key_heads": 4, "linear_key_head_dim": 32, "linear_value_head_dim": 32}
    delta |= {"linear_conv_kernel_dim": 4, "mamba_ssm_dtype": "float32"}
    found = small(tmp_path, **delta).architecture
    assert mixers(found) == "sssf"
    assert found.gated_attention
    conv, state = (2 * 128 + 256) * 3 * 2, 8 * 32 * 32 * 4  # the state stays float32, as the config says
    assert cache(found).needed(16) == 16 * 256 + 3 * (conv + state)


def test_nemotron_h_spells_its_layers(tmp_path: Path) -> None:
    pattern: dict[str, Any] = {"model_type": "nemotron_h", "hybrid_override_pattern": "M-M*", "num_hidden_layers": None}
    pattern |= {"mamba_num_heads": 8, "mamba_head_dim": 64, "ssm_state_size": 16, "n_groups": 2, "conv_kernel": 4}
    found = small(tmp_path, **pattern).architecture
    assert mixers(found) == "snsf"
    assert [layer.feed for layer in found.layers] == ["none", "dense", "none", "none"]
    inner, channels = 8 * 64, 8 * 64 + 2 * 2 * 16
    assert layer_elements(found, 0) == 256 * (inner + channels + 8) + inner * 256 + channels * 4 + 2 * 256
    assert layer_elements(found, 1) == 2 * 256 * 512 + 2 * 256  # two matrices: no gate
    assert cache(found).needed(16) == 16 * 256 + 2 * (channels * 3 + inner * 16) * 2


def test_a_context_that_is_stretched_counts_as_stretched(tmp_path: Path) -> None:
    yarn = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 4096}
    assert small(tmp_path, rope_scaling=yarn).architecture.context == 16384
    llama3 = {"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 1024}
    assert small(tmp_path, rope_scaling=llama3).architecture.context == 4096


def compressed(**weights: object) -> dict[str, Any]:
    return {"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": weights}}}


@pytest.mark.parametrize(
    ("config", "bits"),
    [
        ({"quant_method": "awq", "bits": 4, "group_size": 128}, 4 + 20 / 128),
        ({"quant_method": "gptq", "bits": 8, "group_size": 32}, 8 + 24 / 32),
        ({"quant_method": "gptq", "bits": 4, "group_size": -1}, 4),
        ({"quant_method": "fp8"}, 8),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, 4.5),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, 8),
        (
            {"quant_method": "compressed-tensors", "config_groups": {"g": {"weights": {"num_bits": 8, "type": "int"}}}},
            8,
        ),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"g": {"weights": {"num_bits": 4, "group_size": 128, "symmetric": True}}},
            },
            4 + 16 / 128,
        ),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, 4.5),
    ],
)
def test_a_config_tells_its_quantisation(tmp_path: Path, config: dict[str, Any], bits: float) -> None:
    found = small(tmp_path, quantization_config=config)
    scheme = scheme_of(found, PlanWish())
    assert found.quantised
    assert float(scheme.linear_bits or 0) == pytest.approx(bits)
    assert scheme.rest_bits is None  # embedding and output layer stay as wide as they were


def test_an_unknown_quantisation_is_known_to_be_one(tmp_path: Path) -> None:
    assert small(tmp_path, quantization_config={"quant_method": "tomorrow"}).scheme is None
