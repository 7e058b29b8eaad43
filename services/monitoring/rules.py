"""What is not well: the kinds of alerts, and the rules that look for them. Pure: from what was seen to verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from services.core.i18n import N_
from services.core.units import GIB, bytes_text, milliseconds_text
from services.gpu.readings import GpuReading, HostReading, Snapshot
from services.serving.states import FAILED, READY, RUN, UNREACHABLE
from services.store.product import ProductSettings
from services.store.servers import ServerRecord

WARNING, CRITICAL = "warning", "critical"
DISK_LOW, SERVER_DOWN = "disk_low", "server_down"
SILENT_MS = 60_000
"""A newest snapshot that is older means that sampling hangs."""
HYSTERESIS_POINTS = 5
"""A share (percent) or a temperature (degrees) clears so far below the value that raises it."""
DISK_HYSTERESIS = 1.2
"""Free disk clears at so many times the value that raises it."""
SLOWDOWN_MARGIN_CELSIUS = 3
DEFAULT_LIMIT_CELSIUS = 85


@dataclass(frozen=True, slots=True)
class Kind:
    """One code of alerts: its level, its words, the page that helps, and how long its cause must hold or be gone.

    `page`: gpus, servers, or none.
    """

    level: str
    message: str
    remedy: str
    page: str
    raise_after_s: float
    clear_after_s: float


KINDS: dict[str, Kind] = {
    "gpu_memory": Kind(
        WARNING,
        N_("The memory of {gpu} is nearly full: {percent} % ({used} of {total})."),
        N_("Stop a server that is not needed, or give the servers on it a smaller gpu_memory_utilization."),
        "gpus",
        raise_after_s=30,
        clear_after_s=30,
    ),
    "gpu_temperature": Kind(
        WARNING,
        N_("{gpu} is hot: {celsius} °C, from {limit} °C on it is too hot."),
        N_("Check its fans, the air flow and the room; a card that is too hot slows down."),
        "gpus",
        raise_after_s=10,
        clear_after_s=30,
    ),
    "gpu_memory_errors": Kind(
        WARNING,
        N_("{gpu} has had memory errors that could not be corrected: {count} since its driver was loaded."),
        N_("Restart the servers on it; if the count grows, reset the card, and have it tested or replaced."),
        "gpus",
        raise_after_s=0,
        clear_after_s=0,
    ),
    "gpu_lost": Kind(
        CRITICAL,
        N_("{gpu} does not answer: {reason}."),
        N_("Look into the system log for the driver's message (Xid); often only a restart of the machine helps."),
        "gpus",
        raise_after_s=10,
        clear_after_s=10,
    ),
    SERVER_DOWN: Kind(
        CRITICAL,
        N_("The server “{name}” should run, but does not."),
        N_("The Servers page says why, and has its log."),
        "servers",
        raise_after_s=0,  # a product setting comes in its place
        clear_after_s=10,
    ),
    DISK_LOW: Kind(
        CRITICAL,
        N_("Only {free} of disk are left at {path}."),
        N_("Free some space, or set LECTERN_HOME to a folder on a larger disk."),
        "",
        raise_after_s=10,
        clear_after_s=10,
    ),
    "host_memory": Kind(
        WARNING,
        N_("The memory of this machine is nearly full: {percent} % ({used} of {total})."),
        N_("Stop a server or another program; a machine without free memory ends programs by itself."),
        "gpus",
        raise_after_s=30,
        clear_after_s=30,
    ),
    "sampling_silent": Kind(
        WARNING,
        N_("GPUs and machine are not read at present (age of the last reading: {age}): what is shown is old."),
        N_("Look into worker.log; if the driver hangs, restart the machine."),
        "gpus",
        raise_after_s=30,
        clear_after_s=5,
    ),
}
SNAPSHOT_CODES = frozenset(KINDS) - {SERVER_DOWN, "sampling_silent"}
GPU_CODES = frozenset(code for code in SNAPSHOT_CODES if code.startswith("gpu_"))


class Verdict(Enum):
    """What a rule says of a value: beyond its limit, well, in between, or not known."""

    BAD = "bad"
    WELL = "well"
    BETWEEN = "between"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Observation:
    """The verdict on one subject under one code; `params` fill the words of its kind."""

    code: str
    subject: str
    verdict: Verdict
    params: dict[str, Any] = field(default_factory=dict)
    raise_after_s: float | None = None
    """Where given, in place of the kind's."""

    @property
    def key(self) -> tuple[str, str]:
        """What makes it one alert."""
        return self.code, self.subject

    def holding_ms(self, *, is_open: bool) -> float:
        """How long a verdict must hold before it counts."""
        kind = KINDS[self.code]
        raise_after_s = kind.raise_after_s if self.raise_after_s is None else self.raise_after_s
        return 1000 * (kind.clear_after_s if is_open else raise_after_s)


