"""What launches have added to a GPU whose processes cannot be seen: the difference between before and after.

Nothing here looks at processes or keeps anything. A launch's baseline is the memory that nobody accounted for just
before it began; the next launch's baseline is therefore where the estimate of the one before stands still.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from services.core.units import MIB
from services.gpu.readings import GpuReading, Holding

SMALLEST_BYTES = 64 * MIB
"""A smaller difference is the driver's own coming and going."""


def unexplained_bytes(gpu: GpuReading) -> int | None:
    """Used memory of a GPU that no process which can be seen from here accounts for."""
    if gpu.used_bytes is None:
        return None
    return max(0, gpu.used_bytes - sum(holding.used_bytes or 0 for holding in gpu.holdings or () if holding.holder))


def grown_bytes(begin: int, end: int) -> int:
    """The difference, or 0 where it is too small to mean anything."""
    return end - begin if end - begin >= SMALLEST_BYTES else 0


def estimates(baselines: Sequence[int], now: int) -> list[int]:
    """What each launch holds on one GPU, bytes; 0: nothing that could be told apart.

    Args:
        baselines: of the launches that cannot be seen, oldest first.
        now: what nobody accounts for at present. The estimates together are never more.
    """
    found, left = [], now
    for begin, end in pairwise([*baselines, now]):
        held = min(grown_bytes(begin, end), left)
        found.append(held)
        left -= held
    return found


def without(baselines: Sequence[int], ended: int) -> list[int]:
    """The other baselines when the launch at position `ended` is over: the later ones lose what it held."""
    later = baselines[ended + 1 :]
    left = grown_bytes(baselines[ended], later[0]) if later else 0
    return [*baselines[:ended], *(max(0, baseline - left) for baseline in later)]


def with_estimates(gpu: GpuReading, held: Sequence[Holding]) -> GpuReading:
    """The GPU with estimates among its holdings.

    They are taken out of what processes hold that cannot be seen from here, so that nothing counts twice: what remains
    of those is one holding without pid and holder.
    """
    if not held:
        return gpu
    holdings = gpu.holdings or ()
    hidden = sum(holding.used_bytes or 0 for holding in holdings if holding.holder is None)
    rest = hidden - sum(holding.used_bytes or 0 for holding in held)
    remaining = (Holding(pid=None, used_bytes=rest),) if rest > 0 else ()
    return replace(gpu, holdings=(*(holding for holding in holdings if holding.holder), *held, *remaining))
