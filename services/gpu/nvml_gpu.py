"""One GPU of an open session: what is asked every time, and what is kept for half a minute."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import pynvml

from services.gpu.nvml_calls import Calls, Memory, Process
from services.gpu.nvml_codes import GPU_GONE, REFUSED, SESSION_OVER, gpu_reason, throttle_codes
from services.gpu.nvml_mig import MigLayout
from services.gpu.readings import Ecc, GpuReading, Holding, MigInstance, Pcie

T = TypeVar("T")

KIB = 1024
MILLI = 1000
PERFORMANCE_STATE_UNKNOWN = 32
ENDING = SESSION_OVER | GPU_GONE


@dataclass(frozen=True, slots=True)
class Lasting:
    """What changes seldom or costs much to ask."""

    uuid: str | None = None
    name: str | None = None
    temperature_limit: int | None = None
    fan: int | None = None
    power_limit: float | None = None
    max_sm_clock: int | None = None
    max_memory_clock: int | None = None
    ecc: Ecc = field(default_factory=Ecc)
    pcie: Pcie = field(default_factory=Pcie)
    mig_enabled: bool | None = None


class OpenGpu:
    """A GPU's handle and what is known about it. Not thread-safe.

    Raises, from `read` and `refresh`: pynvml.NVMLError only with a code of SESSION_OVER, or where a handle that once
    worked is called invalid, which also means that the driver was restarted.
    """

    def __init__(self, index: int, handle: Any, calls: Calls, lasting: Lasting, error: str | None = None) -> None:
        self._index = index
        self._handle = handle
        self._calls = calls
        self._refused: set[tuple[Any, ...]] = set()
        self._answered = False
        self._mig: MigLayout | None = None
        self.lasting = lasting
        self.error = error

    def read(self) -> GpuReading:
        """The GPU now; once it was lost, only who it was and why it is silent."""
        if self.error is None:
            try:
                return self._read()
            except pynvml.NVMLError as error:
                self._give_up(error)
        return GpuReading(self._index, self.lasting.uuid, self.lasting.name, self.error)

    def refresh(self, *, throughput: bool) -> None:
        """Ask what lasts anew, and forget what was refused.

        Args:
            throughput: also measure the PCIe link, which holds the caller up for 20 ms in each direction.
        """
        if self.error is not None:
            return
        self._refused.clear()
        try:
            self.lasting = self._ask_lasting(throughput)
            self._mig = MigLayout(self._handle, self._calls) if self.lasting.mig_enabled else None
        except pynvml.NVMLError as error:
            self._give_up(error)

    def _give_up(self, error: pynvml.NVMLError) -> None:
        if error.value not in GPU_GONE:
            raise error
        self.error = gpu_reason(error.value)

    def _ask(self, call: Callable[..., T], *arguments: Any) -> T | None:
        """What a call answers, None where it cannot; what was refused is not asked again until the next refresh."""
        key = (call, *arguments)
        if key in self._refused:
            return None
        try:
            return call(self._handle, *arguments)
        except pynvml.NVMLError as error:
            if error.value in ENDING:
                raise
            if error.value in REFUSED:
                self._refused.add(key)
            return None
        except UnicodeDecodeError:
            return None

    def _read(self) -> GpuReading:
        memory = self._memory()
        load = self._ask(pynvml.nvmlDeviceGetUtilizationRates)
        power = self._ask(pynvml.nvmlDeviceGetPowerUsage)
        state = self._ask(pynvml.nvmlDeviceGetPerformanceState)
        throttle = self._ask(self._calls.throttle_reasons)
        lasting = self.lasting
        return GpuReading(
            index=self._index,
            uuid=lasting.uuid,
            name=lasting.name,
            total_bytes=memory.total if memory else None,
            used_bytes=memory.used if memory else None,
            free_bytes=memory.free if memory else None,
            reserved_bytes=memory.reserved if memory else None,
            utilization_percent=load.gpu if load else None,
            memory_utilization_percent=load.memory if load else None,
            temperature_celsius=self._ask(self._calls.temperature),
            temperature_limit_celsius=lasting.temperature_limit,
            fan_percent=lasting.fan,
            power_watts=None if power is None else power / MILLI,
            power_limit_watts=lasting.power_limit,
            sm_clock_mhz=self._ask(pynvml.nvmlDeviceGetClockInfo, pynvml.NVML_CLOCK_SM),
            max_sm_clock_mhz=lasting.max_sm_clock,
            memory_clock_mhz=self._ask(pynvml.nvmlDeviceGetClockInfo, pynvml.NVML_CLOCK_MEM),
            max_memory_clock_mhz=lasting.max_memory_clock,
            performance_state=None if state == PERFORMANCE_STATE_UNKNOWN else state,
            throttle_reasons=None if throttle is None else throttle_codes(throttle),
            ecc=lasting.ecc,
            pcie=lasting.pcie,
            mig_enabled=lasting.mig_enabled,
            mig=self._mig_instances(),
            holdings=self._holdings(),
        )

    def _memory(self) -> Memory | None:
        try:
            memory = self._calls.memory(self._handle)
        except pynvml.NVMLError as error:
            # A new driver does not know the handles of the one before.
            if error.value in ENDING or (self._answered and error.value == pynvml.NVML_ERROR_INVALID_ARGUMENT):
                raise
            return None
        self._answered = True
        return memory

    def _mig_instances(self) -> tuple[MigInstance, ...]:
        return self._mig.read() if self._mig else ()

    def _holdings(self) -> tuple[Holding, ...] | None:
        compute = self._processes(self._calls.compute_processes)
        graphics = self._processes(self._calls.graphics_processes)
        if compute is None and graphics is None:
            return None
        return merged(compute or [], graphics or [])

    def _processes(self, call: Callable[[Any], list[Process]]) -> list[Process] | None:
        found = self._ask(call)
        return self._mig.processes(call) if found is None and self._mig else found

    def _ask_lasting(self, throughput: bool) -> Lasting:
        power_limit = self._ask(pynvml.nvmlDeviceGetEnforcedPowerLimit)
        mig_mode = self._ask(pynvml.nvmlDeviceGetMigMode)
        return Lasting(
            uuid=self._ask(pynvml.nvmlDeviceGetUUID),
            name=self._ask(pynvml.nvmlDeviceGetName),
            temperature_limit=self._temperature_limit(),
            fan=self._ask(pynvml.nvmlDeviceGetFanSpeed),
            power_limit=None if power_limit is None else power_limit / MILLI,
            max_sm_clock=self._ask(pynvml.nvmlDeviceGetMaxClockInfo, pynvml.NVML_CLOCK_SM),
            max_memory_clock=self._ask(pynvml.nvmlDeviceGetMaxClockInfo, pynvml.NVML_CLOCK_MEM),
            ecc=self._ecc(),
            pcie=self._pcie(throughput),
            mig_enabled=None if mig_mode is None else mig_mode[0] == pynvml.NVML_DEVICE_MIG_ENABLE,
        )

    def _temperature_limit(self) -> int | None:
        """Newer cards tell how far they are from slowing down in place of where they do."""
        limit = self._ask(pynvml.nvmlDeviceGetTemperatureThreshold, pynvml.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN)
        if limit is None:
            now, margin = self._ask(self._calls.temperature), self._ask(pynvml.nvmlDeviceGetMarginTemperature)
            limit = None if now is None or margin is None else now + margin
        return limit

    def _ecc(self) -> Ecc:
        mode = self._ask(pynvml.nvmlDeviceGetEccMode)
        corrected, uncorrected = pynvml.NVML_MEMORY_ERROR_TYPE_CORRECTED, pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED
        count = pynvml.nvmlDeviceGetTotalEccErrors
        return Ecc(
            enabled=None if mode is None else mode[0] == pynvml.NVML_FEATURE_ENABLED,
            corrected=self._ask(count, corrected, pynvml.NVML_VOLATILE_ECC),
            uncorrected=self._ask(count, uncorrected, pynvml.NVML_VOLATILE_ECC),
            uncorrected_lifetime=self._ask(count, uncorrected, pynvml.NVML_AGGREGATE_ECC),
        )

    def _pcie(self, throughput: bool) -> Pcie:
        link = Pcie(
            generation=self._ask(pynvml.nvmlDeviceGetCurrPcieLinkGeneration),
            max_generation=self._ask(pynvml.nvmlDeviceGetMaxPcieLinkGeneration),
            width=self._ask(pynvml.nvmlDeviceGetCurrPcieLinkWidth),
            max_width=self._ask(pynvml.nvmlDeviceGetMaxPcieLinkWidth),
        )
        if not throughput:
            return link
        received = self._ask(pynvml.nvmlDeviceGetPcieThroughput, pynvml.NVML_PCIE_UTIL_RX_BYTES)
        sent = self._ask(pynvml.nvmlDeviceGetPcieThroughput, pynvml.NVML_PCIE_UTIL_TX_BYTES)
        return replace(
            link,
            rx_bytes_per_s=None if received is None else received * KIB,
            tx_bytes_per_s=None if sent is None else sent * KIB,
        )


def merged(compute: list[Process], graphics: list[Process]) -> tuple[Holding, ...]:
    """One holding for each process (on each MIG instance).

    A process that computes and draws stands in both lists, each time with all that it holds: nvidia-smi shows it once,
    as C+G, and so do gpustat and nvitop. So its bytes are not added.
    """
    holdings: dict[tuple[int, int | None], Holding] = {}
    for kind, processes in (("compute", compute), ("graphics", graphics)):
        for pid, used, instance in processes:
            before = holdings.get((pid, instance))
            if before:
                kind_now = before.kind if before.kind == kind else "both"
                largest = max((known for known in (before.used_bytes, used) if known is not None), default=None)
                holdings[pid, instance] = replace(before, kind=kind_now, used_bytes=largest)
            else:
                holdings[pid, instance] = Holding(pid, used, kind, instance)
    return tuple(holdings.values())
