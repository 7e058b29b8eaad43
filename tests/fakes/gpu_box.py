"""A home whose GPUs are watched: plays the worker, so that pages find snapshots, a history and managed servers.

`python -m tests.fakes.gpu_box HOME eight` goes on until it is interrupted, for screenshots and benchmarks.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.core.clock import now_ms
from services.core.machine import machine_id, this_process
from services.core.settings import load
from services.core.units import GIB
from services.gpu.history import History
from services.gpu.readings import Ecc, GpuReading, Snapshot
from services.store import StateStore
from services.store.servers import ServerRecord
from tests.fakes.gpu_snapshots import HOST, NO_DRIVER, busy, gpu, lost, sliced, snapshot

MODELS = {
    "assistant": "Qwen/Qwen2.5-72B-Instruct",
    "coder": "Qwen/Qwen2.5-Coder-32B-Instruct",
    "embeddings": "BAAI/bge-m3",
}
Servers = tuple[tuple[str, str, str], ...]
"""Id, name and model of each."""
Scene = Callable[[int, Servers], Snapshot]
SCENES: dict[str, Scene] = {
    "none": lambda at_ms, servers: snapshot(at_ms, driver=NO_DRIVER, host=HOST),
    "one": lambda at_ms, servers: busy(at_ms, 1, servers),
    "odd": lambda at_ms, servers: snapshot(
        at_ms,
        sliced(0, servers[1][0]),
        lost(1),
        gpu(2, throttle_reasons=("sw_power_cap", "hw_thermal"), temperature_celsius=91, ecc=Ecc(True, 4, 1, 7)),
        GpuReading(3, "GPU-3", "Quadro P400", total_bytes=2 * GIB),
    ),
    "two": lambda at_ms, servers: busy(at_ms, 2, servers),
    "eight": lambda at_ms, servers: busy(at_ms, 8, servers),
}


@dataclass(slots=True)
class GpuBox:
    """A machine as its worker tells of it."""

    store: StateStore
    machine_id: str
    history: History
    servers: Servers
    scene: Scene

    def tick(self, at_ms: int | None = None) -> None:
        """Keep one snapshot, and the worker's heartbeat."""
        me = this_process()
        self.store.workers.beat(self.machine_id, "box", me.pid, me.started_at)
        self.history.write(self.scene(now_ms() if at_ms is None else at_ms, self.servers))


def gpu_box(home: Path, scene: Scene, *, past_s: int = 0) -> GpuBox:
    """A box with three servers, and with a history of so many seconds."""
    settings = load(home=home)
    settings.layout.create()
    store, here = StateStore(settings.state_url), machine_id(home)
    servers = tuple((_server(store, here, name, model).id, name, model) for name, model in MODELS.items())
    box = GpuBox(store, here, History(store.readings, here), servers, scene)
    for ago_s in range(past_s, 0, -1):
        box.tick(now_ms() - ago_s * 1000)
    box.tick()
    return box


@contextmanager
def ticking(box: GpuBox) -> Iterator[GpuBox]:
    """The box with a new snapshot each second."""
    ending = threading.Event()

    def run() -> None:
        while not ending.wait(1 - now_ms() % 1000 / 1000):
            box.tick()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield box
    finally:
        ending.set()
        thread.join()
        box.store.close()


def _server(store: StateStore, here: str, name: str, model: str) -> ServerRecord:
    known = store.servers.get(name)
    if known is not None:
        return known
    return store.servers.create(
        machine_id=here,
        name=name,
        engine="vllm",
        model=model,
        spec={},
        managed=True,
        wish="running",
        state="ready",
    )


if __name__ == "__main__":
    with ticking(gpu_box(Path(sys.argv[1]), SCENES[sys.argv[2]], past_s=int((sys.argv[3:] or ["0"])[0]))):
        threading.Event().wait()
