"""The machine around the GPUs: processors, memory, disk."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

from services.gpu.readings import HostReading


class Host:
    """Reads the host; the share of the processors in use is that since the reading before. Not thread-safe."""

    def __init__(self, home: Path) -> None:
        """`home`: a folder on the disk that is to be watched."""
        self._home = home
        self._cpu: tuple[float, float] | None = None

    def read(self) -> HostReading:
        """The host now. Cost: under a millisecond."""
        memory, swap, disk = psutil.virtual_memory(), psutil.swap_memory(), _disk(self._home)
        return HostReading(
            cpu_percent=self._cpu_percent(),
            cpu_count=psutil.cpu_count(),
            load_1m=os.getloadavg()[0],
            memory_total_bytes=memory.total,
            memory_used_bytes=memory.total - memory.available,
            swap_total_bytes=swap.total,
            swap_used_bytes=swap.used,
            disk_total_bytes=disk[0],
            disk_used_bytes=disk[1],
            disk_free_bytes=disk[2],
        )

    def _cpu_percent(self) -> float | None:
        """None at the first reading: one look at a counter is no rate."""
        times = psutil.cpu_times()
        whole = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)  # counted in user as well
        now = (whole, times.idle + getattr(times, "iowait", 0.0))
        before, self._cpu = self._cpu, now
        if before is None or now[0] <= before[0]:
            return None
        return round(min(100.0, max(0.0, 100.0 * (1 - (now[1] - before[1]) / (now[0] - before[0])))), 1)


def _disk(path: Path) -> tuple[int | None, int | None, int | None]:
    try:
        usage = psutil.disk_usage(str(path))
    except OSError:
        return None, None, None
    return usage.total, usage.used, usage.free
