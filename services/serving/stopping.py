"""The end of a server: asked, killed, and over only when its GPUs have their memory back."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Sequence
from typing import Any

import psutil

from services.core.clock import now_ms, ticks_ms
from services.core.errors import GpuMemoryHeld
from services.core.i18n import N_
from services.core.phrases import phrase
from services.core.units import bytes_text
from services.gpu.readings import GpuReading, Holding, Snapshot
from services.serving import children
from services.serving.estimates import grown_bytes, unexplained_bytes
from services.serving.ledger import gpu_key, holdings_of
from services.serving.patience import Patience
from services.store.servers import ServerRecord

logger = logging.getLogger(__name__)

NOBODY = phrase(N_("no process can be seen that holds it"))


class Endings:
    """The servers that are being ended. What it remembers is lost with the worker: the next one is as patient anew."""

    def __init__(self, patience: Patience, snapshot: Callable[[], Snapshot | None]) -> None:
        self._patience = patience
        self._snapshot = snapshot
        self._kill_due_ms: dict[str, float] = {}
        self._gone_at_ms: dict[str, int] = {}
        self._unexplained: dict[str, dict[str, int]] = {}

    def begin(self, row: ServerRecord) -> None:
        """Remember what nobody accounts for on the GPUs that the server holds memory of."""
        self.forget(row)
        snapshot = self._snapshot()
        self._unexplained[row.id] = {
            gpu_key(gpu): unexplained_bytes(gpu) or 0
            for gpu in (snapshot.gpus if snapshot else ())
            if holdings_of(gpu, row.id)
        }

    def forget(self, row: ServerRecord) -> None:
        """It has ended, or is to be ended anew."""
        for kept in (self._kill_due_ms, self._gone_at_ms, self._unexplained):
            kept.pop(row.id, None)

    def press(self, row: ServerRecord, left: Sequence[psutil.Process]) -> None:
        """Ask the runner once, which ends the engine and then itself; kill what is left when its time is over."""
        due_ms = self._kill_due_ms.get(row.id)
        if due_ms is None:
            # Twice the grace: the runner kills the engine after the first, and then writes how it ended.
            self._kill_due_ms[row.id] = ticks_ms() + 2000 * self._patience.grace_s
            runner = [process for process in left if process.pid == row.pid]
            children.send(runner or left, signal.SIGTERM)
        elif ticks_ms() > due_ms:
            logger.warning("server %s: killing what did not end: %s", row.name, [process.pid for process in left])
            children.send(left, signal.SIGKILL)

    def memory_is_back(self, row: ServerRecord) -> bool:
        """Whether the GPUs have the memory back of a server whose processes are gone; what is unknown blocks nothing.

        Raises: GpuMemoryHeld, naming who holds it, when the driver had time enough.
        """
        before = self._unexplained.get(row.id)
        if before == {}:  # it held none
            return True
        snapshot = self._snapshot()
        if snapshot is None or not snapshot.gpus:
            return True
        gone_at_ms = self._gone_at_ms.setdefault(row.id, now_ms())
        overdue = abs(now_ms() - gone_at_ms) > self._patience.memory_s * 1000
        if snapshot.taken_at_ms <= gone_at_ms:
            return overdue
        held = next((found for gpu in snapshot.gpus if (found := _held(gpu, row, before or {}))), None)
        if held and overdue:
            raise held
        return held is None


def _held(gpu: GpuReading, row: ServerRecord, before: dict[str, int]) -> GpuMemoryHeld | None:
    """What a GPU still holds of a server: what is known as its own, or what nobody accounts for since it ended."""
    holdings = holdings_of(gpu, row.id)
    if holdings:
        size = sum(holding.used_bytes or 0 for holding in holdings)
        return _told(row, gpu, size, holdings)
    now = unexplained_bytes(gpu)
    key = gpu_key(gpu)
    if now is None or key not in before or not (grown := grown_bytes(before[key], now)):
        return None
    return _told(row, gpu, grown, [each for each in gpu.holdings or () if each.holder is None])


def _told(row: ServerRecord, gpu: GpuReading, size_bytes: int, holdings: Sequence[Holding]) -> GpuMemoryHeld:
    holder = next((_process(each) for each in holdings if each.pid is not None), NOBODY)
    return GpuMemoryHeld(name=row.name, gpu=gpu.index, size=bytes_text(size_bytes), holder=holder)


def _process(holding: Holding) -> dict[str, Any]:
    known = holding.holder
    if known is None or known.command is None:
        return phrase(N_("process {pid}, of which nothing more is known"), pid=holding.pid)
    return phrase(
        N_("process {pid} of {user}: {command}"), pid=holding.pid, user=known.user or "?", command=known.command
    )
