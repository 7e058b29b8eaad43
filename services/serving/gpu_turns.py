"""Starts that share a GPU run one after another, and what they were planned to take is theirs until it is measured.

Two engines that load at once each see the memory that the other has not taken yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from services.gpu.readings import Snapshot
from services.serving.states import STARTING
from services.store.ledger import LedgerRows
from services.store.servers import ServerRecord


class Reservations:
    """Notes what a launch is planned to take, before its process is started."""

    def __init__(self, rows: LedgerRows, plan: Callable[[ServerRecord], Mapping[str, int]]) -> None:
        """
        Args:
            plan: bytes by GPU, as the ledger calls them; empty where nobody can tell.
        """
        self._rows = rows
        self._plan = plan

    def __call__(self, row: ServerRecord) -> None:
        planned = self._plan(row)
        if planned and row.launch_token:
            self._rows.plan(row.launch_token, row.id, row.machine_id, planned)


def ahead(row: ServerRecord, others: Iterable[ServerRecord], snapshot: Snapshot | None) -> ServerRecord | None:
    """The starting server that this one has to await; None where it may start, as always without GPUs.

    Args:
        others: the servers of the same machine.
    """
    if snapshot is None or not snapshot.gpus:
        return None
    everything = frozenset(gpu.index for gpu in snapshot.gpus)
    wanted = _gpus(row.spec, everything)
    return next(
        (
            other
            for other in others
            if other.id != row.id and other.state == STARTING and wanted & _gpus(other.spec, everything)
        ),
        None,
    )


def _gpus(spec: Mapping[str, Any], everything: frozenset[int]) -> frozenset[int]:
    if spec.get("gpu_layers") == 0:  # llama.cpp that was told to stay on the processor
        return frozenset()
    return frozenset(spec.get("gpus") or everything)
