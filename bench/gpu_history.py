"""How large the history of eight GPUs grows over a simulated month, and how long reading it takes.

Every reading goes through `History.write` with the time that is simulated, so the steps are combined and pruned by
the product's own code. What is not kept by the second is not simulated by the second: the month comes in readings a
minute apart, its last day in readings 10 s apart, its last 20 minutes in readings a second apart. Rows are committed in
batches.
"""

from __future__ import annotations

import random
import sqlite3
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sqlalchemy import func, insert, select

from services.core.clock import ticks_ms
from services.core.units import GIB, KIB, MIB
from services.gpu.history import STEPS, History
from services.gpu.readings import DriverState, GpuReading, Holder, Holding, HostReading, Snapshot
from services.store import StateStore
from services.store.readings import ReadingRecord, ReadingRows
from services.store.schema import readings

GPUS, PROCESSES_EACH = 8, 3
MACHINE = "bench-0123456789"
MINUTE, HOUR, DAY = 60, 3600, 86_400
BEGIN_S = 1_790_000_000
BATCH = 500
RANGES = {"15 min": 15 * MINUTE, "1 h": HOUR, "6 h": 6 * HOUR, "1 day": DAY, "7 days": 7 * DAY, "31 days": 31 * DAY}


def main() -> None:
    """Simulate the month and one day more; exit 1 where the file still grows."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "state.sqlite3")
        store = StateStore(f"sqlite:///{path}")
        empty = size(path, store)
        rows = Batched(store)
        history = History(rows, MACHINE)
        end_s = BEGIN_S + 32 * DAY
        simulate(history, BEGIN_S, end_s)
        rows.flush()
        month = size(path, store)
        show_rows(store)
        print(f"database file: {month / MIB:.1f} MiB ({empty / KIB:.0f} KiB of it empty tables), ", end="")
        print(f"{(month - empty) / GPUS / MIB:.2f} MiB a GPU, with the host's share")
        show_reading(History(store.readings, MACHINE), end_s)
        simulate(history, end_s, end_s + DAY)
        rows.flush()
        later = size(path, store)
        print(f"\none day later: {later / MIB:.1f} MiB, {(later - month) / KIB:+.0f} KiB")
        show_rows(store)
        show_writing(store, end_s + DAY)
        store.close()
        sys.exit(int(later > month * 1.02))


class Batched(ReadingRows):
    """Rows that are committed some hundreds at a time, in the order in which they came."""

    def __init__(self, store: StateStore) -> None:
        super().__init__(store.database)
        self._waiting: list[ReadingRecord] = []
        self._kept_since_ms: dict[int, int] = {}

    def record(
        self,
        machine_id: str,
        taken_at_ms: int,
        snapshot: str,
        steps: Sequence[ReadingRecord],
        kept_since_ms: Mapping[int, int],
    ) -> None:
        self._waiting += steps
        self._kept_since_ms.update(kept_since_ms)
        if len(self._waiting) >= BATCH:
            self.flush()
            super().record(machine_id, taken_at_ms, snapshot, (), self._kept_since_ms)

    def flush(self) -> None:
        """Commit what waits."""
        values = [
            {"machine_id": MACHINE, "step_s": step.step_s, "taken_at_ms": step.taken_at_ms, "reading": step.reading}
            for step in self._waiting
        ]
        with self.database.transaction() as connection:
            connection.execute(insert(readings), values)
        self._waiting = []


def simulate(history: History, begin_s: int, end_s: int) -> None:
    """Write what a worker would have seen, as finely as it is kept."""
    for at_s in moments(begin_s, end_s):
        history.write(snapshot(at_s))


def moments(begin_s: int, end_s: int) -> Iterator[int]:
    """Seconds at which a reading is taken."""
    at_s = begin_s
    while at_s < end_s:
        yield at_s
        left = end_s - at_s
        at_s += 1 if left <= 20 * MINUTE else 10 if left <= DAY else MINUTE


CHANCE = random.Random(7)
HOLDINGS = tuple(
    Holding(400_000 + place, (20 - 2 * place) * GIB, holder=Holder("lectern", "VLLM::EngineCore", "id", "qwen", "Qwen"))
    for place in range(PROCESSES_EACH)
)


def snapshot(at_s: int) -> Snapshot:
    """Eight GPUs at work; no two readings are alike."""
    gpus = tuple(
        GpuReading(
            index,
            uuid=f"GPU-00000000-0000-0000-0000-{index:012d}",
            name="NVIDIA H100 80GB HBM3",
            total_bytes=80 * GIB,
            used_bytes=CHANCE.randrange(10 * GIB, 80 * GIB),
            utilization_percent=CHANCE.randrange(101),
            temperature_celsius=CHANCE.randrange(30, 90),
            power_watts=CHANCE.uniform(70, 700),
            holdings=HOLDINGS,
        )
        for index in range(GPUS)
    )
    host = HostReading(
        cpu_percent=CHANCE.uniform(0, 100),
        memory_used_bytes=CHANCE.randrange(GIB, 900 * GIB),
        disk_used_bytes=CHANCE.randrange(GIB, 4000 * GIB),
    )
    return Snapshot(at_s * 1000, DriverState("580.65.06", "13.0"), gpus, host)


def size(path: Path, store: StateStore) -> int:
    """Bytes of the database file, with everything that waits in its log written to it."""
    store.database.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path.stat().st_size


def show_rows(store: StateStore) -> None:
    """Print the rows of each step, and what is the most that it keeps."""
    with store.database.reading() as connection:
        counted = dict(connection.execute(select(readings.c.step_s, func.count()).group_by(readings.c.step_s)).all())
    for step in STEPS:
        most = step.kept_s // step.seconds
        print(f"step of {step.seconds:2} s: {counted.get(step.seconds, 0):6} rows (kept: {most})")


def show_reading(history: History, end_s: int) -> None:
    """Print how long each range takes to read."""
    print(f"\n{'range':8} {'points':>7} {'ms':>8}")
    for name, seconds in RANGES.items():
        times = []
        for _ in range(5):
            begin = ticks_ms()
            points = history.points((end_s - seconds) * 1000, end_s * 1000)
            times.append(ticks_ms() - begin)
        print(f"{name:8} {len(points):7} {statistics.median(times):8.1f}")


def show_writing(store: StateStore, end_s: int) -> None:
    """Print how long one reading takes to write, each committed for itself."""
    history, times = History(store.readings, MACHINE), []
    for at_s in range(end_s, end_s + 200):
        taken = snapshot(at_s)
        begin = ticks_ms()
        history.write(taken)
        times.append(ticks_ms() - begin)
    print(f"\nwriting one reading: {statistics.median(times):.2f} ms")


if __name__ == "__main__":
    main()
