"""What lies in safetensors files, from their headers alone: elements by type. No tensor is read.

Source: the format's description: eight bytes with the header's length, then JSON (name: dtype, shape, data_offsets).
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

from services.core.i18n import N_
from services.hub.numbers import MOST_LAYERS, Unreadable

MAX_HEADER_BYTES = 100_000_000
"""The limit of the format's own library."""
MAX_INDEX_BYTES = 64 << 20
MAX_SHARDS = 2000
MAX_DIMENSIONS = 8
BITS = {
    **{"F64": 64, "I64": 64, "U64": 64, "F32": 32, "I32": 32, "U32": 32, "F16": 16, "BF16": 16, "I16": 16, "U16": 16},
    **{"I8": 8, "U8": 8, "BOOL": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4},
}
WIDE_FLOATS = ("F64", "F32", "F16", "BF16")
"""Types that an engine turns into the dtype that it was told."""
_LAYER = re.compile(r"\blayers\.(\d{1,6})\.")


@dataclass(frozen=True, slots=True)
class Stored:
    """What the files hold of what an engine loads."""

    elements: tuple[tuple[str, int], ...]
    """Type and number of elements, by type."""

    @property
    def bytes(self) -> int:
        """As it lies on the disk."""
        return sum(count * BITS[dtype] // 8 for dtype, count in self.elements)

    @property
    def quantised(self) -> bool:
        """Whether most bytes are of types that no engine converts."""
        kept = sum(count * BITS[dtype] for dtype, count in self.elements if dtype not in WIDE_FLOATS)
        return kept * 2 > sum(count * BITS[dtype] for dtype, count in self.elements)

    @property
    def count(self) -> int:
        """All elements; packed ones count as what they are packed into."""
        return sum(count for _, count in self.elements)


def of_folder(folder: Path, layers: int, *, tied: bool) -> Stored | None:
    """What a folder's safetensors files hold; None where there are none, or not all that its index names.

    Left out: layers after the last one (they predict several tokens at once, and are not loaded), and the output layer
    where it is the embedding. Raises: Unreadable.
    """
    paths = _shards(folder)
    if not paths:
        return None
    total: Counter[str] = Counter()
    for path in paths:
        for name, dtype, count in tensors(path):
            if not _left_out(name, layers, tied):
                total[dtype] += count
    return Stored(tuple(sorted(total.items())))


def indexed_bytes(folder: Path) -> int | None:
    """The size that an index tells of weights, whether or not they are here; None without an index that tells it."""
    for name in ("model.safetensors.index.json", "pytorch_model.bin.index.json"):
        index = _index(folder / name)
        metadata = index.get("metadata") if index else None
        size = metadata.get("total_size") if isinstance(metadata, dict) else None
        if isinstance(size, int) and 0 < size < 1 << 50:
            return size
    return None


def tensors(path: Path) -> list[tuple[str, str, int]]:
    """Name, type and number of elements of each tensor of one file. Raises: Unreadable."""
    header = _header(path)
    found = []
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        dtype, shape = (entry.get("dtype"), entry.get("shape")) if isinstance(entry, dict) else (None, None)
        if not isinstance(dtype, str) or dtype not in BITS or not _is_shape(shape):
            raise Unreadable(N_("the header of {file} is damaged"), file=path.name)
        found.append((name, dtype, math.prod(shape)))
    return found


def _is_shape(shape: object) -> TypeGuard[list[int]]:
    return (
        isinstance(shape, list)
        and len(shape) <= MAX_DIMENSIONS
        and all(isinstance(width, int) and not isinstance(width, bool) and 0 <= width < 1 << 40 for width in shape)
    )


def _header(path: Path) -> dict[str, object]:
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
            raise Unreadable(N_("the header of {file} is damaged"), file=path.name)
        text = file.read(length)
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise Unreadable(N_("the header of {file} is damaged"), file=path.name)
    return header


def _shards(folder: Path) -> list[Path]:
    index = _index(folder / "model.safetensors.index.json")
    if index is None:
        whole = folder / "model.safetensors"
        return [whole] if whole.is_file() else sorted(folder.glob("*.safetensors"))[:MAX_SHARDS]
    weights = index.get("weight_map")
    names = {str(name) for name in weights.values()} if isinstance(weights, dict) else set()
    # The name of a shard comes out of a file: nothing but a name beside the index is followed.
    paths = [folder / name for name in sorted(names) if Path(name).name == name]
    return paths if len(paths) <= MAX_SHARDS and all(path.is_file() for path in paths) else []


def _index(path: Path) -> dict[str, object] | None:
    if not path.is_file():
        return None
    if path.stat().st_size > MAX_INDEX_BYTES:
        raise Unreadable(N_("{file} is too large"), file=path.name)
    try:
        index = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        index = None
    if not isinstance(index, dict):
        raise Unreadable(N_("{file} is not JSON"), file=path.name)
    return index


def _left_out(name: str, layers: int, tied: bool) -> bool:
    layer = _LAYER.search(name)
    if layer and layers <= int(layer.group(1)) <= MOST_LAYERS and "vision" not in name and "visual" not in name:
        return True
    return name.startswith("mtp.") or (tied and name.endswith("lm_head.weight"))
