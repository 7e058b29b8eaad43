"""Start and stop a badly behaved engine again and again: afterwards nothing of it may be left.

    python bench/start_stop.py                # 50 cycles
    python bench/start_stop.py --cycles 10

Each cycle starts a real server of the fake engine under the supervisor, in one of its bad habits, and stops it at the
moment that the habit makes hardest. After each cycle the machine is searched: processes that carry its launch token,
listeners on its port, file descriptors of this process. Exits with 1 where anything is left.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import psutil

from services.core.clock import ticks_ms
from services.core.paths import Layout
from services.serving import children
from services.serving.patience import Patience
from services.serving.service import ServerService
from services.serving.states import FAILED, READY, STARTING, STOPPED
from services.serving.supervisor import Supervisor
from services.store import StateStore
from services.store.servers import ServerRecord
from tests.fakes.engine import MODEL, FakeEngine

ENGINES = {"fake": FakeEngine()}
PATIENCE = Patience(grace_s=0.5, readiness_s=0.05, first_restart_s=0.1, longest_restart_s=0.4)
LIMIT_S = 60.0
ALL = ("--ignore-sigterm", "--fork-children", "--print-megabytes", "4", "--slow-start", "0.3")


@dataclass(frozen=True)
class Habit:
    """How the engine misbehaves, and the state in which it is stopped."""

    name: str
    flags: tuple[str, ...]
    stop_in: str = READY
    processes: int = 2
    """How many it must have by then, its runner among them."""


HABITS = (
    Habit("behaves", ()),
    Habit("ignores SIGTERM", ("--ignore-sigterm",)),
    Habit("forks children that leave the group", ("--fork-children",)),
    Habit("answers slowly", ("--slow-start", "0.5")),
    Habit("stopped while it starts", ("--never-ready",), STARTING),
    Habit("never opens its port", ("--never-listen", "--fork-children"), STARTING, 4),
    Habit("prints 8 MB", ("--print-megabytes", "8")),
    Habit("crashes late", ("--fork-children", "--crash-after", "1.0"), FAILED, 0),
    Habit("fails at once", ("--fail", "--fork-children"), FAILED, 0),
    Habit("all of it together", ALL),
)


@dataclass
class Left:
    """What a cycle has left behind."""

    processes: int
    listeners: int
    descriptors: int
    stop_ms: float


class Desk:
    """A home of its own with one server at a time."""

    def __init__(self, home: Path) -> None:
        layout = Layout(home)
        layout.create()
        self.tokens: set[str] = set()
        self.store = StateStore(f"sqlite:///{layout.state_db}")
        self.service = ServerService(self.store.servers, layout, machine_id="bench", engines=ENGINES)
        self.supervisor = Supervisor(self.store.servers, layout, machine_id="bench", engines=ENGINES, patience=PATIENCE)

    def cycle(self, habit: Habit) -> Left:
        """One life of one server."""
        before = psutil.Process().num_fds()
        spec = {"model": MODEL, "flags": list(habit.flags)}
        made = self.service.create("engine", "fake", spec)
        self.service.start(made.id)
        row = self._until(made.id, lambda row: row.state == habit.stop_in and _count(row) >= habit.processes)
        begin = ticks_ms()
        self.service.stop(made.id)
        self._until(made.id, lambda row: row.state == STOPPED)
        stop_ms = ticks_ms() - begin
        self.service.remove(made.id)
        self.supervisor.tick()
        processes = [each for token in self.tokens for each in children.owned(None, token)]
        return Left(
            len(processes) + len(_strays()),
            0 if children.port_is_free(row.port or 0) else 1,
            max(0, psutil.Process().num_fds() - before),
            stop_ms,
        )

    def close(self) -> None:
        """Let go."""
        self.supervisor.close()
        self.store.close()

    def _until(self, server_id: str, done: Callable[[ServerRecord], object]) -> ServerRecord:
        deadline = time.monotonic() + LIMIT_S
        while not done(row := self._row(server_id)):
            if time.monotonic() > deadline:
                raise SystemExit(f"it never happened: {row}")
            self.supervisor.tick()
            time.sleep(0.01)
        return row

    def _row(self, server_id: str) -> ServerRecord:
        row = self.service.show(server_id)
        if row.launch_token:
            self.tokens.add(row.launch_token)
        return row


def _count(row: ServerRecord) -> int:
    return len(children.owned(None, row.launch_token)) if row.launch_token else 0


def _strays() -> list[psutil.Process]:
    """Children of this process that live: runners, and what was left to us by them."""
    return [child for child in psutil.Process().children(recursive=True) if child.status() != psutil.STATUS_ZOMBIE]


def main() -> None:
    """Run the cycles, print a line for each habit, and say what was left."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cycles", type=int, default=50)
    cycles = parser.parse_args().cycles
    logging.disable(logging.WARNING)
    found: dict[str, list[Left]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as home:
        desk = Desk(Path(home))
        desk.cycle(HABITS[0])  # opens what stays open: the database, the threads that ask
        for number in range(cycles):
            habit = HABITS[number % len(HABITS)]
            found[habit.name].append(desk.cycle(habit))
        desk.close()
    total = _print(found)
    sys.exit(1 if total else 0)


def _print(found: dict[str, list[Left]]) -> int:
    print(f"{'habit':38}{'cycles':>7}{'processes':>11}{'ports':>7}{'handles':>9}{'stop, median':>14}")
    sums = [0, 0, 0, 0]
    for name, lives in found.items():
        row = [len(lives), *(sum(getattr(life, key) for life in lives) for key in ("processes", "listeners"))]
        row.append(sum(life.descriptors for life in lives))
        sums = [a + b for a, b in zip(sums, row, strict=True)]
        print(f"{name:38}{row[0]:7}{row[1]:11}{row[2]:7}{row[3]:9}{median(x.stop_ms for x in lives):11.0f} ms")
    print(f"{'left over':38}{sums[0]:7}{sums[1]:11}{sums[2]:7}{sums[3]:9}")
    return sum(sums[1:])


if __name__ == "__main__":
    main()
