"""What the GPUs page costs the web process while one reader watches, then ten: eight GPUs, three processes on each.

The real `streamlit run web.py`, asked over websockets as a browser asks it. The baseline is Streamlit itself: a page of
one line that refreshes as often, watched by as many. What either process costs while nobody looks is taken off.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.fakes.gpu_box import SCENES, GpuBox, gpu_box, ticking

ROOT = Path(__file__).resolve().parent.parent
READERS, SETTLE_S, TICK_S = 10, 4, 1.0
SECONDS = 30
"""Each reader refreshes the charts twice in this time."""
TICK_MS, CORE_PERCENT = 15.0, 10.0
PAST_S = 900
BARE = """
import streamlit as st

st.fragment(run_every=1.0)(st.html)("<p>now</p>")
"""
CPUCLOCK_SCHED = 2


@dataclass(slots=True)
class Reader:
    """A browser that looks at one page: it asks for each fragment as often as the page told it to."""

    url: str
    page: str
    longest_s: float
    """Fragments that are refreshed less often are left alone."""
    page_hash: str = ""
    ticks: int = 0
    """How often what refreshes each second was drawn."""
    every_s: dict[str, float] = field(default_factory=dict)
    refreshing: list[asyncio.Task[None]] = field(default_factory=list)

    async def look(self, ending: asyncio.Event) -> None:
        """Open the page and watch it until the end."""
        protocols = ["streamlit", "PLACEHOLDER_AUTH_TOKEN"]
        async with connect(f"{self.url}/_stcore/stream", subprotocols=protocols, max_size=None) as socket:
            await self._ask(socket)
            receiving = asyncio.create_task(self._receive(socket))
            await ending.wait()
            for task in (receiving, *self.refreshing):
                task.cancel()

    async def _ask(self, socket: ClientConnection, fragment: str = "") -> None:
        message = BackMsg()
        state = message.rerun_script
        state.page_name, state.page_script_hash = ("", self.page_hash) if self.page_hash else (self.page, "")
        state.fragment_id, state.is_auto_rerun = fragment, bool(fragment)
        state.context_info.timezone, state.context_info.locale = "Europe/Berlin", "en-GB"
        await socket.send(message.SerializeToString())

    async def _receive(self, socket: ClientConnection) -> None:
        async for frame in socket:
            message = ForwardMsg.FromString(frame)  # type: ignore[arg-type]
            kind = message.WhichOneof("type")
            if kind == "navigation":
                self.page_hash = message.navigation.page_script_hash
            elif kind == "auto_rerun":
                asked = message.auto_rerun
                if asked.fragment_id not in self.every_s and asked.interval <= self.longest_s:
                    self.every_s[asked.fragment_id] = asked.interval
                    task = asyncio.create_task(self._refresh(socket, asked.fragment_id, asked.interval))
                    self.refreshing.append(task)
            elif kind == "script_finished":
                drawn = message.metadata.run.fragment_ids
                self.ticks += any(self.every_s.get(fragment) == TICK_S for fragment in drawn)

    async def _refresh(self, socket: ClientConnection, fragment: str, every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            await self._ask(socket, fragment)


@contextmanager
def served(home: Path, script: str = "web.py") -> Iterator[tuple[psutil.Process, str]]:
    """The web process over a home, and its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", script, "--server.port", str(port)]
    environment = {**os.environ, "LECTERN_HOME": str(home), "LECTERN_EMBEDDED": "false"}
    with (home / "web-output.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        for _attempt in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        yield psutil.Process(process.pid), f"ws://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


async def idle(web: psutil.Process, seconds: int) -> float:
    """CPU seconds of a web process in a second while nobody looks."""
    before = spent(web)
    await asyncio.sleep(seconds)
    return (spent(web) - before) / seconds


async def cost(
    web: psutil.Process, url: str, page: str, readers: int, seconds: int, longest_s: float = 60.0
) -> tuple[float, int]:
    """CPU seconds of the web process in a second while so many look at a page, and their ticks in that time."""
    ending = asyncio.Event()
    looking = [Reader(url, page, longest_s) for _reader in range(readers)]
    tasks = []
    for reader in looking:
        tasks.append(asyncio.create_task(reader.look(ending)))
        await asyncio.sleep(1.0 / readers)
    await asyncio.sleep(SETTLE_S)
    before, ticks = spent(web), sum(reader.ticks for reader in looking)
    begin = time.monotonic()
    await asyncio.sleep(seconds)
    used, took = spent(web) - before, time.monotonic() - begin
    seen = sum(reader.ticks for reader in looking) - ticks
    ending.set()
    await asyncio.gather(*tasks)
    return used / took, seen


def spent(process: psutil.Process) -> float:
    """CPU seconds so far, without those of children: by Linux's clock of the process, as /proc counts in 10 ms."""
    return time.clock_gettime((~process.pid << 3) | CPUCLOCK_SCHED)


async def measure(web: psutil.Process, url: str, bare: psutil.Process, bare_url: str) -> bool:
    """Print the figures; whether they keep within the budget. Both processes are watched at the same time."""
    await asyncio.sleep(SETTLE_S)
    rest, bare_rest = await asyncio.gather(idle(web, SECONDS // 3), idle(bare, SECONDS // 3))
    print(f"nobody: {100 * rest:.1f} % of a core (a bare page: {100 * bare_rest:.1f} %)")
    within = True
    for readers, longest_s, what in ((1, TICK_S, "its ticks alone"), (READERS, 60.0, "charts included")):
        (used, ticks), (floor, _ticks) = await asyncio.gather(
            cost(web, url, "GPUs", readers, SECONDS, longest_s), cost(bare, bare_url, "", readers, SECONDS)
        )
        share, bare_share = used - rest, floor - bare_rest
        tick_ms = 1000 * share * SECONDS / max(1, ticks)
        print(
            f"{readers:2} watching: {tick_ms:.1f} ms CPU a tick, {100 * share:.1f} % of a core, {what} "
            f"({ticks} ticks in {SECONDS} s); {share / bare_share:.2f} times as much as a bare page"
        )
        within = within and ticks > 0 and (tick_ms <= TICK_MS if readers == 1 else 100 * share <= CORE_PERCENT)
    return within


def main() -> None:
    """Eight GPUs, three servers, three processes on each GPU, fifteen minutes of history."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as other:
        home = Path(folder)
        page = Path(other, "page.py")
        page.write_text(BARE)
        box: GpuBox = gpu_box(home, SCENES["eight"], past_s=PAST_S)
        with ticking(box), served(home) as web, served(page.parent, str(page)) as bare:
            kept = asyncio.run(measure(*web, *bare))
    print(f"within {TICK_MS:.0f} ms a tick and {CORE_PERCENT:.0f} % of a core: {'yes' if kept else 'no'}")


if __name__ == "__main__":
    main()
