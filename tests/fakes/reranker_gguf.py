"""A real reranker as a GGUF file of 110 KB: one layer of BERT whose weights were drawn by lot.

llama.cpp serves it like any other; its scores mean nothing, but are the same each time.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.unit.hub_models import entry, text

WIDTH, INNER, HEADS, CONTEXT, RANK = 32, 64, 4, 512, 4
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
WORDS = (
    *("the", "pump", "starts", "at", "six", "rent", "is", "due", "in", "may"),
    *("when", "does", "start", "koi", "fish", "a", "which"),
)
BOOL, INT32, ALIGNMENT = 7, 5, 32
Tensors = Mapping[str, NDArray[np.float32]]


def reranker_gguf(path: Path) -> Path:
    """Write the file."""
    tensors, entries = _tensors(), _entries()
    infos, body = b"", b""
    for name, values in tensors.items():
        shape = struct.pack(f"<I{values.ndim}Q", values.ndim, *reversed(values.shape))
        infos += text(name) + shape + struct.pack("<IQ", 0, len(body))
        body += _padded(values.tobytes())
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(entries)) + b"".join(entries) + infos
    path.write_bytes(_padded(head) + body)
    return path


def _entries() -> list[bytes]:
    tokens = [*SPECIAL, *(f"▁{word}" for word in WORDS)]
    kinds = [3, 2, 3, 3, *(1 for _ in WORDS)]
    sizes = {"context_length": CONTEXT, "embedding_length": WIDTH, "feed_forward_length": INNER, "block_count": 1}
    ids = {"bos": 2, "cls": 2, "eos": 3, "seperator": 3, "unknown": 1, "padding": 0}
    return [
        entry("general.architecture", "bert"),
        *(entry(f"bert.{name}", value) for name, value in sizes.items()),
        entry("bert.attention.head_count", HEADS),
        entry("bert.attention.layer_norm_epsilon", 1e-12),
        text("bert.attention.causal") + struct.pack("<I?", BOOL, False),
        entry("bert.pooling_type", RANK),
        entry("tokenizer.ggml.model", "bert"),
        entry("tokenizer.ggml.tokens", tokens),
        text("tokenizer.ggml.token_type") + struct.pack(f"<IIQ{len(kinds)}i", 9, INT32, len(kinds), *kinds),
        entry("tokenizer.ggml.token_type_count", 2),
        *(entry(f"tokenizer.ggml.{name}_token_id", number) for name, number in ids.items()),
    ]


def _tensors() -> Tensors:
    lot = np.random.default_rng(0)

    def drawn(*shape: int) -> NDArray[np.float32]:
        return (lot.standard_normal(shape) * 0.3).astype(np.float32)

    weights = {
        "token_embd": drawn(len(SPECIAL) + len(WORDS), WIDTH),
        "token_types": drawn(2, WIDTH),
        "position_embd": drawn(CONTEXT, WIDTH),
        **{f"blk.0.attn_{part}": drawn(WIDTH, WIDTH) for part in ("q", "k", "v", "output")},
        "blk.0.ffn_up": drawn(INNER, WIDTH),
        "blk.0.ffn_down": drawn(WIDTH, INNER),
        **dict.fromkeys(
            ("token_embd_norm", "blk.0.attn_output_norm", "blk.0.layer_output_norm"), np.ones(WIDTH, np.float32)
        ),
        "cls": drawn(WIDTH, WIDTH),
        "cls.output": drawn(1, WIDTH),
    }
    without = ("token_embd", "token_types", "position_embd")
    biases = {
        f"{name}.bias": np.zeros(values.shape[0], np.float32) for name, values in weights.items() if name not in without
    }
    return {**{f"{name}.weight": values for name, values in weights.items()}, **biases}


def _padded(raw: bytes) -> bytes:
    return raw + bytes(-len(raw) % ALIGNMENT)
