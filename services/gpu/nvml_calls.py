"""NVML's functions in the version that the driver at hand has; nvidia-ml-py itself only calls the newest.

Each driver keeps the older functions, so a new name is asked for first and an older one where it is missing.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, NamedTuple

import pynvml

ROOM = 32
ATTEMPTS = 4
NO_INSTANCE = 2**32 - 1
NO_BYTES = 2**64 - 1


class Memory(NamedTuple):
    """A card's memory in bytes. `reserved` is None, and part of `used`, where the driver does not tell them apart."""

    total: int
    used: int
    free: int
    reserved: int | None


class Process(NamedTuple):
    """A process on a GPU; what the driver does not know is None."""

    pid: int
    used_bytes: int | None
    gpu_instance: int | None


class _ProcessV1(ctypes.Structure):
    """Until driver branch 450."""

    _fields_ = (("pid", ctypes.c_uint), ("used", ctypes.c_ulonglong))


class _ProcessV2(ctypes.Structure):
    """With the MIG instance; the functions that end in _v2 and _v3 fill it."""

    _fields_ = (
        *_ProcessV1._fields_,
        ("gpu_instance", ctypes.c_uint),
        ("compute_instance", ctypes.c_uint),
    )


class _ProcessV3(ctypes.Structure):
    """What _v3 filled in early 535 drivers only; read as the shorter record, pids and bytes get mixed up."""

    _fields_ = (*_ProcessV2._fields_, ("protected", ctypes.c_ulonglong))


class Calls:
    """The functions that come in several versions, chosen once for an opened library.

    Not thread-safe: the buffer for processes is used anew by each call. Every method may raise pynvml.NVMLError.
    """

    def __init__(self) -> None:
        self.memory: Callable[[Any], Memory] = _memory_v2 if _has("nvmlDeviceGetMemoryInfo_v2") else _memory_v1
        self.throttle_reasons: Callable[[Any], int] = _first(
            "nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"
        )
        # The old name goes away with CUDA 14.
        self.temperature: Callable[[Any], int] = (
            _temperature_v1 if _has("nvmlDeviceGetTemperatureV") else _temperature_unversioned
        )
        suffix, self._record = _process_version()
        self._compute = _pointer(f"nvmlDeviceGetComputeRunningProcesses{suffix}")
        self._graphics = _pointer(f"nvmlDeviceGetGraphicsRunningProcesses{suffix}")
        self._room = (self._record * ROOM)()

    def compute_processes(self, handle: Any) -> list[Process]:
        """Processes with a CUDA context."""
        return self._processes(self._compute, handle)

    def graphics_processes(self, handle: Any) -> list[Process]:
        """Processes that draw."""
        return self._processes(self._graphics, handle)

    def _processes(self, function: Callable[..., int] | None, handle: Any) -> list[Process]:
        """One call where nvidia-ml-py makes two: the room is kept, and made larger when it was too small."""
        if function is None:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND)
        for _ in range(ATTEMPTS):
            count = ctypes.c_uint(len(self._room))
            code = function(handle, ctypes.byref(count), self._room)
            if code == pynvml.NVML_SUCCESS:
                return [_process(record) for record in self._room[: count.value]]
            if code != pynvml.NVML_ERROR_INSUFFICIENT_SIZE:
                break
            self._room = (self._record * (2 * max(count.value, len(self._room))))()
        raise pynvml.NVMLError(code)


def _process(record: Any) -> Process:
    used = record.used
    instance = getattr(record, "gpu_instance", NO_INSTANCE)
    return Process(record.pid, None if used == NO_BYTES else used, None if instance == NO_INSTANCE else instance)


def _process_version() -> tuple[str, type[ctypes.Structure]]:
    if _has("nvmlDeviceGetComputeRunningProcesses_v3"):
        # No driver says which record it fills; these two functions came just before and just after the wide one.
        wide = _has("nvmlDeviceGetConfComputeMemSizeInfo") and not _has("nvmlDeviceGetRunningProcessDetailList")
        return "_v3", _ProcessV3 if wide else _ProcessV2
    if _has("nvmlDeviceGetComputeRunningProcesses_v2"):
        return "_v2", _ProcessV2
    return "", _ProcessV1


def _memory_v2(handle: Any) -> Memory:
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle, pynvml.nvmlMemory_v2)
    # NVIDIA's pages disagree on whether `used` holds `reserved` here (R525: yes; R590: no); the difference does not.
    used = memory.total - memory.free - memory.reserved
    return Memory(memory.total, max(0, used), memory.free, memory.reserved)


def _memory_v1(handle: Any) -> Memory:
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    return Memory(memory.total, memory.used, memory.free, None)


def _temperature_v1(handle: Any) -> int:
    return int(pynvml.nvmlDeviceGetTemperatureV(handle, pynvml.NVML_TEMPERATURE_GPU))


def _temperature_unversioned(handle: Any) -> int:
    return int(pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU))


def _first(*names: str) -> Callable[[Any], int]:
    """nvidia-ml-py's function of the first name that the library has, else of the last."""
    name = next((name for name in names if _has(name)), names[-1])
    function: Callable[[Any], int] = getattr(pynvml, name)
    return function


def _has(name: str) -> bool:
    return _pointer(name) is not None


def _pointer(name: str) -> Any | None:
    """The C function itself, None where this driver has none."""
    try:
        return pynvml._nvmlGetFunctionPointer(name)
    except pynvml.NVMLError:
        return None
