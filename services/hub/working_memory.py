"""What an engine takes beside weights and cache: activations, CUDA graphs, its contexts. Estimates, and from where.

Activations are counted from what vLLM's profiling run keeps at a time: the widest layer over one step's tokens, or the
sampler over one step's sequences, whichever is more. The step is that of vLLM's API server
(`EngineArgs.get_batch_defaults`). What no shape tells is an allowance: see docs/adr/0010-memory-plan.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from services.core.units import GIB, MIB
from services.hub.architecture import Architecture, Layer
from services.hub.weights import Stage, kv_heads_per_gpu, up

LARGE_CARD_BYTES, HUGE_CARD_BYTES = 70 * GIB, 160 * GIB
CONTEXT_BYTES = 400 * MIB
"""A CUDA context; taken before the engine looks how much is free, so it stands outside of its share."""
OUTSIDE_TORCH_BYTES = 256 * MIB
"""Libraries' buffers."""
COMMUNICATION_BYTES = 256 * MIB
"""Buffers of NCCL and of all-reduce, where GPUs work together."""
GRAPH_BYTES_PER_LAYER = 16 * MIB
LLAMA_STEP_TOKENS = 512
"""llama.cpp's physical batch."""
LLAMA_OUTSIDE_BYTES = 128 * MIB


@dataclass(frozen=True, slots=True)
class Step:
    """The most that one step of an engine takes on: tokens, and sequences that each want a next token."""

    tokens: int
    sequences: int


def vllm_step(total_bytes: int, card_name: str | None, length: int, tokens: int | None, sequences: int | None) -> Step:
    """vLLM's step on a card, what was asked for first."""
    huge = total_bytes >= HUGE_CARD_BYTES
    large = huge or (total_bytes >= LARGE_CARD_BYTES and "a100" not in (card_name or "").lower())
    most = sequences or (1024 if large else 256)
    step = tokens or (16384 if huge else 8192 if large else 2048)
    return Step(min(step, most * length), min(most, step))


def activations(architecture: Architecture, stage: Stage, tensor_parallel: int, step: Step, bits: Fraction) -> int:
    """Bytes at the peak of one step on each GPU of a stage."""
    widest = max((_width(architecture, layer, tensor_parallel) for layer in set(stage.layers)), default=0)
    forward = step.tokens * (2 * architecture.hidden + widest) * bits / 8
    # logits, their copy as float32, probabilities, and the noise that one of them is drawn with
    sampler = step.sequences * architecture.vocab * (bits / 8 + 3 * 4) if stage.last else Fraction(0)
    return int(max(forward, sampler))


def _width(architecture: Architecture, layer: Layer, tensor_parallel: int) -> int:
    """Elements for each token while a layer works, its inputs not counted."""
    return max(_mixer_width(architecture, layer, tensor_parallel), _feed_width(architecture, layer, tensor_parallel))


def _mixer_width(architecture: Architecture, layer: Layer, tensor_parallel: int) -> int:
    if layer.mixer == "state" and architecture.state:
        return 4 * up(architecture.state.inner, tensor_parallel) + architecture.hidden
    if layer.mixer == "none":
        return 0
    heads = up(architecture.heads, tensor_parallel)
    if architecture.latent:
        latent = architecture.latent
        return heads * (3 * (latent.nope_dim + latent.rope_dim) + latent.value_dim) + architecture.hidden
    cached = kv_heads_per_gpu(architecture, tensor_parallel) * (architecture.head_dim + architecture.value_dim)
    return heads * (architecture.head_dim + architecture.value_dim) + cached + architecture.hidden


def _feed_width(architecture: Architecture, layer: Layer, tensor_parallel: int) -> int:
    hidden = architecture.hidden
    if layer.feed == "experts" and architecture.experts:
        experts = architecture.experts
        size = up(experts.size, tensor_parallel)
        # vLLM's fused kernel: the first and the last product share one buffer, what lies between has its own
        routed = experts.active * (max(2 * size, hidden) + size)
        return routed + hidden + 3 * up(experts.shared_size, tensor_parallel)
    if layer.feed == "dense":
        return (3 if architecture.gated else 2) * up(architecture.intermediate, tensor_parallel) + hidden
    return 0


def graph_bytes(stage: Stage) -> int:
    """Captured CUDA graphs on each GPU of a stage."""
    return GRAPH_BYTES_PER_LAYER * len(stage.layers)


def llama_compute(architecture: Architecture) -> int:
    """llama.cpp's compute buffer: one physical batch through the widest layer and the output, as float32."""
    widest = max((_feed_width(architecture, layer, 1) for layer in set(architecture.layers)), default=0)
    return LLAMA_STEP_TOKENS * 4 * (architecture.vocab + 2 * architecture.hidden + widest)
