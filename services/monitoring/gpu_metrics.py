"""What a snapshot says to Prometheus: driver, GPUs, who holds their memory, and the host."""

from __future__ import annotations

from collections import defaultdict

from services.gpu.nvml_codes import THROTTLE_REASONS
from services.gpu.readings import DriverState, GpuReading, HostReading, Snapshot
from services.monitoring.sheet import Sheet, ratio

MHZ = 1_000_000


def add_snapshot(sheet: Sheet, snapshot: Snapshot) -> None:
    """Everything that a snapshot knows."""
    _driver(sheet, snapshot.driver, len(snapshot.gpus))
    for gpu in snapshot.gpus:
        _gpu(sheet, gpu)
        _clocks(sheet, gpu)
        _errors(sheet, gpu)
        _pcie(sheet, gpu)
        _holders(sheet, gpu)
        _mig(sheet, gpu)
    _host(sheet, snapshot.host)


def _driver(sheet: Sheet, driver: DriverState, gpus: int) -> None:
    known = None if driver.version is None else 1
    sheet.gauge(
        "lectern_gpu_driver_info", "The NVIDIA driver.", known, version=driver.version, cuda=driver.cuda_version
    )
    sheet.gauge("lectern_gpus", "GPUs that the driver shows.", None if known is None else gpus)


def _gpu(sheet: Sheet, gpu: GpuReading) -> None:
    own = {"gpu": gpu.index, "uuid": gpu.uuid}
    sheet.gauge("lectern_gpu_info", "A GPU with its name.", 1, **own, name=gpu.name)
    sheet.gauge("lectern_gpu_up", "Whether the GPU answers.", int(gpu.error is None), **own)
    for part, meaning, size in (
        ("total", "Memory of the GPU.", gpu.total_bytes),
        ("used", "Memory in use.", gpu.used_bytes),
        ("free", "Memory that is free.", gpu.free_bytes),
        ("reserved", "Memory that the driver keeps for itself.", gpu.reserved_bytes),
        ("unattributed", "Used memory that no visible process accounts for.", gpu.unattributed_bytes),
    ):
        sheet.gauge(f"lectern_gpu_memory_{part}_bytes", meaning, size, **own)
    for part, meaning, percent in (
        ("utilization", "Share of time in which the GPU computed.", gpu.utilization_percent),
        ("memory_utilization", "Share of time in which its memory was busy.", gpu.memory_utilization_percent),
        ("fan", "Speed of the fan, of its highest.", gpu.fan_percent),
    ):
        sheet.gauge(f"lectern_gpu_{part}_ratio", meaning, ratio(percent), **own)
    for part, meaning, value in (
        ("temperature_celsius", "Temperature of the GPU.", gpu.temperature_celsius),
        ("temperature_limit_celsius", "Where the GPU begins to slow down.", gpu.temperature_limit_celsius),
        ("power_watts", "Power that the GPU draws.", gpu.power_watts),
        ("power_limit_watts", "Most power that it may draw.", gpu.power_limit_watts),
        ("performance_state", "Performance state, 0 the highest.", gpu.performance_state),
    ):
        sheet.gauge(f"lectern_gpu_{part}", meaning, value, **own)


def _clocks(sheet: Sheet, gpu: GpuReading) -> None:
    for clock, now, most in (
        ("sm", gpu.sm_clock_mhz, gpu.max_sm_clock_mhz),
        ("memory", gpu.memory_clock_mhz, gpu.max_memory_clock_mhz),
    ):
        own: dict[str, str | int | None] = {"gpu": gpu.index, "uuid": gpu.uuid, "clock": clock}
        sheet.gauge("lectern_gpu_clock_hertz", "Clock as it is.", None if now is None else now * MHZ, **own)
        sheet.gauge("lectern_gpu_clock_max_hertz", "Clock at its highest.", None if most is None else most * MHZ, **own)


