"""What watching eight GPUs with three processes each costs: our whole tick against one query of gpustat and of nvitop.

All three read the same double of libnvidia-ml.so.1 once a second, each in a process of its own, in an order that turns
each second. Ours is what the worker does: read the driver and the host, tell whose processes they are, write snapshot
and history to the database. Theirs is only the reading. CPU time of the process, user and system, of all threads.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.fakes.nvml import GIB, Gpu, Process, Scenario, ScenarioFile, build, eight_gpus

GPUS, PROCESSES_EACH, SERVERS, WARM_UP = 8, 3, 3, 3
NVIDIA_SMI_MS = 7.0
"""Published cost of one plain query of nvidia-smi; with many GPUs and a full query it is seconds."""
TOKEN = "LECTERN_LAUNCH_TOKEN"
Role = tuple[Callable[[], Any], Callable[[Any], dict[str, int]]]
"""One look, and what it saw in numbers."""


def main() -> None:
    """Watch for a minute, or as long as was asked; exit 1 where another one is cheaper."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--play", choices=ROLES, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.play:
        play(*ROLES[chosen.play]())
        return
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        environment = box(Path(folder), stack)
        players = [Player(role, stack.enter_context(playing(role, environment))) for role in ROLES]
        for _ in range(WARM_UP):
            for player in players:
                player.tick()
        for player in players:
            player.costs_ms.clear()
        begin = time.monotonic()
        for second in range(chosen.seconds):
            time.sleep(max(0.0, begin + second - time.monotonic()))
            turn = second % len(players)
            for player in players[turn:] + players[:turn]:
                player.tick()
        sys.exit(report(players, chosen.seconds))


def box(folder: Path, stack: ExitStack) -> dict[str, str]:
    """Eight busy GPUs whose processes really run, three servers among them; returns a child's environment."""
    pids = [stack.enter_context(sleeping(number)) for number in range(GPUS * PROCESSES_EACH)]
    gpus = []
    for number, gpu in enumerate(eight_gpus(PROCESSES_EACH)):
        held = pids[number * PROCESSES_EACH : (number + 1) * PROCESSES_EACH]
        processes = tuple(Process(pid, (20 - 2 * place) * GIB) for place, pid in enumerate(held))
        gpus.append(Gpu(**{**{name: getattr(gpu, name) for name in gpu.__slots__}, "processes": processes}))
    file = ScenarioFile(folder / "gpus.txt")
    file.write(Scenario(gpus=tuple(gpus)))
    return {**os.environ, **build(folder).environment(file.path), "LECTERN_HOME": str(folder / "home")}


@contextmanager
def sleeping(number: int) -> Iterator[int]:
    """A process that does nothing; the first few carry the launch token of a server."""
    environment = {**os.environ, **({TOKEN: f"token-{number}"} if number < SERVERS else {})}
    process = subprocess.Popen(["sleep", "600"], env=environment)
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


class Player:
    """One of the three, in its process."""

    def __init__(self, role: str, process: subprocess.Popen[str]) -> None:
        self.role = role
        self.costs_ms: list[float] = []
        self.seen: dict[str, int] = {}
        self._process = process

    def tick(self) -> None:
        """Have it look once."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write("look\n")
        self._process.stdin.flush()
        row = json.loads(self._process.stdout.readline())
        self.costs_ms.append(row["cpu_ms"])
        self.seen = row["seen"]


@contextmanager
def playing(role: str, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A child that looks whenever it is told to."""
    command = [sys.executable, __file__, "--play", role]
    process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.stdin.close()
        process.wait(30)


def play(look: Callable[[], Any], seen: Callable[[Any], dict[str, int]]) -> None:
    """Be that child: `look` is measured, what was `seen` is not."""
    for _ in sys.stdin:
        begin = time.process_time()
        found = look()
        cost_ms = (time.process_time() - begin) * 1000
        print(json.dumps({"cpu_ms": cost_ms, "seen": seen(found)}), flush=True)


def ours() -> Role:
    """The tick of the worker's sampler."""
    from services.app import bootstrap
    from services.core.settings import load
    from services.gpu.sampler import Sampler

    services = bootstrap(load(embedded=False), samples=True)
    for number in range(SERVERS):
        server = services.store.servers.create(
            machine_id=services.machine_id,
            name=f"server {number}",
            engine="vllm",
            model="Qwen/Qwen2.5-7B-Instruct",
            spec={},
            managed=True,
            wish="running",
            state="ready",
        )
        services.store.servers.update(server.id, launch_token=f"token-{number}")
    sampler = Sampler(services.gpus, 1.0)

    def seen(_: object) -> dict[str, int]:
        taken = services.gpus.sampled()
        holdings = [each for gpu in taken.gpus for each in gpu.holdings or ()]
        named = [each.holder for each in holdings if each.holder]
        servers = sum(1 for holder in named if holder.server)
        return {"GPUs": len(taken.gpus), "processes": len(holdings), "of servers": servers, "named": len(named)}

    return sampler.tick, seen


def gpustat() -> Role:
    """What `gpustat --watch` does each second, without the printing."""
    from gpustat import GPUStatCollection

    def seen(found: GPUStatCollection) -> dict[str, int]:
        return {"GPUs": len(found), "processes": sum(len(gpu.processes or ()) for gpu in found)}

    return GPUStatCollection.new_query, seen


def nvitop() -> Role:
    """What nvitop's own collectors do each second: devices opened once, a snapshot of them and their processes."""
    from nvitop import Device, take_snapshots

    devices = Device.all()

    def seen(found: Any) -> dict[str, int]:
        return {"GPUs": len(found.devices), "processes": len(found.gpu_processes)}

    return lambda: take_snapshots(devices), seen


ROLES = {"lectern": ours, "gpustat": gpustat, "nvitop": nvitop}


def report(players: list[Player], seconds: int) -> int:
    """Print what each cost; 1 where ours costs more than another."""
    print(f"{GPUS} GPUs, {PROCESSES_EACH} processes each, once a second for {seconds} s; CPU time")
    print(f"{'':12} {'median ms':>10} {'mean ms':>9} {'highest ms':>11} {'s a minute':>11} {'to ours':>9}   saw")
    mean = {player.role: statistics.fmean(player.costs_ms) for player in players}
    for player in players:
        costs, ratio = player.costs_ms, mean[player.role] / mean["lectern"]
        seen = ", ".join(f"{count} {what}" for what, count in player.seen.items())
        figures = f"{statistics.median(costs):10.2f} {mean[player.role]:9.2f} {max(costs):11.2f}"
        print(f"{player.role:12} {figures} {mean[player.role] * 60 / 1000:11.3f} {ratio:9.2f}   {seen}")
    print(f"{'nvidia-smi':12} {'':10} {NVIDIA_SMI_MS:9.2f} {'':11} {NVIDIA_SMI_MS * 60 / 1000:11.3f} ", end="")
    print(f"{NVIDIA_SMI_MS / mean['lectern']:9.2f}   published for one plain query, not measured here")
    return int(any(cost < mean["lectern"] for cost in mean.values()))


if __name__ == "__main__":
    main()
