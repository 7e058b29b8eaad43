"""What a model is made of, as far as memory is concerned: its layers, its heads, its experts, its states.

Plain frozen values, read from a config.json or a GGUF header. Counts are whole numbers, widths are numbers of elements.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Mixer = Literal["full", "window", "state", "none"]
"""How a layer looks at other tokens: at all of them, at those within the window, through a state, or not at all."""
Feed = Literal["dense", "experts", "none"]


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: how it mixes tokens, and what feeds forward in it."""

    mixer: Mixer = "full"
    feed: Feed = "dense"


@dataclass(frozen=True, slots=True)
class Latent:
    """Multi-head latent attention (DeepSeek): what is cached is one compressed vector a token, not keys and values."""

    rank: int
    rope_dim: int
    nope_dim: int
    value_dim: int
    query_rank: int | None = None


@dataclass(frozen=True, slots=True)
class Experts:
    """A mixture of experts. `shared_size`: width of what every token passes in addition; 0 for none."""

    count: int
    active: int
    size: int
    shared_size: int = 0


@dataclass(frozen=True, slots=True)
class StateSpace:
    """A layer that keeps a state of fixed size for each sequence: Mamba, Mamba 2, gated delta net.

    `weights` are the elements of one layer's matrices; `conv_elements` and `state_elements` are kept for each sequence.
    """

    kind: Literal["mamba", "mamba2", "delta"]
    inner: int
    weights: int
    conv_elements: int
    state_elements: int
    state_dtype: str | None = None
    """How the state is kept; None: like the cache."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """The shape of a language model."""

    model_type: str
    hidden: int
    layers: tuple[Layer, ...]
    heads: int
    kv_heads: int
    head_dim: int
    value_dim: int
    """Width of a value head; that of a key head is `head_dim`."""
    intermediate: int
    vocab: int
    context: int | None
    """The longest context that the model was made for, in tokens."""
    tied: bool = False
    """Whether the output layer is the embedding itself."""
    gated: bool = True
    """Whether a feed-forward part has three matrices (SwiGLU and the like) or two."""
    gated_attention: bool = False
    """Whether the queries carry a gate as wide as themselves (Qwen3-Next)."""
    window: int | None = None
    experts: Experts | None = None
    latent: Latent | None = None
    state: StateSpace | None = None
    other_elements: int = 0
    """Weights beside the language model, such as an image encoder."""

    def count(self, mixer: Mixer) -> int:
        """Layers that mix in this way."""
        return sum(layer.mixer == mixer for layer in self.layers)
