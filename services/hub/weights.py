"""How many bytes of weights each GPU holds: from the shapes of a model, divided as vLLM divides them.

Tensor parallel: query, output and feed-forward matrices are cut into equal parts, so are experts (each one across its
width) and the padded vocabulary; keys and values too, but never below one head; what compresses (latent attention) and
the experts' router stand whole on each GPU. Pipeline parallel: contiguous layers; what is left over goes to the stages
before the last one, backwards, as vLLM's `get_pp_indices` does it; the first stage has the embedding, the last one the
output layer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from services.hub.architecture import Architecture, Experts, Latent, Layer
from services.hub.quantisation import Scheme

VOCAB_MULTIPLE = 64
"""vLLM pads the vocabulary to a multiple of this."""

Kind = Literal["linear", "expert", "rest", "plain"]
"""What a quantisation does with a matrix; plain ones always keep their width."""


@dataclass(frozen=True, slots=True)
class Matrices:
    """So many elements on one GPU, of one kind."""

    kind: Kind
    elements: int


@dataclass(frozen=True, slots=True)
class Stage:
    """One pipeline stage: its layers, and whether it begins or ends the model."""

    layers: tuple[Layer, ...]
    first: bool
    last: bool


def up(count: int, parts: int) -> int:
    """A count divided, rounded up."""
    return -(-count // parts)


def kv_heads_per_gpu(architecture: Architecture, tensor_parallel: int) -> int:
    """Key-value heads that one GPU holds: with fewer heads than GPUs each is there more than once."""
    return up(architecture.kv_heads, tensor_parallel)


def stages(architecture: Architecture, pipeline_parallel: int) -> tuple[Stage, ...]:
    """The pipeline's stages, first to last."""
    each, left = divmod(len(architecture.layers), pipeline_parallel)
    counts = [each] * pipeline_parallel
    for back in range(2, left + 2):
        counts[-back] += 1
    found, begin = [], 0
    for index, count in enumerate(counts):
        layers = architecture.layers[begin : begin + count]
        found.append(Stage(layers, index == 0, index == pipeline_parallel - 1))
        begin += count
    return tuple(found)


def stage_bytes(
    architecture: Architecture, stage: Stage, tensor_parallel: int, scheme: Scheme, dtype_bits: Fraction
) -> Fraction:
    """Bytes of weights on each GPU of a stage, before rounding."""
    total = Fraction(0)
    for layer, count in Counter(stage.layers).items():
        total += count * _bits(layer_matrices(architecture, layer, tensor_parallel), scheme, dtype_bits)
    return (total + _bits(_ends(architecture, stage, tensor_parallel), scheme, dtype_bits)) / 8


def parameters(architecture: Architecture) -> int:
    """All weights of a model."""
    layers = Counter(architecture.layers)
    inside = sum(
        count * sum(part.elements for part in layer_matrices(architecture, layer, 1)) for layer, count in layers.items()
    )
    ends = 1 if architecture.tied else 2
    return inside + ends * architecture.vocab * architecture.hidden + architecture.other_elements


def layer_matrices(architecture: Architecture, layer: Layer, tensor_parallel: int) -> list[Matrices]:
    """What one layer holds on one GPU."""
    found = [Matrices("plain", 2 * architecture.hidden)]
    if layer.mixer in ("full", "window"):
        found.append(Matrices("linear", _attention(architecture, tensor_parallel)))
    elif layer.mixer == "state" and architecture.state:
        found.append(Matrices("linear", up(architecture.state.weights, tensor_parallel)))
    if layer.feed == "experts" and architecture.experts:
        found += _experts(architecture, architecture.experts, tensor_parallel)
    elif layer.feed == "dense":
        found.append(Matrices("linear", _feed(architecture, architecture.intermediate, tensor_parallel)))
    return found


def _bits(parts: Iterable[Matrices], scheme: Scheme, dtype_bits: Fraction) -> Fraction:
    widths = {"linear": scheme.linear_bits, "expert": scheme.expert_bits, "rest": scheme.rest_bits, "plain": None}
    return sum((part.elements * (widths[part.kind] or dtype_bits) for part in parts), Fraction(0))


def _feed(architecture: Architecture, width: int, tensor_parallel: int) -> int:
    return (3 if architecture.gated else 2) * architecture.hidden * up(width, tensor_parallel)


def _attention(architecture: Architecture, tensor_parallel: int) -> int:
    if architecture.latent:
        return _latent(architecture, architecture.latent, tensor_parallel)
    hidden, heads = architecture.hidden, up(architecture.heads, tensor_parallel)
    kv = kv_heads_per_gpu(architecture, tensor_parallel)
    queries = heads * architecture.head_dim * (2 if architecture.gated_attention else 1)
    cached = kv * (architecture.head_dim + architecture.value_dim)
    return hidden * (queries + cached + heads * architecture.value_dim)


def _latent(architecture: Architecture, latent: Latent, tensor_parallel: int) -> int:
    hidden, heads = architecture.hidden, up(architecture.heads, tensor_parallel)
    query = heads * (latent.nope_dim + latent.rope_dim)
    queries = hidden * latent.query_rank + latent.query_rank * query if latent.query_rank else hidden * query
    keys_values = hidden * (latent.rank + latent.rope_dim) + latent.rank * heads * (latent.nope_dim + latent.value_dim)
    return queries + keys_values + heads * latent.value_dim * hidden


def _experts(architecture: Architecture, experts: Experts, tensor_parallel: int) -> list[Matrices]:
    return [
        Matrices("plain", architecture.hidden * experts.count),
        Matrices("expert", experts.count * _feed(architecture, experts.size, tensor_parallel)),
        Matrices("linear", _feed(architecture, experts.shared_size, tensor_parallel)),
    ]


def _ends(architecture: Architecture, stage: Stage, tensor_parallel: int) -> list[Matrices]:
    """Embedding and output layer, where the stage has them, and what stands beside the language model."""
    padded = up(architecture.vocab, VOCAB_MULTIPLE) * VOCAB_MULTIPLE
    table = up(padded, tensor_parallel) * architecture.hidden
    found = [Matrices("rest", table)] if stage.first else []
    if stage.first:
        found.append(Matrices("plain", up(architecture.other_elements, tensor_parallel)))
    if stage.last and not (architecture.tied and stage.first):
        found.append(Matrices("rest", table))
    return found
