"""NVML through nvidia-ml-py: one session that is opened when it is first asked and survives the driver's troubles.

A long session is meant: opening one attaches every card (without persistence mode the first one wakes it up, which
takes a second), while asking an open one costs microseconds. The other side of it: whoever wants to unload the driver
or reset a card must stop Lectern's worker first, like any other that holds the card's device file.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from typing import TypeVar

import pynvml

from services.core.clock import ticks_ms
from services.gpu.nvml_calls import Calls
from services.gpu.nvml_codes import SESSION_OVER, driver_reason, gpu_reason
from services.gpu.nvml_gpu import Lasting, OpenGpu
from services.gpu.readings import Devices, DriverState

T = TypeVar("T")

LASTING_MS = 30_000.0
"""How long names, limits, the link, memory errors and MIG instances are kept, and a lost GPU is left alone."""
RETRY_MS = 5_000.0
ATTEMPTS = 2


class Nvml:
    """The driver and its GPUs, from any thread. Nothing it does raises: what cannot be read is None or has a reason."""

    def __init__(self, clock: Callable[[], float] = ticks_ms) -> None:
        self._clock = clock
        self._lock = Lock()
        self._session: _Session | None = None
        self._known: list[Lasting] = []
        self._reason: str | None = None
        self._retry_at_ms = float("-inf")

    def read(self) -> Devices:
        """What the driver tells now.

        One that does not answer is asked again after a pause, so that a machine without a driver pays nothing.
        """
        with self._lock:
            now = self._clock()
            if self._session is None and now < self._retry_at_ms:
                return self._silent()
            for _ in range(ATTEMPTS):
                was_open = self._session is not None
                try:
                    return self._current(now).read(now)
                except pynvml.NVMLError as error:
                    self._reason = driver_reason(error.value)
                    self._close()
                if not was_open:
                    break
            self._retry_at_ms = now + RETRY_MS
            return self._silent()

    def close(self) -> None:
        """End the session; a later `read` opens another."""
        with self._lock:
            self._close()

    def _silent(self) -> Devices:
        return Devices(DriverState(reason=self._reason))

    def _current(self, now: float) -> _Session:
        if self._session and self._session.outdated(now):
            self._close()
        if self._session is None:
            self._session = _Session(now, self._known)
        return self._session

    def _close(self) -> None:
        if self._session:
            self._known = self._session.known()
            self._session.close()
            self._session = None


class _Session:
    """An opened library and the GPUs that it found. Everything but `close` may raise pynvml.NVMLError."""

    def __init__(self, now: float, known: list[Lasting]) -> None:
        pynvml.nvmlInit()
        try:
            self._driver = _driver()
            self._gpus = _gpus(known)
        except pynvml.NVMLError:
            self.close()
            raise
        self._outdated_at_ms = now + LASTING_MS
        # Each GPU at another time, so that no reading is held up by the measuring of many links.
        self._due_ms = [now + LASTING_MS * (1 + gpu) / len(self._gpus) for gpu in range(len(self._gpus))]

    def outdated(self, now: float) -> bool:
        """Whether another session would find more or less: cards came or went, or a lost one may be back."""
        if now < self._outdated_at_ms:
            return False
        self._outdated_at_ms = now + LASTING_MS
        return any(gpu.error for gpu in self._gpus) or pynvml.nvmlDeviceGetCount() != len(self._gpus)

    def read(self, now: float) -> Devices:
        """The driver and its GPUs now."""
        for index, gpu in enumerate(self._gpus):
            if now >= self._due_ms[index]:
                self._due_ms[index] = now + LASTING_MS
                gpu.refresh(throughput=True)
        return Devices(self._driver, tuple(gpu.read() for gpu in self._gpus))

    def known(self) -> list[Lasting]:
        """What is known about each GPU, for the case that the next session finds one silent."""
        return [gpu.lasting for gpu in self._gpus]

    def close(self) -> None:
        """End it; a driver that went away cannot even be taken leave of."""
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _gpus(known: list[Lasting]) -> list[OpenGpu]:
    count = pynvml.nvmlDeviceGetCount()
    calls = Calls()
    # Where the number of cards changed, an index may mean another one than it did.
    before = known if len(known) == count else [Lasting()] * count
    gpus = [_gpu(index, calls, before[index]) for index in range(count)]
    for gpu in gpus:
        gpu.refresh(throughput=False)
    return gpus


def _gpu(index: int, calls: Calls, before: Lasting) -> OpenGpu:
    try:
        return OpenGpu(index, pynvml.nvmlDeviceGetHandleByIndex(index), calls, before)
    except pynvml.NVMLError as error:
        if error.value in SESSION_OVER:
            raise
        return OpenGpu(index, None, calls, before, gpu_reason(error.value))


def _driver() -> DriverState:
    version, cuda = _value(pynvml.nvmlSystemGetDriverVersion), _value(pynvml.nvmlSystemGetCudaDriverVersion)
    return DriverState(version, None if cuda is None else f"{cuda // 1000}.{cuda % 1000 // 10}")


def _value(read: Callable[[], T]) -> T | None:
    try:
        return read()
    except pynvml.NVMLError:
        return None
