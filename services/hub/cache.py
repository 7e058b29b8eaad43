"""What conversations take on each GPU: keys and values of each token, and the states of hybrid models.

Bytes for a token = 2 · layers · ceil(kv_heads / tensor_parallel) · head_dim · bytes. Latent attention keeps one vector
for each token and layer, on every GPU. Layers with a window keep only its tokens and those of the step under way
(vLLM's SlidingWindowSpec). States take the same room whatever the length. Tokens come in blocks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from services.core.errors import InvalidValue
from services.core.i18n import N_
from services.core.phrases import phrase
from services.hub import ggml
from services.hub.architecture import Architecture, Layer, StateSpace
from services.hub.weights import kv_heads_per_gpu, up

BLOCK_TOKENS = 16
DTYPE_BITS = {
    **dict.fromkeys(("float32", "float", "fp32", "f32"), Fraction(32)),
    **dict.fromkeys(("float16", "half", "fp16", "f16", "bfloat16", "bf16"), Fraction(16)),
}
"""Types that weights may be computed in."""
_NARROW = dict.fromkeys(("fp8", "fp8_e4m3", "fp8_e5m2", "fp8_inc", "int8"), Fraction(8))


@dataclass(frozen=True, slots=True)
class Cache:
    """What the layers of one stage keep on each GPU."""

    full_token_bytes: Fraction
    """For each token, in layers that see everything."""
    window_token_bytes: Fraction
    """For each token within the window, in layers that have one."""
    state_bytes: int
    """For each sequence, whatever its length."""
    window: int | None = None
    step_tokens: int = 0
    """Tokens that may be under way before those outside of the window are given back."""

    @property
    def token_bytes(self) -> int:
        """Bytes of one token while no window has closed behind it."""
        return int(self.full_token_bytes + self.window_token_bytes)

    def needed(self, length: int, sequences: int = 1) -> int:
        """Bytes for so many sequences of a length."""
        tokens = _blocks(length)
        total = self.full_token_bytes * tokens + self.window_token_bytes * self._kept(length) + self.state_bytes
        return sequences * int(total)

    def longest(self, available: int, limit: int, sequences: int = 1) -> int:
        """The greatest length up to a limit at which so many sequences fit; 0: none."""
        if self.needed(limit, sequences) <= available:
            return limit
        low, high = 0, limit
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.needed(middle, sequences) <= available else (low, middle)
        return low

    def tokens(self, available: int, length: int) -> int:
        """Tokens that fit when all sequences have this length; vLLM counts them the same way."""
        if available <= 0:
            return 0
        if not self.window_token_bytes and not self.state_bytes and self.full_token_bytes:
            return int(available / self.full_token_bytes) // BLOCK_TOKENS * BLOCK_TOKENS
        one = self.needed(length)
        return available * length // one if one else 0

    def _kept(self, length: int) -> int:
        if self.window is None:
            return _blocks(length)
        # one block more: a window does not begin where a block does
        return _blocks(min(self.window - 1 + self.step_tokens, length)) + BLOCK_TOKENS


def _blocks(length: int) -> int:
    return up(length, BLOCK_TOKENS) * BLOCK_TOKENS


def cache_of(
    architecture: Architecture,
    layers: Iterable[Layer],
    tensor_parallel: int,
    bits: Fraction,
    step_tokens: int,
    states: int = 1,
) -> Cache:
    """The cache of some layers. `states`: copies that an engine keeps of each sequence's state."""
    kinds = [layer.mixer for layer in layers]
    each = _token_bytes(architecture, tensor_parallel, bits)
    state = _state_bytes(architecture.state, tensor_parallel, bits) if architecture.state else 0
    return Cache(
        full_token_bytes=kinds.count("full") * each,
        window_token_bytes=kinds.count("window") * each,
        state_bytes=kinds.count("state") * state * states,
        window=architecture.window,
        step_tokens=step_tokens,
    )


def _token_bytes(architecture: Architecture, tensor_parallel: int, bits: Fraction) -> Fraction:
    if architecture.latent:
        return (architecture.latent.rank + architecture.latent.rope_dim) * bits / 8
    return kv_heads_per_gpu(architecture, tensor_parallel) * (architecture.head_dim + architecture.value_dim) * bits / 8


def _state_bytes(state: StateSpace, tensor_parallel: int, bits: Fraction) -> int:
    wide = max(bits, Fraction(16))  # a narrow cache does not narrow the states
    kept = DTYPE_BITS.get(state.state_dtype or "", wide)
    elements = up(state.conv_elements, tensor_parallel) * wide + up(state.state_elements, tensor_parallel) * kept
    return int(elements / 8)


def cache_bits(name: str, dtype_bits: Fraction) -> Fraction:
    """Bits of a `kv_cache_dtype`: auto is the dtype of the weights. Raises: InvalidValue."""
    plain = name.strip().lower()
    if plain in ("", "auto"):
        return dtype_bits
    bits = DTYPE_BITS.get(plain) or _NARROW.get(plain) or ggml.BITS.get(plain.upper())
    if bits is None:
        known = ", ".join(sorted({"auto", "bfloat16", "float16", "float32", "q8_0", "q4_0", *_NARROW}))
        raise InvalidValue(field="kv_cache_dtype", value=name, reason=phrase(N_("known are {known}"), known=known))
    return bits


def dtype_bits(name: str, own: str | None) -> Fraction:
    """Bits of a `dtype`: auto is the model's own, float32 models being loaded as 16 bit. Raises: InvalidValue."""
    plain = name.strip().lower()
    if plain in ("", "auto"):
        return min(DTYPE_BITS.get((own or "").lower(), Fraction(16)), Fraction(16))
    if plain not in DTYPE_BITS:
        known = ", ".join(("auto", "bfloat16", "float16", "float32"))
        raise InvalidValue(field="dtype", value=name, reason=phrase(N_("known are {known}"), known=known))
    return DTYPE_BITS[plain]
