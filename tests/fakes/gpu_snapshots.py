"""Snapshots as a busy machine would give them: two and eight GPUs, servers, strangers, MIG, a lost card."""

from __future__ import annotations

from dataclasses import replace
from math import sin

from services.core.units import GIB
from services.gpu.readings import (
    DriverState,
    Ecc,
    GpuReading,
    Holder,
    Holding,
    HostReading,
    MigInstance,
    Pcie,
    Snapshot,
)

H100 = "NVIDIA H100 80GB HBM3"
DRIVER = DriverState("580.65.06", "13.0")
NO_DRIVER = DriverState(reason="there is no driver library")
HOST = HostReading(
    cpu_percent=31.4,
    cpu_count=64,
    load_1m=20.6,
    memory_total_bytes=512 * GIB,
    memory_used_bytes=187 * GIB,
    swap_total_bytes=8 * GIB,
    swap_used_bytes=0,
    disk_total_bytes=3_600 * GIB,
    disk_used_bytes=1_212 * GIB,
    disk_free_bytes=2_388 * GIB,
)


def served(pid: int | None, used: int | None, server_id: str, name: str, model: str, how: str = "token") -> Holding:
    """Memory that a managed server holds."""
    command = "python -m vllm.entrypoints.openai.api_server"
    return Holding(pid, used, holder=Holder("lectern", command, server_id, name, model, how))


def stranger(pid: int, used: int | None, user: str | None = "mara", command: str | None = "python train.py") -> Holding:
    """Memory that somebody else's process holds."""
    return Holding(pid, used, holder=Holder(user, command))


def gpu(index: int, *holdings: Holding, **fields: object) -> GpuReading:
    """A healthy H100 with these processes, and 400 MiB that nobody accounts for."""
    used = sum(holding.used_bytes or 0 for holding in holdings) + 400 * 2**20
    reading = GpuReading(
        index,
        f"GPU-00000000-0000-0000-0000-{index:012d}",
        H100,
        total_bytes=80 * GIB,
        used_bytes=used,
        free_bytes=80 * GIB - used - GIB // 2,
        reserved_bytes=GIB // 2,
        utilization_percent=87,
        memory_utilization_percent=42,
        temperature_celsius=64,
        temperature_limit_celsius=89,
        power_watts=512.0,
        power_limit_watts=700.0,
        sm_clock_mhz=1755,
        max_sm_clock_mhz=1980,
        memory_clock_mhz=2619,
        max_memory_clock_mhz=2619,
        performance_state=0,
        throttle_reasons=(),
        ecc=Ecc(True, 0, 0, 0),
        pcie=Pcie(5, 5, 16, 16, 1_340_000_000, 210_000_000),
        mig_enabled=False,
        holdings=holdings,
    )
    return replace(reading, **fields)  # type: ignore[arg-type]


def snapshot(at_ms: int, *gpus: GpuReading, driver: DriverState = DRIVER, host: HostReading = HOST) -> Snapshot:
    """All of it at one moment."""
    return Snapshot(at_ms, driver, gpus, host)


def lost(index: int) -> GpuReading:
    """A card that has fallen off the bus; its name is remembered."""
    return GpuReading(
        index, f"GPU-00000000-0000-0000-0000-{index:012d}", H100, "the GPU is lost: it no longer answers on the bus"
    )


def sliced(index: int, server_id: str) -> GpuReading:
    """A card in MIG mode: a server on one instance, a stranger on another, a third one empty."""
    ours = replace(served(7101, 17 * GIB, server_id, "coder", "Qwen/Qwen2.5-Coder-14B-Instruct"), gpu_instance=1)
    theirs = replace(stranger(7102, 3 * GIB, "jun"), gpu_instance=9)
    instances = tuple(
        MigInstance(number, 0, f"MIG-{number}", profile, total, used, total - used)
        for number, profile, total, used in (
            (1, "2g.20gb", 20 * GIB, 17 * GIB),
            (9, "1g.10gb", 10 * GIB, 3 * GIB + GIB // 8),
            (10, "1g.10gb", 10 * GIB, GIB // 64),
        )
    )
    return gpu(index, ours, theirs, mig_enabled=True, mig=instances, utilization_percent=None)


def busy(at_ms: int, count: int, servers: tuple[tuple[str, str, str], ...]) -> Snapshot:
    """So many GPUs at work, three processes each; the same moment gives the same figures.

    Args:
        servers: id, name and model of the servers, which share the GPUs out in turn.
    """
    gpus = []
    for index in range(count):
        wave = sin(at_ms / 40_000 + index * 0.9)
        holdings = [stranger(9_000 + index, (3 + index % 3) * GIB, ("mara", "jun", "root")[index % 3])]
        for place in range(min(2, len(servers))):
            id, name, model = servers[(index // 2 + place) % len(servers)]
            how = "estimate" if place and index == 5 else "token"
            held = round((34 - 18 * place + wave) * GIB)
            holdings.append(
                served(None if how == "estimate" else 4_000 + 10 * index + place, held, id, name, model, how)
            )
        gpus.append(
            gpu(
                index,
                *holdings,
                utilization_percent=round(60 + 35 * wave),
                temperature_celsius=round(58 + 9 * wave + index),
                power_watts=430.0 + 180 * wave,
                sm_clock_mhz=1755 - 15 * (index % 4),
                throttle_reasons=("sw_power_cap",) if index % 5 == 1 else (),
            )
        )
    return snapshot(at_ms, *gpus, host=replace(HOST, cpu_percent=31.0 + 9 * sin(at_ms / 60_000)))
