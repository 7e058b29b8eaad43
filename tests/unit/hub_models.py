"""Models that the tests of the memory plan write themselves: configs, safetensors headers, GGUF headers."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from services.hub.model_files import ModelFiles, read_model

SMALL: dict[str, Any] = {
    "model_type": "llama",
    "num_hidden_layers": 4,
    "hidden_size": 256,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "intermediate_size": 512,
    "vocab_size": 640,
    "max_position_embeddings": 4096,
    "torch_dtype": "bfloat16",
    "tie_word_embeddings": False,
}
"""Llama's shape in small: heads of 32, all widths multiples of 64."""
SMALL_LAYER = 2 * 256 * 256 + 2 * 256 * 64 + 3 * 256 * 512 + 2 * 256
"""Queries and output, keys and values, feed-forward, two norms."""
SMALL_PARAMETERS = 4 * SMALL_LAYER + 2 * 640 * 256

UINT32, FLOAT32, STRING, ARRAY = 4, 6, 8, 9


def written(folder: Path, **changes: Any) -> Path:
    """A config of the small model with some fields changed; a field of None is left out."""
    fields = {key: value for key, value in {**SMALL, **changes}.items() if value is not None}
    path = folder / "config.json"
    path.write_text(json.dumps(fields), "utf-8")
    return path


def small(folder: Path, **changes: Any) -> ModelFiles:
    """The same, read."""
    return read_model(written(folder, **changes))


def safetensors(path: Path, tensors: dict[str, tuple[str, list[int]]]) -> None:
    """A file with a header and nothing behind it."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    header |= {
        name: {"dtype": dtype, "shape": shape, "data_offsets": [0, 0]} for name, (dtype, shape) in tensors.items()
    }
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text)


def text(value: str) -> bytes:
    """A text as GGUF keeps it."""
    return struct.pack("<Q", len(value.encode())) + value.encode()


def entry(key: str, value: int | float | str | list[int] | list[str]) -> bytes:
    """One entry of a GGUF header's metadata."""
    if isinstance(value, str):
        return text(key) + struct.pack("<I", STRING) + text(value)
    if isinstance(value, float):
        return text(key) + struct.pack("<If", FLOAT32, value)
    if isinstance(value, int):
        return text(key) + struct.pack("<II", UINT32, value)
    kind = STRING if value and isinstance(value[0], str) else UINT32
    items = b"".join(text(one) if isinstance(one, str) else struct.pack("<I", one) for one in value)
    return text(key) + struct.pack("<IIQ", ARRAY, kind, len(value)) + items


def tensor(name: str, kind: int, *shape: int) -> bytes:
    """One entry of a GGUF header's tensors."""
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, 0)


def gguf(path: Path, entries: list[bytes], tensors: list[bytes], version: int = 3) -> Path:
    """A GGUF file with a header and nothing behind it."""
    start = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(entries))
    path.write_bytes(start + b"".join(entries) + b"".join(tensors))
    return path


def small_gguf(path: Path, *more: bytes, tied: bool = False) -> Path:
    """Two layers of 256 with 8 heads, 2 of them for keys and values; Q4_K layers, Q6_K embedding."""
    entries = [
        entry("general.architecture", "llama"),
        entry("llama.block_count", 2),
        entry("llama.embedding_length", 256),
        entry("llama.feed_forward_length", 512),
        entry("llama.attention.head_count", 8),
        entry("llama.attention.head_count_kv", 2),
        entry("llama.context_length", 2048),
        entry("tokenizer.ggml.tokens", [f"t{number}" for number in range(640)]),
        *more,
    ]
    tensors = [tensor("token_embd.weight", 14, 256, 640), tensor("output_norm.weight", 0, 256)]
    tensors += [] if tied else [tensor("output.weight", 14, 256, 640)]
    tensors += [tensor(f"blk.{layer}.ffn_up.weight", 12, 256, 512) for layer in range(2)]
    return gguf(path, entries, tensors)
