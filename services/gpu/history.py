"""The history of snapshots, in steps that grow with age: 1 s for 15 minutes, 10 s for a day, 1 min for a month.

A longer step keeps the highest memory, temperature and disk use that was seen in it (what breaks things is the peak),
and the mean of what is a rate: utilisation, power, processors. A figure that was never readable in a step is None.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from pydantic import TypeAdapter

from services.core.units import MIB
from services.gpu.readings import GpuReading, HostReading, Snapshot
from services.store.readings import ReadingRecord, ReadingRows

Figure = float | None
Figures = tuple[Figure, ...]

GPU_FIGURES = ("used_mib", "utilization_percent", "temperature_celsius", "power_watts")
HOST_FIGURES = ("cpu_percent", "memory_mib", "disk_mib")
PEAKS = ("used_mib", "temperature_celsius", "memory_mib", "disk_mib")
"""Figures of which a longer step keeps the highest; of the others it keeps the mean."""


@dataclass(frozen=True, slots=True)
class Step:
    """A length of step, and how long its rows are kept."""

    seconds: int
    kept_s: int

    def begin_ms(self, at_ms: int) -> int:
        """When the step that holds a moment began."""
        return at_ms - at_ms % (self.seconds * 1000)


STEPS = (Step(1, 15 * 60), Step(10, 24 * 3600), Step(60, 31 * 24 * 3600))
PRUNE_EVERY_MS = 60_000
UNWRITTEN_ROWS = 1000
"""Most rows that wait for a database that takes none at present: those of about 15 minutes."""


@dataclass(frozen=True, slots=True)
class Point:
    """The figures of one step: `gpus` by `key_of(uuid)` in the order of GPU_FIGURES, the host as HOST_FIGURES."""

    at_ms: int
    gpus: Mapping[str, Figures]
    host: Figures


@dataclass(slots=True)
class _Growing:
    """A step that is not over yet."""

    step: Step
    begin_ms: int = -1
    points: list[Point] = field(default_factory=list)

    def add(self, point: Point) -> list[tuple[Step, Point]]:
        """Take a point in; returns the step that is over with it, if one is."""
        begin_ms = self.step.begin_ms(point.at_ms)
        over = []
        if begin_ms != self.begin_ms:
            if self.points:
                over = [(self.step, combined(self.points, self.begin_ms))]
            self.begin_ms, self.points = begin_ms, []
        self.points.append(point)
        return over


class History:
    """Writes and reads the history of one machine. One process writes (`write`), any may read. Not thread-safe."""

    def __init__(self, rows: ReadingRows, machine_id: str) -> None:
        self._rows = rows
        self._machine_id = machine_id
        self._growing: list[_Growing] = []
        self._unwritten: list[ReadingRecord] = []
        self._pruned_at_ms = 0

    def write(self, snapshot: Snapshot) -> None:
        """Keep a snapshot as the newest, and as part of the history.

        What cannot be written is written with the next one. Raises: DiskFull, DatabaseUnavailable.
        """
        point = point_of(snapshot)
        if not self._growing:
            self._growing = self._resumed(point.at_ms)
        done = [(STEPS[0], point), *(step for growing in self._growing for step in growing.add(point))]
        self._unwritten += [ReadingRecord(step.seconds, at.at_ms, _row(at)) for step, at in done]
        self._unwritten = self._unwritten[-UNWRITTEN_ROWS:]
        too_old = self._too_old(point.at_ms)
        self._rows.record(self._machine_id, snapshot.taken_at_ms, snapshot.json(), self._unwritten, too_old)
        self._unwritten = []

    def points(self, since_ms: int, until_ms: int, most: int = 600) -> list[Point]:
        """The history of a span of time, oldest first, in at most about `most` points.

        It comes in the finest step that was kept for the whole span.
        """
        span_s = (until_ms - since_ms) / 1000
        step = next((step for step in STEPS if span_s <= step.kept_s), STEPS[-1])
        records = self._rows.between(self._machine_id, step.seconds, since_ms, until_ms)
        return thinned(map(_point, records), max(1, round(span_s / most)) * 1000)

    def _resumed(self, now_ms: int) -> list[_Growing]:
        """The steps that grew when the worker before this one ended, however it did."""
        growing = [_Growing(step) for step in STEPS[1:]]
        records = self._rows.between(self._machine_id, STEPS[0].seconds, 0, now_ms - 1)
        for each in growing:
            begin_ms = each.step.begin_ms(records[-1].taken_at_ms) if records else now_ms
            for record in records:
                if record.taken_at_ms >= begin_ms:
                    each.add(_point(record))
        return growing

    def _too_old(self, now_ms: int) -> dict[int, int]:
        if abs(now_ms - self._pruned_at_ms) < PRUNE_EVERY_MS:
            return {}
        self._pruned_at_ms = now_ms
        return {step.seconds: now_ms - step.kept_s * 1000 for step in STEPS}


def key_of(gpu: GpuReading) -> str:
    """The short name of a GPU in the history: it outlives a changed order, and costs 8 characters a row, not 40."""
    return f"{zlib.crc32((gpu.uuid or f'index {gpu.index}').encode()):08x}"


def point_of(snapshot: Snapshot) -> Point:
    """The few figures of a snapshot that are kept."""
    gpus = {key_of(gpu): _gpu_figures(gpu) for gpu in snapshot.gpus}
    return Point(snapshot.taken_at_ms, gpus, _host_figures(snapshot.host))


def combined(points: Sequence[Point], at_ms: int) -> Point:
    """Several points as one."""
    keys = {key: None for point in points for key in point.gpus}
    gpus = {key: _merge(GPU_FIGURES, (point.gpus[key] for point in points if key in point.gpus)) for key in keys}
    return Point(at_ms, gpus, _merge(HOST_FIGURES, (point.host for point in points)))


def thinned(points: Iterable[Point], every_ms: int) -> list[Point]:
    """Points at most one to each `every_ms`, of points in the order of time."""
    groups = (list(group) for _, group in groupby(points, lambda point: point.at_ms // every_ms))
    return [group[0] if len(group) == 1 else combined(group, group[0].at_ms) for group in groups]


def _gpu_figures(gpu: GpuReading) -> Figures:
    power = None if gpu.power_watts is None else round(gpu.power_watts)
    return (_mib(gpu.used_bytes), gpu.utilization_percent, gpu.temperature_celsius, power)


def _host_figures(host: HostReading) -> Figures:
    cpu = None if host.cpu_percent is None else round(host.cpu_percent)
    return (cpu, _mib(host.memory_used_bytes), _mib(host.disk_used_bytes))


def _mib(count: int | None) -> int | None:
    return None if count is None else round(count / MIB)


def _merge(names: Sequence[str], rows: Iterable[Figures]) -> Figures:
    return tuple(_one(name, column) for name, column in zip(names, zip(*rows, strict=True), strict=True))


def _one(name: str, column: Sequence[Figure]) -> Figure:
    known = [figure for figure in column if figure is not None]
    if not known:
        return None
    return max(known) if name in PEAKS else round(sum(known) / len(known))


_FIGURES: TypeAdapter[tuple[dict[str, tuple[int | None, ...]], tuple[int | None, ...]]] = TypeAdapter(
    tuple[dict[str, tuple[int | None, ...]], tuple[int | None, ...]]
)


def _row(point: Point) -> str:
    return _FIGURES.dump_json((dict(point.gpus), point.host)).decode()  # type: ignore[arg-type]


def _point(record: ReadingRecord) -> Point:
    gpus, host = _FIGURES.validate_json(record.reading)
    return Point(record.taken_at_ms, gpus, host)
