"""How good estimates were: what launches were planned to hold beside what the engine said and the driver measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from services.store.ledger import LedgerRecord


@dataclass(frozen=True, slots=True)
class Estimate:
    """One launch on one GPU. `measured_bytes` is the most that was seen; what nobody knows is None."""

    server: str
    gpu: str
    at_ms: int
    planned_bytes: int
    reported_bytes: int | None
    measured_bytes: int | None
    guessed: bool
    """What was measured is the difference between before and after the launch."""

    @property
    def error_percent(self) -> float | None:
        """How far the plan was above what came: what was measured, else what the engine reported."""
        came = self.measured_bytes or self.reported_bytes
        return None if not came else 100 * (self.planned_bytes - came) / came

    def row(self) -> dict[str, Any]:
        """As JSON values."""
        return {**asdict(self), "error_percent": None if self.error_percent is None else round(self.error_percent, 1)}


def estimates(records: Sequence[LedgerRecord], servers: Mapping[str, str], gpus: Mapping[str, str]) -> list[Estimate]:
    """Launches that were planned, in the order of their rows.

    Args:
        servers: names by id; rows of servers that are gone are left out.
        gpus: what GPUs are called, by what the ledger calls them.
    """
    return [
        Estimate(
            server=servers[record.server_id],
            gpu=gpus.get(record.gpu_uuid, record.gpu_uuid),
            at_ms=record.created_at_ms,
            planned_bytes=record.planned_bytes,
            reported_bytes=record.reported_bytes,
            measured_bytes=record.peak_bytes,
            guessed=record.estimated,
        )
        for record in records
        if record.planned_bytes is not None and record.server_id in servers
    ]


def typical_percent(found: Sequence[Estimate]) -> float | None:
    """The median of the errors' sizes; None where nothing can be compared."""
    errors = [abs(error) for one in found if (error := one.error_percent) is not None]
    return median(errors) if errors else None
