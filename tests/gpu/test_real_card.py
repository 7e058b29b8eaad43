"""Readings of a real card: against nvidia-smi, and against a process that holds a known amount of its memory."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.gpu.nvml import Nvml
from services.gpu.readings import GpuReading, Holding

pytestmark = pytest.mark.gpu

MIB = 2**20
HELD = 1024 * MIB
CONTEXT_AT_MOST = 1536 * MIB
"""What CUDA itself may take for a process, beside what it asked for."""
OTHERS = 64 * MIB
"""How much the rest of the machine may move meanwhile."""
SETTLED_S = 20.0
FIELDS = (
    "uuid,name,driver_version,memory.total,memory.used,memory.free,temperature.gpu,enforced.power.limit,clocks.max.sm,"
    "clocks.max.mem,ecc.mode.current,pcie.link.gen.gpumax,pcie.link.width.max,mig.mode.current"
)


def nvidia_smi(what: str, fields: str) -> list[dict[str, str | None]]:
    """What nvidia-smi answers to a query, row by row; what it calls not available is None."""
    program = shutil.which("nvidia-smi")
    if program is None:
        pytest.skip("nvidia-smi is not installed")
    command = [program, f"--query-{what}={fields}", "--format=csv,noheader,nounits"]
    lines = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()
    rows = [[value.strip() for value in line.split(",")] for line in lines]
    known = [[None if value.strip("[]") in {"N/A", "Not Supported"} else value for value in row] for row in rows]
    return [dict(zip(fields.split(","), row, strict=True)) for row in known]


def number(text: str | None) -> float | None:
    return None if text is None else float(text)


def switched(text: str | None) -> bool | None:
    return None if text is None else text == "Enabled"


def near(value: float | None, expected: float | None, tolerance: float) -> bool:
    """Within a tolerance; unknown only where both are."""
    if value is None or expected is None:
        return value is expected
    return abs(value - expected) <= tolerance


def test_the_readings_are_those_of_nvidia_smi(nvml: Nvml) -> None:
    told = nvidia_smi("gpu", FIELDS)
    devices = nvml.read()

    assert len(devices.gpus) == len(told)
    for gpu, row in zip(devices.gpus, told, strict=True):
        assert (gpu.uuid, gpu.name, devices.driver.version) == (row["uuid"], row["name"], row["driver_version"])
        assert near(gpu.max_sm_clock_mhz, number(row["clocks.max.sm"]), 0)
        assert near(gpu.max_memory_clock_mhz, number(row["clocks.max.mem"]), 0)
        assert near(gpu.power_limit_watts, number(row["enforced.power.limit"]), 0.01)
        assert near(gpu.pcie.max_width, number(row["pcie.link.width.max"]), 0)
        assert gpu.ecc.enabled is switched(row["ecc.mode.current"])
        assert gpu.mig_enabled is switched(row["mig.mode.current"])
        assert near(gpu.temperature_celsius, number(row["temperature.gpu"]), 5)
        for ours, theirs in (
            (gpu.total_bytes, row["memory.total"]),
            (gpu.used_bytes, row["memory.used"]),
            (gpu.free_bytes, row["memory.free"]),
        ):
            expected = number(theirs)
            assert near(ours, None if expected is None else expected * MIB, OTHERS)


def test_memory_adds_up(nvml: Nvml) -> None:
    for gpu in nvml.read().gpus:
        if gpu.total_bytes is None or gpu.reserved_bytes is None:
            pytest.skip("this card does not tell its memory apart")
        assert gpu.used_bytes is not None
        assert gpu.free_bytes is not None
        assert gpu.total_bytes == gpu.used_bytes + gpu.free_bytes + gpu.reserved_bytes


def test_a_process_that_holds_a_known_amount(nvml: Nvml) -> None:
    before = free_card(nvml)
    with holding(before.uuid or "") as pid:
        during = card(nvml, before.index)
        added = (during.used_bytes or 0) - (before.used_bytes or 0)
        assert HELD <= added <= HELD + CONTEXT_AT_MOST
        found = its_holding(during, pid)
        if found is None and str(pid) not in [row["pid"] for row in nvidia_smi("compute-apps", "pid")]:
            pytest.skip("not even nvidia-smi sees this process's pid, as in a container")
        assert found is not None, f"process {pid} is not among {during.holdings}"
        assert found.kind == "compute"
        assert found.used_bytes is not None
        assert HELD <= found.used_bytes <= added + OTHERS

    after = settled(nvml, before)
    assert its_holding(after, pid) is None
    assert near(after.used_bytes, before.used_bytes, OTHERS)


def free_card(nvml: Nvml) -> GpuReading:
    """A card with room, undivided."""
    for gpu in nvml.read().gpus:
        if gpu.error is None and not gpu.mig_enabled and (gpu.free_bytes or 0) > 2 * HELD + CONTEXT_AT_MOST:
            return gpu
    pytest.skip("no card has three gigabytes free")


def card(nvml: Nvml, index: int) -> GpuReading:
    return nvml.read().gpus[index]


def its_holding(gpu: GpuReading, pid: int) -> Holding | None:
    return next((holding for holding in gpu.holdings or () if holding.pid == pid), None)


def settled(nvml: Nvml, before: GpuReading) -> GpuReading:
    """The card once its memory is back, or as it is when the time is up."""
    deadline = time.monotonic() + SETTLED_S
    while True:
        now = card(nvml, before.index)
        if near(now.used_bytes, before.used_bytes, OTHERS) or time.monotonic() > deadline:
            return now
        time.sleep(0.1)


@contextmanager
def holding(uuid: str, amount: int = HELD) -> Iterator[int]:
    """A process that holds so many bytes of a card while the block runs; gives its pid."""
    program = Path(__file__).with_name("cuda_holder.py")
    process = subprocess.Popen(
        [sys.executable, str(program), str(amount)],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": uuid},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin and process.stdout and process.stderr
    try:
        if process.stdout.readline().strip() != "held":
            pytest.fail(f"CUDA gave no memory: {process.stderr.read()}")
        yield process.pid
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()
        process.stderr.close()
