"""The plan itself: what each GPU holds, what that leaves, and what is always true of it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.core.errors import GpuMemoryUnknown, InvalidValue
from services.core.units import GIB, MIB
from services.gpu.readings import DriverState, GpuReading, HostReading, Snapshot
from services.hub.architecture import Architecture, Experts, Layer, Mixer
from services.hub.cards import Card, cards_of, host_of, imagined
from services.hub.model_files import ModelFiles, read_model
from services.hub.plan import plan
from services.hub.plan_types import PerGpu, PlanWish, Rule
from services.hub.quantisation import PLAIN
from services.hub.weights import parameters, stage_bytes, stages
from services.hub.working_memory import CONTEXT_BYTES
from tests.unit.hub_models import SMALL_LAYER, SMALL_PARAMETERS, small, small_gguf

SEVEN = {"num_hidden_layers": 28, "hidden_size": 3584, "num_attention_heads": 28, "num_key_value_heads": 4}
SEVEN |= {"intermediate_size": 18944, "vocab_size": 152064, "max_position_embeddings": 32768}
TABLE = 640 * 256


def held(model: ModelFiles, gib: float = 80, **wish: Any) -> PerGpu:
    asked = PlanWish(**wish)
    return plan(model, asked, imagined(asked.tensor_parallel_size * asked.pipeline_parallel_size, gib)).per_gpu


def codes(model: ModelFiles, wish: PlanWish, cards: tuple[Card, ...]) -> list[str]:
    return [reason.code for reason in plan(model, wish, cards).reasons]


def test_the_rule_of_thumb_is_parameters_times_bits_divided_by_eight() -> None:
    assert Rule(7_000_000_000, 32).bytes / GIB == pytest.approx(26.1, abs=0.05)
    assert Rule(7_000_000_000, 4).bytes / GIB == pytest.approx(3.3, abs=0.05)


def test_tensor_parallel_divides_matrices_and_repeats_what_cannot_be_divided(tmp_path: Path) -> None:
    model = small(tmp_path)
    two = 4 * (2 * 256 * 128 + 2 * 256 * 32 + 3 * 256 * 256 + 2 * 256) + 2 * 320 * 256
    assert held(model, tensor_parallel_size=2).weights_bytes == 2 * two
    # two key-value heads on four GPUs: one on each, so their matrices are there twice
    four = 4 * (2 * 256 * 64 + 2 * 256 * 32 + 3 * 256 * 128 + 2 * 256) + 2 * 160 * 256
    assert held(model, tensor_parallel_size=4).weights_bytes == 2 * four
    tokens = [held(model, tensor_parallel_size=size).kv_bytes_per_token for size in (1, 2, 4, 8)]
    assert tokens == [2 * 4 * heads * 32 * 2 for heads in (2, 1, 1, 1)]


def test_the_vocabulary_is_padded_to_a_multiple_of_64(tmp_path: Path) -> None:
    model = small(tmp_path, vocab_size=641)
    assert model.parameters == SMALL_PARAMETERS + 2 * 256
    assert held(model).weights_bytes == 2 * (SMALL_PARAMETERS + 2 * 64 * 256)


def test_the_heaviest_stage_of_a_pipeline_is_planned(tmp_path: Path) -> None:
    model = small(tmp_path, num_hidden_layers=5)
    assert [len(stage.layers) for stage in stages(model.architecture, 2)] == [3, 2]
    assert [len(stage.layers) for stage in stages(model.architecture, 4)] == [1, 1, 2, 1]
    one = held(model, pipeline_parallel_size=2)
    assert one.weights_bytes == 2 * (3 * SMALL_LAYER + TABLE)
    assert one.kv_bytes_per_token == 3 * 2 * 2 * 32 * 2
    tied = small(tmp_path, num_hidden_layers=2, tie_word_embeddings=True).architecture
    each = [stage_bytes(tied, stage, 1, PLAIN, Fraction(16)) for stage in stages(tied, 2)]
    assert each == [2 * (SMALL_LAYER + TABLE)] * 2  # a copy at either end


@pytest.mark.parametrize(("name", "bits"), [("awq", 4 + 20 / 128), ("fp8", 8), ("bitsandbytes", 4.5), ("int8", 8)])
def test_quantisation_narrows_matrices_and_leaves_the_vocabulary(tmp_path: Path, name: str, bits: float) -> None:
    matrices = 4 * (SMALL_LAYER - 2 * 256)
    wide = 2 * (4 * 2 * 256 + 2 * TABLE)
    assert held(small(tmp_path), quantization=name).weights_bytes == int(wide + matrices * bits / 8)


def test_a_narrower_cache_costs_less(tmp_path: Path) -> None:
    model = small(tmp_path)
    wide = held(model).kv_bytes_per_token
    assert held(model, kv_cache_dtype="fp8").kv_bytes_per_token * 2 == wide
    assert held(model, dtype="float32").kv_bytes_per_token == wide * 2
    assert held(model, dtype="float32", kv_cache_dtype="bfloat16").kv_bytes_per_token == wide


@pytest.mark.parametrize("wrong", [{"dtype": "int3"}, {"kv_cache_dtype": "tiny"}, {"quantization": "magic"}])
def test_a_word_that_no_engine_knows_is_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue, match=next(iter(wrong.values()))):
        held(small(tmp_path), **wrong)


def test_what_is_left_of_the_share_is_cache(tmp_path: Path) -> None:
    model, wish = small(tmp_path, **SEVEN), PlanWish(gpu_memory_utilization=0.8)
    found = plan(model, wish, imagined(1, 24))
    per = found.per_gpu
    assert per.budget_bytes == int(24 * GIB * 0.8)
    inside = per.weights_bytes + per.activation_bytes + per.overhead_bytes - CONTEXT_BYTES
    assert per.kv_available_bytes == per.budget_bytes - inside
    assert per.total_bytes == per.weights_bytes + per.kv_bytes + per.activation_bytes + per.overhead_bytes
    assert per.kv_bytes == 57344 * 32768
    assert found.kv_tokens == per.kv_available_bytes // (57344 * 16) * 16
    assert found.concurrency == pytest.approx(per.kv_available_bytes / (57344 * 32768))
    assert found.fits
    assert found.max_model_len_that_fits == 32768


def test_the_step_of_a_large_card_is_larger(tmp_path: Path) -> None:
    model = small(tmp_path, **SEVEN)
    forward = 2 * 3584 + 3 * 18944 + 3584
    assert held(model, gib=24, max_num_seqs=1).activation_bytes == 2048 * forward * 2
    assert held(model, gib=80, max_num_seqs=1).activation_bytes == 8192 * forward * 2
    assert held(model, gib=192, max_num_seqs=1).activation_bytes == 16384 * forward * 2
    assert held(model, gib=24, max_num_seqs=2000).activation_bytes == 2000 * 152064 * (2 + 12)
    a100 = [Card(80 * GIB, 80 * GIB, 0, "NVIDIA A100-SXM4-80GB")]
    assert plan(model, PlanWish(max_num_seqs=1), a100).per_gpu.activation_bytes == 2048 * forward * 2


def test_vllm_keeps_what_is_under_way_beyond_windows_and_states(tmp_path: Path) -> None:
    windows = small(tmp_path, model_type="mistral", sliding_window=64)
    assert held(windows, gib=24).kv_bytes == 4 * 256 * (4096 + 16)  # two steps of 2,048 are longer than the context
    long = small(tmp_path, model_type="mistral", sliding_window=64, max_position_embeddings=65536)
    kept = -(-(63 + 2 * 2048) // 16) * 16 + 16
    assert held(long, gib=24).kv_bytes == 4 * 256 * kept
    mamba = {"layer_types": ["mamba", "mamba", "attention", "mamba"], "mamba_n_heads": 8, "mamba_d_state": 16}
    state = ((512 + 2 * 16) * 3 + 512 * 16) * 2
    assert held(small(tmp_path, **mamba), gib=24).kv_bytes == 256 * 4096 + 2 * 3 * state


def test_graphs_can_be_left_out(tmp_path: Path) -> None:
    model = small(tmp_path, **SEVEN)
    assert held(model).overhead_bytes - held(model, enforce_eager=True).overhead_bytes == 28 * 16 * MIB


def test_too_little_for_the_context_gives_the_length_that_fits(tmp_path: Path) -> None:
    model = small(tmp_path, **(SEVEN | {"max_position_embeddings": 131072}))
    found = plan(model, PlanWish(), imagined(1, 20))
    assert (found.fits, found.reasons[0].code) == (False, "cache_too_small")
    assert found.max_model_len_that_fits == found.kv_tokens
    assert found.suggestions[0].flags == {"max_model_len": found.kv_tokens}
    again = plan(model, PlanWish(max_model_len=found.kv_tokens), imagined(1, 20))
    assert again.fits
    assert not plan(model, PlanWish(max_model_len=found.kv_tokens + 16), imagined(1, 20)).fits


def test_weights_that_do_not_fit_ask_for_another_way(tmp_path: Path) -> None:
    model = small(tmp_path, **SEVEN)
    alone = plan(model, PlanWish(), imagined(1, 12))
    assert alone.reasons[0].code == "weights_too_large"
    assert (alone.kv_tokens, alone.max_model_len_that_fits) == (0, 0)
    assert alone.suggestions[0].flags["quantization"] == "fp8"
    beside = plan(model, PlanWish(), imagined(2, 12))
    assert beside.suggestions[0].flags["tensor_parallel_size"] == 2
    hopeless = plan(model, PlanWish(), imagined(1, 2))
    assert [one.code for one in hopeless.suggestions] == ["another_gpu"]


def test_what_others_hold_is_subtracted(tmp_path: Path) -> None:
    model = small(tmp_path, **SEVEN)
    busy = (Card(24 * GIB, 20 * GIB, 0),)
    found = plan(model, PlanWish(), busy)
    assert [reason.code for reason in found.reasons] == ["free_below_share"]
    share = int(100 * (20 * GIB - CONTEXT_BYTES) / (24 * GIB)) / 100
    assert found.suggestions[0].flags == {"gpu_memory_utilization": share}
    assert plan(model, PlanWish(gpu_memory_utilization=share), busy).fits
    assert not plan(model, PlanWish(gpu_memory_utilization=share + 0.01), busy).fits


def test_of_several_gpus_the_emptiest_are_taken(tmp_path: Path) -> None:
    cards = tuple(Card(24 * GIB, free * GIB, index) for index, free in enumerate((5, 24, 3, 23)))
    assert plan(small(tmp_path), PlanWish(tensor_parallel_size=2), cards).gpus == (1, 3)


def test_the_poorest_gpu_decides(tmp_path: Path) -> None:
    model = small(tmp_path, **SEVEN)
    rich, poor = Card(24 * GIB, 24 * GIB, 0), Card(12 * GIB, 12 * GIB, 1)
    wish = PlanWish(tensor_parallel_size=2)
    assert plan(model, wish, (rich, poor)).kv_tokens == plan(model, wish, (poor, poor)).kv_tokens


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        (PlanWish(tensor_parallel_size=3), "heads_not_divisible"),
        (PlanWish(tensor_parallel_size=8), "too_few_gpus"),
        (PlanWish(pipeline_parallel_size=5), "too_many_stages"),
        (PlanWish(max_model_len=5000), "beyond_context"),
        (PlanWish(concurrency=1_000_000), "too_many_at_once"),
    ],
)
def test_what_cannot_start_is_said_with_a_way_out(tmp_path: Path, wish: PlanWish, code: str) -> None:
    model, cards = small(tmp_path), imagined(5, 24)
    found = plan(model, wish, cards)
    assert not found.fits
    assert code in codes(model, wish, cards)
    assert all(plan(model, replace(wish, **one.flags), cards).fits for one in found.suggestions if one.flags)


def test_a_gguf_takes_the_memory_of_the_host(tmp_path: Path) -> None:
    model = read_model(small_gguf(tmp_path / "a.gguf"))
    host = Card(8 * GIB, 2 * GIB)
    found = plan(model, PlanWish(concurrency=2), (), host)
    assert (found.fits, found.engine, found.place) == (True, "llama.cpp", "host")
    assert model.gguf is not None
    assert found.per_gpu.weights_bytes == model.gguf.bytes
    assert found.per_gpu.kv_bytes == 2 * 2048 * (2 * 2 * 2 * 32 * 2)
    tight = plan(model, PlanWish(), (), replace(host, free_bytes=10 * MIB))
    assert (tight.fits, tight.reasons[0].code) == (False, "memory_too_small")


def test_a_gguf_is_shared_out_among_gpus(tmp_path: Path) -> None:
    model = read_model(small_gguf(tmp_path / "a.gguf"))
    assert model.gguf is not None
    found = plan(model, PlanWish(), imagined(2, 1))
    assert (found.place, found.per_gpu.weights_bytes) == ("gpu", model.gguf.layers[1] + model.gguf.output)
    assert found.per_gpu.kv_bytes_per_token == 2 * 2 * 32 * 2
    first = plan(model, PlanWish(), (Card(GIB, GIB, 0), Card(2 * GIB, 2 * GIB, 1)))
    assert first.per_gpu.weights_bytes == model.gguf.layers[0]  # neither embedding nor output layer


def test_without_any_gpu_there_is_nothing_to_plan(tmp_path: Path) -> None:
    with pytest.raises(GpuMemoryUnknown):
        plan(small(tmp_path), PlanWish(), ())


def test_a_snapshot_gives_the_gpus_that_are_known() -> None:
    known = GpuReading(1, name="A", total_bytes=100, free_bytes=60, used_bytes=30, reserved_bytes=10)
    snapshot = Snapshot(0, DriverState(), (GpuReading(0, error="lost"), known), HostReading())
    assert cards_of(snapshot) == (Card(90, 60, 1, "A"),)
    assert host_of(snapshot) is None
    assert host_of(replace(snapshot, host=HostReading(memory_total_bytes=9, memory_used_bytes=4))) == Card(9, 5)


MIXERS: tuple[Mixer, ...] = ("full", "window")


@st.composite
def models(draw: st.DrawFn) -> ModelFiles:
    kv = draw(st.sampled_from([1, 2, 4, 8, 16]))
    shape = Architecture(
        model_type="any",
        hidden=draw(st.sampled_from([256, 1024, 4096])),
        layers=tuple(
            Layer(draw(st.sampled_from(MIXERS)), draw(st.sampled_from(["dense", "experts"])))
            for _ in range(draw(st.integers(1, 12)))
        ),
        heads=kv * draw(st.sampled_from([1, 2, 4])),
        kv_heads=kv,
        head_dim=128,
        value_dim=128,
        intermediate=draw(st.integers(64, 20_000)),
        vocab=draw(st.integers(100, 200_000)),
        context=8192,
        tied=draw(st.booleans()),
        window=draw(st.integers(1, 4096)),
        experts=Experts(8, 2, draw(st.integers(16, 4096))),
    )
    return ModelFiles("any", "config", shape, parameters(shape))


@settings(max_examples=60, deadline=None)
@given(model=models(), length=st.integers(1, 8000), more=st.integers(1, 192), gib=st.floats(1, 100))
def test_what_is_always_true(model: ModelFiles, length: int, more: int, gib: float) -> None:
    def per(**wish: Any) -> PerGpu:
        return held(model, gib, max_model_len=length, **wish)

    one = per()
    assert per(tensor_parallel_size=2).weights_bytes <= one.weights_bytes
    assert per(tensor_parallel_size=2).kv_bytes <= one.kv_bytes
    assert per(quantization="awq").weights_bytes < one.weights_bytes
    assert held(model, gib, max_model_len=length + more).total_bytes >= one.total_bytes
    assert per(concurrency=2).kv_bytes == 2 * one.kv_bytes
    found = plan(model, PlanWish(max_model_len=length), imagined(1, gib))
    assert found.fits == (one.kv_bytes <= one.kv_available_bytes)
    assert found.fits == (found.max_model_len_that_fits >= length)
    assert found.fits == (found.concurrency >= 1)
    for suggestion in found.suggestions:
        if suggestion.flags:
            assert plan(model, replace(PlanWish(max_model_len=length), **suggestion.flags), imagined(1, gib)).fits


@settings(max_examples=40, deadline=None)
@given(model=models(), parts=st.integers(1, 12))
def test_stages_hold_every_layer_once(model: ModelFiles, parts: int) -> None:
    found = stages(model.architecture, parts)
    assert tuple(layer for stage in found for layer in stage.layers) == model.architecture.layers
    counts = [len(stage.layers) for stage in found]
    assert max(counts) - min(counts) <= 1
    assert Fraction(sum(counts), parts) >= counts[-1]
