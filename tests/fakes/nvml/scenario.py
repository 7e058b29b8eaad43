"""What the double shows: written as lines that scenario.c reads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path

GIB = 2**30
UNAVAILABLE = 2**64 - 1
"""A process's memory where the driver does not know it."""
NO_INSTANCE = 2**32 - 1
DRIVER_NOT_LOADED = 9
FUNCTION_NOT_FOUND = 13
GPU_IS_LOST = 15


@dataclass(frozen=True, slots=True)
class Process:
    """A process on a GPU. `kind`: C compute, G graphics, CG both; `gpu_instance`: the MIG instance that it is on."""

    pid: int
    used: int
    kind: str = "C"
    gpu_instance: int = NO_INSTANCE
    compute_instance: int = NO_INSTANCE

    def line(self) -> str:
        """As the scenario's file holds it; C reads the unknown as a signed number."""
        used = self.used - 2**64 if self.used >= 2**63 else self.used
        return f"process {self.pid} {used} {self.kind} {self.gpu_instance} {self.compute_instance}"


@dataclass(frozen=True, slots=True)
class Mig:
    """A MIG instance of a GPU."""

    gpu_instance: int
    uuid: str
    name: str = "NVIDIA H100 80GB HBM3 MIG 1g.10gb"
    compute_instance: int = 0
    total: int = 10 * GIB
    reserved: int = 0
    used: int = 0

    def line(self) -> str:
        """As the scenario's file holds it."""
        ids = f"{self.gpu_instance} {self.compute_instance} {self.uuid}"
        return f"mig {ids} {self.total} {self.reserved} {self.used} {self.name}"


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU; None means that the card cannot tell. Power is in milliwatts, PCIe throughput in KiB a second.

    `used` does not hold `reserved`; `error`: the code with which everything about it answers.
    """

    number: int = 0
    name: str = "NVIDIA H100 80GB HBM3"
    uuid: str = ""
    error: int = 0
    total: int | None = 80 * GIB
    reserved: int = GIB // 2
    used: int = 0
    bar1_used: int = 0
    utilization: int | None = 0
    memory_utilization: int | None = 0
    encoder: int | None = 0
    decoder: int | None = 0
    temperature: int | None = 35
    slowdown_temperature: int | None = 92
    margin_temperature: int | None = None
    fan: int | None = None
    power: int | None = 70_000
    power_limit: int | None = 700_000
    sm_clock: int | None = 345
    max_sm_clock: int | None = 1980
    memory_clock: int | None = 2619
    max_memory_clock: int | None = 2619
    performance_state: int | None = 0
    throttle: int | None = 1
    ecc_enabled: int | None = 1
    corrected: int | None = 0
    uncorrected: int | None = 0
    lifetime_corrected: int | None = 0
    lifetime_uncorrected: int | None = 0
    pcie_generation: int | None = 5
    max_pcie_generation: int | None = 5
    pcie_width: int | None = 16
    max_pcie_width: int | None = 16
    pcie_rx: int | None = 0
    pcie_tx: int | None = 0
    mig_mode: int | None = 0
    processes: tuple[Process, ...] = ()
    migs: tuple[Mig, ...] = ()

    @property
    def own_uuid(self) -> str:
        """Its UUID, made from its number where none is given."""
        return self.uuid or f"GPU-00000000-0000-0000-0000-{self.number:012d}"

    def lines(self) -> Iterator[str]:
        """As the scenario's file holds it."""
        yield "gpu"
        yield f"name {self.name}"
        yield f"uuid {self.own_uuid}"
        for each in fields(self):
            if each.name not in {"number", "name", "uuid", "processes", "migs"}:
                value = getattr(self, each.name)
                yield f"{each.name} {-1 if value is None else value}"
        yield from (process.line() for process in self.processes)
        yield from (mig.line() for mig in self.migs)


@dataclass(frozen=True, slots=True)
class Failure:
    """A function that answers with an error, for one GPU (by position) or for all and for MIG instances."""

    function: str
    code: int = FUNCTION_NOT_FOUND
    gpu: int = -1


@dataclass(frozen=True, slots=True)
class Scenario:
    """All that the double shows. Another `epoch` is a driver that was restarted: sessions opened before are void."""

    gpus: tuple[Gpu, ...] = ()
    driver: str = "580.65.06"
    cuda: int = 13000
    init: int = 0
    epoch: int = 1
    failures: tuple[Failure, ...] = field(default=())

    def text(self) -> str:
        """The scenario's file."""
        lines = [f"driver {self.driver}", f"cuda {self.cuda}", f"init {self.init}", f"epoch {self.epoch}"]
        lines += [f"fail {failure.gpu} {failure.function} {failure.code}" for failure in self.failures]
        lines += [line for gpu in self.gpus for line in gpu.lines()]
        return "\n".join(lines) + "\n"


NO_DRIVER = Scenario(init=DRIVER_NOT_LOADED)


@dataclass(frozen=True, slots=True)
class ScenarioFile:
    """The file that a double plays."""

    path: Path

    def write(self, scenario: Scenario) -> None:
        """Show another scenario from the next call on. Renaming makes the change whole and never unnoticed."""
        written = self.path.with_suffix(f".{os.getpid()}.tmp")
        written.write_text(scenario.text(), "utf-8", "surrogateescape")
        written.replace(self.path)


def eight_gpus(processes_each: int = 3, first_pid: int = 400_000) -> tuple[Gpu, ...]:
    """A full server at work; its pids are strangers unless `processes` is replaced."""
    gpus = []
    for number in range(8):
        pids = range(first_pid + number * processes_each, first_pid + (number + 1) * processes_each)
        held = tuple(Process(pid, (20 - 2 * place) * GIB) for place, pid in enumerate(pids))
        gpus.append(
            Gpu(
                number,
                used=sum(process.used for process in held) + GIB // 4,
                utilization=(37 + 17 * number) % 101,
                memory_utilization=(20 + 9 * number) % 101,
                temperature=48 + 3 * number,
                power=280_000 + 41_000 * number,
                sm_clock=1755,
                throttle=4 if number % 3 == 0 else 0,
                pcie_rx=120_000 * (number + 1),
                pcie_tx=80_000 * (number + 1),
                processes=held,
            )
        )
    return tuple(gpus)
