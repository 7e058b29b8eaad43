"""What quantisation makes of a model's weights: bits for each kind of tensor, and what stays as it was.

Sources: the formats' own descriptions. AWQ and GPTQ keep for each group of inputs one 16-bit scale and one zero point
of the weights' width; bitsandbytes NF4 one float32 for 64 weights; NVFP4 one 8-bit scale for 16, MXFP4 one for 32; FP8
one for each tensor, channel or block of 128 × 128. Embeddings, output layer, norms and the router keep their width.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from services.core.errors import InvalidValue
from services.core.i18n import N_
from services.core.phrases import phrase
from services.hub import ggml

GROUP = 128
A_WHOLE_CHANNEL = Fraction(0)
"""The share of a scale that a whole channel has in common: too small to count."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """How weights are stored. Bits of None: as wide as the dtype."""

    name: str
    linear_bits: Fraction | None = None
    expert_bits: Fraction | None = None
    rest_bits: Fraction | None = None
    """Embedding and output layer."""
    online: bool = False
    """Made while loading, from weights that are wider on disk."""


PLAIN = Scheme("none")


def grouped(bits: int, group: int) -> Fraction:
    """Bits of one weight with its share of scale and zero point; a group of 0 or less is a whole channel."""
    return Fraction(bits) + (Fraction(16 + bits, group) if group > 0 else A_WHOLE_CHANNEL)


def _all(name: str, bits: Fraction, *, online: bool = False) -> Scheme:
    return Scheme(name, bits, bits, online=online)


NF4, NVFP4, MXFP4 = 4 + Fraction(32, 64), 4 + Fraction(8, 16), 4 + Fraction(8, 32)
FOUR = _all("int4", grouped(4, GROUP))
NAMED: dict[str, Scheme] = {
    "none": PLAIN,
    "awq": _all("awq", grouped(4, GROUP)),
    "gptq": _all("gptq", grouped(4, GROUP)),
    "int4": FOUR,
    "w4a16": FOUR,
    "4bit": FOUR,
    "int8": _all("int8", Fraction(8)),
    "w8a8": _all("w8a8", Fraction(8)),
    "w8a16": _all("w8a16", Fraction(8)),
    "8bit": _all("int8", Fraction(8)),
    "fp8": _all("fp8", Fraction(8), online=True),
    "modelopt": _all("modelopt", Fraction(8)),
    "nvfp4": _all("nvfp4", NVFP4),
    "mxfp4": Scheme("mxfp4", None, MXFP4),
    "bitsandbytes": _all("bitsandbytes", NF4, online=True),
}
ALIASES = {
    "awq_marlin": "awq",
    "gptq_marlin": "gptq",
    "gptq_int4": "gptq",
    "gptq_int8": "int8",
    "modelopt_fp4": "nvfp4",
    "modelopt_nvfp4": "nvfp4",
    "modelopt_fp8": "modelopt",
    "fbgemm_fp8": "fp8",
    "bnb": "bitsandbytes",
    "nf4": "bitsandbytes",
    "bnb_4bit": "bitsandbytes",
    "bnb_8bit": "int8",
    "q4": "int4",
    "q8": "int8",
}


def named(name: str) -> Scheme:
    """The scheme of a name that a person has given: vLLM's, a number of bits, or a GGUF type. Raises: InvalidValue."""
    plain = re.sub(r"[\s_-]+", "_", name.strip().lower()) or "none"
    known = NAMED.get(ALIASES.get(plain, plain)) or NAMED.get(plain.split("_")[0] if plain.endswith("_awq") else "")
    if known:
        return known
    bits = ggml.bits_of(plain.removeprefix("gguf_") if plain != "gguf" else "q4_k")
    if bits is None:
        reason = phrase(N_("known are {known}, and GGUF types such as Q4_K_M"), known=", ".join(sorted(NAMED)))
        raise InvalidValue(field="quantization", value=name, reason=reason)
    return Scheme(plain, bits, bits, bits)


def of_config(config: Any) -> Scheme | None:
    """The scheme of a config's `quantization_config`; None where the weights are plain or the method is not known."""
    if not isinstance(config, dict):
        return None
    method = str(config.get("quant_method", "")).lower()
    if method.startswith(("awq", "gptq")):
        bits = _whole(config.get("bits", config.get("w_bit")), 4)
        return _all(method, grouped(bits, _whole(config.get("group_size", config.get("q_group_size")), GROUP)))
    if method == "bitsandbytes":
        return _all(method, Fraction(8) if config.get("load_in_8bit") else NF4)
    if method == "compressed-tensors":
        return _compressed(config)
    if method == "modelopt" or "quant_algo" in config:
        return NAMED["nvfp4"] if "FP4" in str(config.get("quant_algo", "")).upper() else NAMED["modelopt"]
    if method in ("fp8", "fbgemm_fp8"):
        return _all("fp8", Fraction(8))
    return NAMED.get(method)


def _compressed(config: dict[str, Any]) -> Scheme | None:
    groups = config.get("config_groups")
    first = next(iter(groups.values()), None) if isinstance(groups, dict) else None
    weights = first.get("weights") if isinstance(first, dict) else None
    if not isinstance(weights, dict):
        return None
    bits, group = _whole(weights.get("num_bits"), 8), _whole(weights.get("group_size"), 0)
    if str(weights.get("type")) == "float" and bits == 4:
        return _all("nvfp4", NVFP4)
    symmetric = weights.get("symmetric") is not False
    scale = Fraction(16 if symmetric else 16 + bits, group) if group > 0 else A_WHOLE_CHANNEL
    return _all("compressed-tensors", bits + scale)


def _whole(value: object, otherwise: int) -> int:
    """A small whole number of a config, or what it is otherwise."""
    return value if isinstance(value, int) and not isinstance(value, bool) and -1 <= value <= 4096 else otherwise
