"""What the GPUs page costs the web process while one reader watches, then ten: eight GPUs, three processes on each.

The real `streamlit run web.py`, asked over websockets as a browser asks it. The same sessions on the Settings page,
which does not refresh, are the baseline; what they cost is taken off.
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
READERS, SECONDS, SETTLE_S = 10, 30, 4
TICK_MS, CORE_PERCENT = 15.0, 10.0
PAST_S = 900


@dataclass(slots=True)
class Reader:
    """A browser that looks at one page: it asks for each fragment as often as the page told it to."""

    url: str
    page: str
    longest_s: float
    """Fragments that are refreshed less often are left alone."""
    page_hash: str = ""
    ticks: int = 0
    refreshing: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    async def look(self, ending: asyncio.Event) -> None:
        """Open the page and watch it until the end."""
        protocols = ["streamlit", "PLACEHOLDER_AUTH_TOKEN"]
        async with connect(f"{self.url}/_stcore/stream", subprotocols=protocols, max_size=None) as socket:
            await self._ask(socket)
            receiving = asyncio.create_task(self._receive(socket))
            await ending.wait()
            for task in (receiving, *self.refreshing.values()):
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
            if kind == "new_session":
                self.page_hash = message.new_session.page_script_hash
            elif kind == "auto_rerun":
                asked = message.auto_rerun
                if asked.fragment_id not in self.refreshing and asked.interval <= self.longest_s:
                    task = asyncio.create_task(self._refresh(socket, asked.fragment_id, asked.interval))
                    self.refreshing[asked.fragment_id] = task

    async def _refresh(self, socket: ClientConnection, fragment: str, every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            self.ticks += every_s == 1.0
            await self._ask(socket, fragment)


@contextmanager
def served(home: Path) -> Iterator[tuple[psutil.Process, str]]:
    """The web process over a home, and its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "web.py", "--server.port", str(port)]
    environment = {**os.environ, "LECTERN_HOME": str(home), "LECTERN_EMBEDDED": "false"}
    with (home / "web-output.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        for _attempt in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        yield psutil.Process(process.pid), f"ws://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


async def cost(
    web: psutil.Process, url: str, page: str, readers: int, seconds: int, longest_s: float = 60.0
) -> tuple[float, int]:
    """CPU seconds of the web process in a second while so many look at a page, and their ticks."""
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
    """CPU seconds so far, without those of children."""
    times = process.cpu_times()
    return float(times.user + times.system)


async def measure(web: psutil.Process, url: str) -> bool:
    """Print the figures; whether they keep within the budget."""
    rest, _none = await cost(web, url, "Settings", READERS, 5)
    print(f"{READERS:2} on Settings: {100 * rest:8.1f} % of a core")
    alone, ticks = await cost(web, url, "GPUs", 1, SECONDS // 2, longest_s=1.0)
    tick_ms = 1000 * (alone - rest / READERS) * (SECONDS // 2) / max(1, ticks)
    print(f" 1 on GPUs: {tick_ms:10.1f} ms CPU a tick ({ticks} ticks)")
    all_of_them, ticks = await cost(web, url, "GPUs", READERS, SECONDS)
    share = 100 * (all_of_them - rest)
    print(f"{READERS:2} on GPUs: {share:10.1f} % of a core, charts included ({ticks} ticks in {SECONDS} s)")
    return ticks > 0 and tick_ms <= TICK_MS and share <= CORE_PERCENT


def main() -> None:
    """Eight GPUs, three servers, three processes on each GPU, fifteen minutes of history."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        box: GpuBox = gpu_box(home, SCENES["eight"], past_s=PAST_S)
        with ticking(box), served(home) as (web, url):
            kept = asyncio.run(measure(web, url))
    print(f"within {TICK_MS:.0f} ms a tick and {CORE_PERCENT:.0f} % of a core: {'yes' if kept else 'no'}")


if __name__ == "__main__":
    main()
