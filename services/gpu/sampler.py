"""Takes a snapshot each second and keeps it. In a thread of its own: a driver that hangs holds up nothing else."""

from __future__ import annotations

import logging
import threading

from services.core.clock import ticks_ms
from services.core.log import incident
from services.gpu.service import GpuService

logger = logging.getLogger(__name__)


class Sampler:
    """The worker's sampling of one machine."""

    def __init__(self, gpus: GpuService, every_s: float) -> None:
        self._gpus = gpus
        self._every_ms = every_s * 1000
        self._ending = threading.Event()
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="gpu-sampler", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End; a thread that hangs in the driver is left behind."""
        self._ending.set()
        if self._thread.ident:
            self._thread.join(timeout=3)

    def tick(self) -> None:
        """Take one snapshot and keep it. A failure is logged once, until it works again."""
        try:
            self._gpus.keep(self._gpus.take())
            self._failing = False
        except Exception as error:  # noqa: BLE001 - the next second is another try
            if not self._failing:
                incident(logger, error, "sampling the GPUs")
            self._failing = True

    def _run(self) -> None:
        due_ms = ticks_ms()
        while not self._ending.wait(max(0.0, due_ms - ticks_ms()) / 1000):
            self.tick()
            # After a pause (a suspended machine, a driver that hung) the missed ones are not made up for.
            due_ms = max(due_ms + self._every_ms, ticks_ms())
