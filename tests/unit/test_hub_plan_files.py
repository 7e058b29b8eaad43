"""Files of models as they are found: folders with weights, GGUF headers, and files that are broken or mean harm."""

from __future__ import annotations

import json
import struct
import tracemalloc
from pathlib import Path

import pytest

from services.core.errors import ModelUnreadable, PathNotFound
from services.hub.cards import imagined
from services.hub.model_files import read_model
from services.hub.plan import plan
from services.hub.plan_types import PlanWish
from tests.unit.hub_models import (
    ARRAY,
    SMALL_PARAMETERS,
    STRING,
    entry,
    gguf,
    safetensors,
    small_gguf,
    tensor,
    text,
    written,
)


def weights(path: Path, **wish: object) -> int:
    """Planned bytes of weights on one large GPU."""
    return plan(read_model(path), PlanWish(**wish), imagined(1, 80)).per_gpu.weights_bytes  # type: ignore[arg-type]


def test_without_weights_the_shapes_of_the_config_are_counted(tmp_path: Path) -> None:
    written(tmp_path)
    assert weights(tmp_path) == 2 * SMALL_PARAMETERS
    assert weights(tmp_path, dtype="float32") == 4 * SMALL_PARAMETERS
    assert read_model(tmp_path).format == "config"


def test_headers_of_weights_are_believed_rather_than_the_config(tmp_path: Path) -> None:
    written(tmp_path)
    safetensors(tmp_path / "model.safetensors", {"a": ("BF16", [1000, 30]), "b": ("F32", [500])})
    found = read_model(tmp_path)
    assert (found.format, found.parameters) == ("safetensors", 30_500)
    assert weights(tmp_path) == 2 * 30_500  # vLLM loads float32 as 16 bit
    assert weights(tmp_path, dtype="float32") == 4 * 30_500


def test_what_is_not_loaded_is_not_counted(tmp_path: Path) -> None:
    written(tmp_path, tie_word_embeddings=True)
    shapes = {"model.layers.3.a": ("BF16", [100]), "model.layers.4.eh_proj": ("BF16", [10_000])}
    safetensors(tmp_path / "model.safetensors", {**shapes, "lm_head.weight": ("BF16", [10_000])})
    assert read_model(tmp_path).parameters == 100


def test_packed_weights_stay_as_they_are_on_the_disk(tmp_path: Path) -> None:
    written(tmp_path, quantization_config={"quant_method": "awq", "bits": 4, "group_size": 128})
    safetensors(tmp_path / "model.safetensors", {"q": ("I32", [1000]), "s": ("F16", [100]), "e": ("F16", [200])})
    assert weights(tmp_path) == weights(tmp_path, dtype="float32") == 4000 + 600
    assert read_model(tmp_path).parameters == SMALL_PARAMETERS  # what is packed is no count of weights


def test_all_shards_of_an_index_are_read_and_nothing_beside_them(tmp_path: Path) -> None:
    written(tmp_path)
    safetensors(tmp_path / "one.safetensors", {"a": ("BF16", [100])})
    safetensors(tmp_path / "two.safetensors", {"b": ("BF16", [200])})
    safetensors(tmp_path / "consolidated.safetensors", {"again": ("BF16", [300])})
    index = {"metadata": {"total_size": 9000}, "weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")
    assert read_model(tmp_path).parameters == 300
    (tmp_path / "two.safetensors").unlink()
    assert weights(tmp_path) == 9000  # a part is still on its way: what the index says