@dataclass(frozen=True, slots=True)
class Look:
    """Everything that was looked at. A subject that is absent is gone, unless its code is among the `blind` ones."""

    observations: tuple[Observation, ...]
    blind: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Seen:
    """What the rules look at. `snapshot_age_ms` None: no snapshot was ever taken."""

    machine: str
    home: str
    snapshot: Snapshot | None
    snapshot_age_ms: int | None
    fresh_ms: float
    """A snapshot that is older tells nothing of now."""
    servers: Sequence[ServerRecord] = ()


def look(seen: Seen, limits: ProductSettings) -> Look:
    """Judge everything once."""
    found = [_sampling(seen), *(one for server in seen.servers for one in _server(server, limits))]
    age_ms = seen.snapshot_age_ms
    if seen.snapshot is None or age_ms is None or age_ms > seen.fresh_ms:
        return Look(tuple(found), SNAPSHOT_CODES)
    found += _host(seen, seen.snapshot.host, limits)
    found += [one for gpu in seen.snapshot.gpus for one in _gpu(gpu, limits)]
    return Look(tuple(found), frozenset() if seen.snapshot.driver.version else GPU_CODES)


def disk_limit_bytes(limits: ProductSettings) -> int:
    """The free disk below which it is too little."""
    return int(limits.alert_disk_gib * GIB)


def _sampling(seen: Seen) -> Observation:
    age_ms = seen.snapshot_age_ms
    silent = age_ms is None or age_ms > max(SILENT_MS, seen.fresh_ms)
    verdict = Verdict.BAD if silent else Verdict.WELL
    return Observation("sampling_silent", seen.machine, verdict, {"age": milliseconds_text(age_ms), "age_ms": age_ms})


def _server(server: ServerRecord, limits: ProductSettings) -> Iterator[Observation]:
    if server.managed and server.wish != RUN:
        return
    down = FAILED if server.managed else UNREACHABLE
    known = {down: Verdict.BAD, READY: Verdict.WELL}
    # One that starts may be on its way up, or about to fail once more.
    verdict = known.get(server.state, Verdict.UNKNOWN)
    params = {"name": server.name, "engine": server.engine, "error_code": server.error_code}
    yield Observation(SERVER_DOWN, server.name, verdict, params, limits.alert_server_s)


def _host(seen: Seen, host: HostReading, limits: ProductSettings) -> Iterator[Observation]:
    free, least = host.disk_free_bytes, disk_limit_bytes(limits)
    params = {"free": bytes_text(free), "free_bytes": free, "path": seen.home}
    yield Observation(DISK_LOW, seen.home, _below(free, least, least * DISK_HYSTERESIS), params)
    share = _percent(host.memory_used_bytes, host.memory_total_bytes)
    yield Observation(
        "host_memory",
        seen.machine,
        _above(share, limits.alert_host_memory_percent),
        _memory_params(share, host.memory_used_bytes, host.memory_total_bytes),
    )


def _gpu(gpu: GpuReading, limits: ProductSettings) -> Iterator[Observation]:
    subject = f"GPU {gpu.index}"
    about = {"gpu": f"{subject} ({gpu.name})" if gpu.name else subject, "index": gpu.index, "uuid": gpu.uuid}
    yield Observation(
        "gpu_lost", subject, Verdict.BAD if gpu.error else Verdict.WELL, {**about, "reason": gpu.error or ""}
    )
    share = _percent(gpu.used_bytes, gpu.total_bytes)
    memory = _memory_params(share, gpu.used_bytes, gpu.total_bytes)
    yield Observation("gpu_memory", subject, _above(share, limits.alert_gpu_memory_percent), {**about, **memory})
    limit = limits.alert_temperature_celsius or _own_limit_celsius(gpu)
    heat = {**about, "celsius": gpu.temperature_celsius, "limit": limit}
    yield Observation("gpu_temperature", subject, _above(gpu.temperature_celsius, limit), heat)
    errors = gpu.ecc.uncorrected
    yield Observation("gpu_memory_errors", subject, _above(errors, 1, 1), {**about, "count": errors})


def _own_limit_celsius(gpu: GpuReading) -> int:
    known = gpu.temperature_limit_celsius
    return known - SLOWDOWN_MARGIN_CELSIUS if known else DEFAULT_LIMIT_CELSIUS


def _memory_params(share: float | None, used: int | None, total: int | None) -> dict[str, Any]:
    return {
        "percent": None if share is None else int(share),
        "used": bytes_text(used),
        "total": bytes_text(total),
        "used_bytes": used,
        "total_bytes": total,
    }


def _percent(part: int | None, whole: int | None) -> float | None:
    return None if part is None or not whole else 100 * part / whole


def _above(value: float | None, limit: float, clear: float | None = None) -> Verdict:
    """`clear`: the value is well below it; without one, so many points under the limit."""
    if value is None:
        return Verdict.UNKNOWN
    if value >= limit:
        return Verdict.BAD
    return Verdict.WELL if value < (limit - HYSTERESIS_POINTS if clear is None else clear) else Verdict.BETWEEN


def _below(value: float | None, limit: float, clear: float) -> Verdict:
    if value is None:
        return Verdict.UNKNOWN
    if value < limit:
        return Verdict.BAD
    return Verdict.WELL if value > clear else Verdict.BETWEEN
