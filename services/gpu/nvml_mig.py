"""The instances that a GPU in MIG mode is divided into."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import pynvml

from services.gpu.nvml_calls import Calls, Process
from services.gpu.nvml_codes import GPU_GONE, SESSION_OVER
from services.gpu.readings import MigInstance

T = TypeVar("T")

PROFILE = re.compile(r"MIG (\S+)")
ENDING = SESSION_OVER | (GPU_GONE - {pynvml.NVML_ERROR_NOT_FOUND})
"""What says more than that an instance was destroyed."""


@dataclass(frozen=True, slots=True)
class _Instance:
    handle: Any
    gpu_instance: int | None
    compute_instance: int | None
    uuid: str | None
    profile: str | None


class MigLayout:
    """The instances of one GPU as they were found, with handles to ask them. Methods may raise for a lost GPU."""

    def __init__(self, parent: Any, calls: Calls) -> None:
        self._calls = calls
        self._instances = _found(parent)

    def read(self) -> tuple[MigInstance, ...]:
        """The instances with their memory now."""
        return tuple(self._read(instance) for instance in self._instances)

    def processes(self, call: Callable[[Any], list[Process]]) -> list[Process] | None:
        """Processes of all instances: for those who may not ask the whole GPU. None where no instance tells any."""
        found = [_value(call, instance.handle) for instance in self._instances]
        if all(processes is None for processes in found):
            return None
        return [process for processes in found for process in processes or []]

    def _read(self, instance: _Instance) -> MigInstance:
        memory = _value(self._calls.memory, instance.handle)
        return MigInstance(
            gpu_instance=instance.gpu_instance,
            compute_instance=instance.compute_instance,
            uuid=instance.uuid,
            profile=instance.profile,
            total_bytes=memory.total if memory else None,
            used_bytes=memory.used if memory else None,
            free_bytes=memory.free if memory else None,
        )


def _found(parent: Any) -> list[_Instance]:
    """Those in use: places can be empty anywhere in the row."""
    instances = []
    for place in range(_value(pynvml.nvmlDeviceGetMaxMigDeviceCount, parent) or 0):
        handle = _value(pynvml.nvmlDeviceGetMigDeviceHandleByIndex, parent, place)
        if handle is not None:
            instances.append(
                _Instance(
                    handle,
                    _value(pynvml.nvmlDeviceGetGpuInstanceId, handle),
                    _value(pynvml.nvmlDeviceGetComputeInstanceId, handle),
                    _value(pynvml.nvmlDeviceGetUUID, handle),
                    _profile(_value(pynvml.nvmlDeviceGetName, handle)),
                )
            )
    return instances


def _profile(name: str | None) -> str | None:
    """The profile at the end of an instance's name, such as "NVIDIA A100-SXM4-40GB MIG 1g.5gb"."""
    found = PROFILE.search(name or "")
    return found[1] if found else None


def _value(call: Callable[..., T], *arguments: Any) -> T | None:
    try:
        return call(*arguments)
    except pynvml.NVMLError as error:
        if error.value in ENDING:
            raise
        return None
    except UnicodeDecodeError:
        return None
