"""What was seen at one instant: the driver, each GPU, who holds its memory, and the host around it.

Plain frozen values, which a row keeps as JSON. What could not be read is None, never zero. Sizes are bytes, clocks MHz,
power watts, temperatures degrees Celsius, shares percent.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import TypeAdapter


@dataclass(frozen=True, slots=True)
class DriverState:
    """The NVIDIA driver: its versions, or why it does not answer (words of ours, to be translated)."""

    version: str | None = None
    cuda_version: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose process holds memory. A managed server has its id, name and model; a stranger only user and command."""

    user: str | None = None
    command: str | None = None
    server_id: str | None = None
    server: str | None = None
    model: str | None = None
    how: str | None = None
    """How the server was recognised: token, session, ancestry or estimate."""


@dataclass(frozen=True, slots=True)
class Holding:
    """Memory that one process holds on one GPU.

    `pid` is None for an estimate: what a launch added to a GPU whose processes cannot be seen from here.
    """

    pid: int | None
    used_bytes: int | None
    kind: str = "compute"
    """compute, graphics or both."""
    gpu_instance: int | None = None
    """The MIG instance that it runs on."""
    holder: Holder | None = None


@dataclass(frozen=True, slots=True)
class MigInstance:
    """One slice of a GPU in MIG mode."""

    gpu_instance: int | None
    compute_instance: int | None
    uuid: str | None
    profile: str | None
    total_bytes: int | None
    used_bytes: int | None
    free_bytes: int | None


@dataclass(frozen=True, slots=True)
class Ecc:
    """Memory errors since the driver was loaded; the uncorrected ones over the life of the card as well."""

    enabled: bool | None = None
    corrected: int | None = None
    uncorrected: int | None = None
    uncorrected_lifetime: int | None = None


@dataclass(frozen=True, slots=True)
class Pcie:
    """The link to the host, as it is and as it could be; throughput in bytes a second."""

    generation: int | None = None
    max_generation: int | None = None
    width: int | None = None
    max_width: int | None = None
    rx_bytes_per_s: int | None = None
    tx_bytes_per_s: int | None = None


@dataclass(frozen=True, slots=True)
class GpuReading:
    """One GPU at one instant. `error`: why it does not answer (words of ours); then everything else may be None."""

    index: int
    uuid: str | None = None
    name: str | None = None
    error: str | None = None
    total_bytes: int | None = None
    used_bytes: int | None = None
    free_bytes: int | None = None
    reserved_bytes: int | None = None
    """What the driver keeps for itself; not part of `used_bytes` where the driver tells them apart."""
    utilization_percent: int | None = None
    memory_utilization_percent: int | None = None
    temperature_celsius: int | None = None
    temperature_limit_celsius: int | None = None
    """Where the card begins to slow down."""
    fan_percent: int | None = None
    power_watts: float | None = None
    power_limit_watts: float | None = None
    sm_clock_mhz: int | None = None
    max_sm_clock_mhz: int | None = None
    memory_clock_mhz: int | None = None
    max_memory_clock_mhz: int | None = None
    performance_state: int | None = None
    throttle_reasons: tuple[str, ...] | None = None
    """Codes of what holds the clocks back (`THROTTLE_REASONS`); empty: nothing does."""
    ecc: Ecc = field(default_factory=Ecc)
    pcie: Pcie = field(default_factory=Pcie)
    mig_enabled: bool | None = None
    mig: tuple[MigInstance, ...] = ()
    holdings: tuple[Holding, ...] | None = None
    """None: the driver does not tell its processes."""

    @property
    def unattributed_bytes(self) -> int | None:
        """Used memory that no visible process accounts for: contexts of the driver, processes that cannot be seen."""
        if self.used_bytes is None or self.holdings is None:
            return None
        return max(0, self.used_bytes - sum(holding.used_bytes or 0 for holding in self.holdings))


@dataclass(frozen=True, slots=True)
class Devices:
    """What the driver told: itself and its GPUs."""

    driver: DriverState
    gpus: tuple[GpuReading, ...] = ()


@dataclass(frozen=True, slots=True)
class HostReading:
    """The machine around the GPUs. `disk_*` are of the disk that holds Lectern's home."""

    cpu_percent: float | None = None
    """Of all cores together, since the reading before."""
    cpu_count: int | None = None
    load_1m: float | None = None
    memory_total_bytes: int | None = None
    memory_used_bytes: int | None = None
    swap_total_bytes: int | None = None
    swap_used_bytes: int | None = None
    disk_total_bytes: int | None = None
    disk_used_bytes: int | None = None
    disk_free_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All GPUs and the host at one instant."""

    taken_at_ms: int
    driver: DriverState
    gpus: tuple[GpuReading, ...]
    host: HostReading

    def json(self) -> str:
        """As a row keeps it."""
        return _SNAPSHOT.dump_json(self).decode()

    @staticmethod
    def of(json: str) -> Snapshot:
        """The snapshot that a row holds. Raises: ValueError where another version of Lectern wrote it."""
        return _SNAPSHOT.validate_json(json)


_SNAPSHOT = TypeAdapter(Snapshot)
