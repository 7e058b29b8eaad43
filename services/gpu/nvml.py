"""NVML through nvidia-ml-py: opened for each question and closed again, so that a driver restart harms nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import pynvml

from services.core.i18n import N_
from services.gpu.readings import Devices, DriverState, GpuReading

T = TypeVar("T")

REASONS = {
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: N_("there is no driver library"),
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: N_("the driver is not loaded"),
}


@dataclass(frozen=True, slots=True)
class Driver:
    """The NVIDIA driver: its version, or why it does not answer."""

    version: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Card:
    """A GPU with its memory, bytes."""

    index: int
    uuid: str | None
    name: str | None
    total_bytes: int | None
    used_bytes: int | None
    free_bytes: int | None


class Nvml:
    """What the driver tells; never raises."""

    def read(self) -> Devices:
        """The devices now."""
        known = driver()
        gpus = [
            GpuReading(
                card.index,
                card.uuid,
                card.name,
                total_bytes=card.total_bytes,
                used_bytes=card.used_bytes,
                free_bytes=card.free_bytes,
            )
            for card in cards()
        ]
        return Devices(DriverState(known.version, reason=known.reason), tuple(gpus))

    def close(self) -> None:
        """Nothing is held."""


def driver() -> Driver:
    """Whether a driver answers."""
    try:
        with _opened():
            return Driver(_value(pynvml.nvmlSystemGetDriverVersion), None)
    except pynvml.NVMLError as error:
        return Driver(None, REASONS.get(error.value, str(error)))


def cards() -> list[Card]:
    """The cards as they are now; none where no driver answers."""
    try:
        with _opened():
            return [_card(index) for index in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError:
        return []


@contextmanager
def _opened() -> Iterator[None]:
    pynvml.nvmlInit()
    try:
        yield
    finally:
        pynvml.nvmlShutdown()


def _card(index: int) -> Card:
    handle = _value(lambda: pynvml.nvmlDeviceGetHandleByIndex(index))
    if handle is None:
        return Card(index, None, None, None, None, None)
    memory: Any = _value(lambda: pynvml.nvmlDeviceGetMemoryInfo(handle))
    total, used, free = (memory.total, memory.used, memory.free) if memory else (None, None, None)
    return Card(
        index,
        _value(lambda: pynvml.nvmlDeviceGetUUID(handle)),
        _value(lambda: pynvml.nvmlDeviceGetName(handle)),
        total,
        used,
        free,
    )


def _value(read: Callable[[], T]) -> T | None:
    try:
        return read()
    except pynvml.NVMLError:
        return None