def _errors(sheet: Sheet, gpu: GpuReading) -> None:
    own = {"gpu": gpu.index, "uuid": gpu.uuid}
    if gpu.throttle_reasons is not None:
        for reason in THROTTLE_REASONS:
            active = int(reason in gpu.throttle_reasons)
            sheet.gauge("lectern_gpu_throttled", "Whether this holds the clocks back.", active, **own, reason=reason)
    since_load = "Memory errors since the driver was loaded."
    sheet.counter("lectern_gpu_ecc_errors_total", since_load, gpu.ecc.corrected, **own, kind="corrected")
    sheet.counter("lectern_gpu_ecc_errors_total", since_load, gpu.ecc.uncorrected, **own, kind="uncorrected")
    sheet.counter(
        "lectern_gpu_ecc_uncorrected_lifetime_total",
        "Uncorrected memory errors over the life of the card.",
        gpu.ecc.uncorrected_lifetime,
        **own,
    )


def _pcie(sheet: Sheet, gpu: GpuReading) -> None:
    own = {"gpu": gpu.index, "uuid": gpu.uuid}
    sheet.gauge("lectern_gpu_pcie_generation", "Generation of the link as it is.", gpu.pcie.generation, **own)
    sheet.gauge("lectern_gpu_pcie_lanes", "Lanes of the link as it is.", gpu.pcie.width, **own)
    for direction, speed in (("rx", gpu.pcie.rx_bytes_per_s), ("tx", gpu.pcie.tx_bytes_per_s)):
        meaning = "Throughput of the link, seen from the GPU."
        sheet.gauge("lectern_gpu_pcie_bytes_per_second", meaning, speed, **own, direction=direction)


def _holders(sheet: Sheet, gpu: GpuReading) -> None:
    """Memory by server; what belongs to none of ours in one sum, because its processes come and go."""
    if gpu.holdings is None:
        return
    own = {"gpu": gpu.index, "uuid": gpu.uuid}
    servers: defaultdict[tuple[str, str | None, str], list[int | None]] = defaultdict(list)
    others: list[int | None] = []
    for holding in gpu.holdings:
        holder = holding.holder
        if holder and holder.server:
            estimated = "true" if holding.pid is None else "false"
            servers[holder.server, holder.model, estimated].append(holding.used_bytes)
        else:
            others.append(holding.used_bytes)
    name, meaning = "lectern_gpu_server_memory_bytes", "Memory that a server holds on the GPU."
    for (server, model, estimated), sizes in servers.items():
        sheet.gauge(name, meaning, _sum(sizes), **own, server=server, model=model, estimated=estimated)
    meaning = "Memory of visible processes that are no server's."
    sheet.gauge("lectern_gpu_other_memory_bytes", meaning, _sum(others), **own)


def _sum(sizes: list[int | None]) -> int | None:
    """What is known of them; None where nothing is."""
    known = [size for size in sizes if size is not None]
    return sum(known) if known or not sizes else None


def _mig(sheet: Sheet, gpu: GpuReading) -> None:
    for slice_ in gpu.mig:
        own = {"gpu": gpu.index, "uuid": slice_.uuid, "profile": slice_.profile}
        sheet.gauge("lectern_gpu_mig_memory_total_bytes", "Memory of a MIG instance.", slice_.total_bytes, **own)
        sheet.gauge("lectern_gpu_mig_memory_used_bytes", "Memory of it in use.", slice_.used_bytes, **own)


def _host(sheet: Sheet, host: HostReading) -> None:
    cpu = ratio(host.cpu_percent)
    sheet.gauge("lectern_host_cpu_utilization_ratio", "Share of all cores in use.", cpu)
    for part, meaning, value in (
        ("cpus", "Cores of the machine.", host.cpu_count),
        ("load1", "Load over a minute.", host.load_1m),
        ("memory_total_bytes", "Memory of the machine.", host.memory_total_bytes),
        ("memory_used_bytes", "Memory in use.", host.memory_used_bytes),
        ("swap_total_bytes", "Swap of the machine.", host.swap_total_bytes),
        ("swap_used_bytes", "Swap in use.", host.swap_used_bytes),
        ("disk_total_bytes", "The disk that holds Lectern's home.", host.disk_total_bytes),
        ("disk_used_bytes", "Used of that disk.", host.disk_used_bytes),
        ("disk_free_bytes", "Free on that disk.", host.disk_free_bytes),
    ):
        sheet.gauge(f"lectern_host_{part}", meaning, value)
