"""The memory that a plan is made against: GPUs as they are now, GPUs that somebody has in mind, or the host's own."""

from __future__ import annotations

from dataclasses import dataclass

from services.core.units import GIB
from services.gpu.readings import Snapshot


@dataclass(frozen=True, slots=True)
class Card:
    """One GPU's memory, or the host's. What others hold is what `free_bytes` lacks of `total_bytes`."""

    total_bytes: int
    free_bytes: int
    index: int | None = None
    name: str | None = None


def imagined(count: int, memory_gib: float) -> tuple[Card, ...]:
    """So many empty GPUs of one size."""
    size = int(memory_gib * GIB)
    return tuple(Card(size, size, index) for index in range(count))


def cards_of(snapshot: Snapshot) -> tuple[Card, ...]:
    """The GPUs of a snapshot whose memory is known. What the driver reserves belongs to nobody."""
    found = []
    for gpu in snapshot.gpus:
        if gpu.total_bytes is None or gpu.free_bytes is None:
            continue
        total = gpu.total_bytes - (gpu.reserved_bytes or 0)
        found.append(Card(total, min(gpu.free_bytes, total), gpu.index, gpu.name))
    return tuple(found)


def host_of(snapshot: Snapshot) -> Card | None:
    """The host's memory; None where it cannot be read."""
    total, used = snapshot.host.memory_total_bytes, snapshot.host.memory_used_bytes
    return None if total is None or used is None else Card(total, total - used)