def test_an_index_leads_nowhere_else(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    written(folder)
    safetensors(tmp_path / "outside.safetensors", {"a": ("BF16", [100])})
    index = {"weight_map": {"a": "../outside.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")
    assert read_model(folder).format == "config"


def test_a_gguf_header_tells_everything(tmp_path: Path) -> None:
    found = read_model(small_gguf(tmp_path / "small.gguf"))
    shape = found.architecture
    assert (shape.hidden, shape.heads, shape.kv_heads, shape.head_dim, shape.vocab) == (256, 8, 2, 32, 640)
    assert (shape.context, shape.tied, len(shape.layers)) == (2048, False, 2)
    table, layer = 256 * 640 // 256 * 210, 256 * 512 // 256 * 144
    assert found.gguf is not None
    assert (found.gguf.layers, found.gguf.embedding) == ((layer, layer), table)
    assert found.gguf.output == table + 256 * 4
    assert found.parameters == 2 * 256 * 640 + 256 + 2 * 256 * 512


def test_a_gguf_may_have_other_heads_in_each_layer(tmp_path: Path) -> None:
    states = [entry("llama.attention.head_count_kv", [2, 0]), entry("llama.ssm.state_size", 16)]
    states += [entry("llama.ssm.inner_size", 512), entry("llama.ssm.conv_kernel", 4)]
    found = read_model(small_gguf(tmp_path / "hybrid.gguf", *states)).architecture
    assert [layer.mixer for layer in found.layers] == ["full", "state"]
    assert found.kv_heads == 2


def test_a_gguf_in_parts_is_one_model(tmp_path: Path) -> None:
    parts = [tmp_path / f"m-0000{number}-of-00002.gguf" for number in (1, 2)]
    small_gguf(parts[0], entry("split.count", 2))
    gguf(parts[1], [entry("split.count", 2)], [tensor("blk.1.more", 1, 1000)])
    found = read_model(tmp_path)
    assert found.gguf is not None
    assert found.gguf.layers[1] - found.gguf.layers[0] == 2000
    parts[1].unlink()
    with pytest.raises(ModelUnreadable) as caught:
        read_model(parts[0])
    assert parts[1].name in str(caught.value)


def head(tensors: int, entries: int, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, entries)


HUGE = 1 << 62
HOSTILE_GGUF = {
    "empty": b"",
    "no gguf": b"PK\x03\x04" + bytes(100),
    "cut short": head(1, 1)[:-3],
    "another version": head(0, 0, 99),
    "countless entries": head(0, HUGE),
    "countless tensors": head(HUGE, 0),
    "a text without end": head(0, 1) + struct.pack("<Q", HUGE),
    "a list without end": head(0, 1) + text("k") + struct.pack("<IIQ", ARRAY, STRING, HUGE),
    "numbers without end": head(0, 1) + text("k") + struct.pack("<IIQ", ARRAY, 4, HUGE),
    "lists of lists": head(0, 1) + text("k") + struct.pack("<IIQ", ARRAY, ARRAY, 1),
    "an unknown kind": head(0, 1) + text("k") + struct.pack("<I", 77),
    "an unknown tensor type": head(1, 0) + tensor("a", 999, 1),
    "too many dimensions": head(1, 0) + text("a") + struct.pack("<I", 1 << 30),
    "no model": head(0, 1) + entry("general.architecture", "clip"),
    "no layers": head(0, 1) + entry("general.architecture", "llama"),
    "too many layers": head(0, 2) + entry("general.architecture", "llama") + entry("llama.block_count", 1 << 31),
}


def refused(path: Path) -> int:
    """Bytes of memory that refusing a file took at most."""
    tracemalloc.start()
    try:
        with pytest.raises(ModelUnreadable, match=path.stem):
            read_model(path)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("content", HOSTILE_GGUF.values(), ids=HOSTILE_GGUF)
def test_a_broken_gguf_is_refused_without_taking_memory(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(content)
    assert refused(path) < 4 << 20


def test_a_gguf_with_millions_of_empty_tensors_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "zeros.gguf"
    with path.open("wb") as file:
        file.write(head(2_000_000, 0))
        file.truncate(64 << 20)
    assert refused(path) < 4 << 20


def header(length: int, body: bytes = b"") -> bytes:
    return struct.pack("<Q", length) + body


def one(entry_text: str) -> bytes:
    body = entry_text.encode()
    return header(len(body), body)


HOSTILE_SAFETENSORS = {
    "empty": b"",
    "cut short": b"\x01\x02",
    "longer than the file": header(1 << 40),
    "no JSON": header(4, b"abcd"),
    "a list": one("[1]"),
    "deep": one('{"a":' * 100_000),
    "no shape": one('{"a": {"dtype": "BF16"}}'),
    "an unknown type": one('{"a": {"dtype": "X", "shape": [1]}}'),
    "a type that is a list": one('{"a": {"dtype": [], "shape": [1]}}'),
    "a negative width": one('{"a": {"dtype": "BF16", "shape": [-5]}}'),
    "a width that is none": one('{"a": {"dtype": "BF16", "shape": [true]}}'),
    "too many dimensions": one('{"a": {"dtype": "BF16", "shape": [' + ",".join(["2"] * 99) + "]}}"),
}


@pytest.mark.parametrize("content", HOSTILE_SAFETENSORS.values(), ids=HOSTILE_SAFETENSORS)
def test_broken_weights_are_refused(tmp_path: Path, content: bytes) -> None:
    written(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelUnreadable) as caught:
        read_model(tmp_path)
    assert "model.safetensors" in str(caught.value)


HOSTILE_CONFIGS = {
    "no JSON": "{",
    "no object": "[]",
    "deep": "[" * 200_000,
    "empty": "{}",
    "no layers": '{"hidden_size": 64, "num_attention_heads": 2, "vocab_size": 9}',
    "too many layers": '{"num_hidden_layers": 1e12}',
    "a text": '{"num_hidden_layers": "many"}',
    "not whole": '{"num_hidden_layers": 2.5}',
    "negative": '{"num_hidden_layers": -2}',
    "no number": '{"num_hidden_layers": NaN}',
    "without end": '{"num_hidden_layers": Infinity}',
    "truth": '{"num_hidden_layers": true}',
    "no heads": '{"num_hidden_layers": 2, "hidden_size": 64, "vocab_size": 9, "num_attention_heads": 0}',
    "unknown layers": '{"num_hidden_layers": 1, "layer_types": ["magic"]}',
    "too few kinds": '{"num_hidden_layers": 3, "layer_types": ["full_attention"]}',
    "unknown letters": '{"hybrid_override_pattern": "MX"}',
    "letters without end": json.dumps({"hybrid_override_pattern": "M" * 100_000}),
}


@pytest.mark.parametrize("content", HOSTILE_CONFIGS.values(), ids=HOSTILE_CONFIGS)
def test_a_broken_config_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(content, "utf-8")
    with pytest.raises(ModelUnreadable) as caught:
        read_model(path)
    rendered = caught.value.render()
    assert rendered.message
    assert rendered.remedy
    assert len(rendered.message) < 200


def test_a_truth_is_no_number(tmp_path: Path) -> None:
    written(tmp_path, num_hidden_layers=True)
    with pytest.raises(ModelUnreadable, match="num_hidden_layers"):
        read_model(tmp_path)


def test_a_folder_without_a_model_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelUnreadable, match=r"config\.json"):
        read_model(tmp_path)
    with pytest.raises(PathNotFound):
        read_model(tmp_path / "nowhere")
    for name in ("a.gguf", "b.gguf"):
        small_gguf(tmp_path / name)
    with pytest.raises(ModelUnreadable, match="several"):
        read_model(tmp_path)
