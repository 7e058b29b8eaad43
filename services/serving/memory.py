"""What a server was planned to hold, says that it holds, and holds: as pages, command line and API read it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from services.core.clock import now_ms
from services.gpu.readings import Snapshot
from services.gpu.service import FRESH_MS
from services.serving.ledger import gpu_key, held_bytes, holdings_of, is_estimate
from services.store.ledger import LedgerRecord, LedgerRows


@dataclass(frozen=True, slots=True)
class Share:
    """Memory of a server's newest launch, on one GPU or on all. What is not known, or not on a GPU, is None."""

    planned_bytes: int | None = None
    reported_bytes: int | None = None
    measured_bytes: int | None = None
    """Now; None where the newest snapshot is old."""
    peak_bytes: int | None = None
    estimated: bool = False
    """What was measured is the difference between before and after the launch."""


@dataclass(frozen=True, slots=True)
class Memory:
    """A server's memory on all GPUs together, and by the GPU's UUID."""

    whole: Share = field(default_factory=Share)
    gpus: Mapping[str, Share] = field(default_factory=dict)

    def row(self) -> dict[str, int | None]:
        """As JSON values."""
        share = self.whole
        return {
            "planned_bytes": share.planned_bytes,
            "reported_bytes": share.reported_bytes,
            "measured_bytes": share.measured_bytes,
        }


class MemoryBook:
    """The ledger and the newest snapshot side by side. Thread-safe."""

    def __init__(self, rows: LedgerRows, snapshot: Callable[[], Snapshot]) -> None:
        self._rows = rows
        self._snapshot = snapshot

    def of(self, server_id: str) -> Memory:
        """The memory of a server. Raises: DatabaseUnavailable."""
        records = {record.gpu_uuid: record for record in self._rows.newest(server_id)}
        held = _held(self._snapshot(), server_id)
        shares = {gpu: _share(records.get(gpu), *held.get(gpu, (None, False))) for gpu in sorted({*records, *held})}
        told = {gpu: share for gpu, share in shares.items() if share != Share()}
        return Memory(_together(told.values()), told)


def _held(snapshot: Snapshot, server_id: str) -> dict[str, tuple[int | None, bool]]:
    """What the server holds on each GPU at present, and whether that is an estimate."""
    if abs(now_ms() - snapshot.taken_at_ms) >= FRESH_MS:
        return {}
    holdings = {gpu_key(gpu): holdings_of(gpu, server_id) for gpu in snapshot.gpus}
    return {gpu: (held_bytes(held), is_estimate(held)) for gpu, held in holdings.items() if held}


def _share(record: LedgerRecord | None, measured: int | None, estimated: bool) -> Share:
    if record is None:
        return Share(measured_bytes=measured, peak_bytes=measured, estimated=estimated)
    return Share(
        planned_bytes=record.planned_bytes,
        reported_bytes=record.reported_bytes,
        measured_bytes=measured,
        peak_bytes=max((each for each in (record.peak_bytes, measured) if each is not None), default=None),
        estimated=estimated if measured is not None else record.estimated,
    )


def _together(shares: Iterable[Share]) -> Share:
    kept = list(shares)

    def total(name: str) -> int | None:
        known = [amount for share in kept if (amount := getattr(share, name)) is not None]
        return sum(known) if known else None

    return Share(
        total("planned_bytes"),
        total("reported_bytes"),
        total("measured_bytes"),
        total("peak_bytes"),
        any(share.estimated for share in kept),
    )
