"""What the API adds to a streamed answer: time to the first token and to the end, beside the server asked directly.

    python bench/api_overhead.py [--rounds 60] [--streams 20]

A small server that streams thirty pieces a second stands behind; both ways are asked in turn, so that whatever else the
machine does meets both. Prints medians, the difference, and what many streams at a time bring.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.fakes.api_server import running_api  # noqa: E402
from tests.fakes.chat_server import MODEL  # noqa: E402

ANSWER = "word " * 30
QUESTION = [{"role": "user", "content": "When does the pump start?"}]


async def asked(http: httpx.AsyncClient, url: str, model: str) -> tuple[float, float, float, int]:
    """Milliseconds to the first text and to the end, the longest pause between pieces, and how many pieces came."""
    begin = last = time.perf_counter()
    first, longest, pieces = 0.0, 0.0, 0
    body = {"model": model, "messages": QUESTION, "stream": True}
    async with http.stream("POST", f"{url}/chat/completions", json=body) as response:
        response.raise_for_status()
        async for line in response.aiter_lines():
            if not line.startswith("data: {"):
                continue
            choices = json.loads(line[6:]).get("choices") or [{"delta": {}}]
            if not choices[0]["delta"].get("content"):
                continue
            now = time.perf_counter()
            first = first or now
            longest = max(longest, now - last) if pieces else 0.0
            last, pieces = now, pieces + 1
    return (first - begin) * 1000, (time.perf_counter() - begin) * 1000, longest * 1000, pieces


async def measured(api: str, direct: str, process: psutil.Process, rounds: int, streams: int) -> None:
    """Ask in each way in turn, then by many at a time."""
    ways = {"directly": (direct, MODEL), "server:": (api, "server:fake"), "kb:": (api, "kb:Garden")}
    async with httpx.AsyncClient(timeout=60, trust_env=False, limits=httpx.Limits(max_connections=None)) as http:
        for url, model in ways.values():
            await asked(http, url, model)
        taken: dict[str, list[float]] = {way: [] for way in ways}
        spent = dict.fromkeys(ways, 0.0)
        for _ in range(rounds):
            for way, (url, model) in ways.items():
                before = _cpu_ms(process)
                taken[way].append((await asked(http, url, model))[0])
                spent[way] += _cpu_ms(process) - before
        base = statistics.median(taken["directly"])
        for way, times in taken.items():
            p95, median = statistics.quantiles(times, n=20)[-1], statistics.median(times)
            print(
                f"first token, {way:9} p50 {median:6.1f} ms  p95 {p95:6.1f} ms  added {median - base:+6.1f} ms  "
                f"CPU of the API {spent[way] / rounds:5.1f} ms an answer"
            )
        for way, (url, model) in ways.items():
            found = await asyncio.gather(*(asked(http, url, model) for _ in range(streams)))
            ends, pauses = [row[1] for row in found], [row[2] for row in found]
            print(
                f"{streams} at once, {way:9} end p50 {statistics.median(ends):6.0f} ms  max {max(ends):6.0f} ms  "
                f"longest pause {max(pauses):5.0f} ms"
            )


def _cpu_ms(process: psutil.Process) -> float:
    times = process.cpu_times()
    return (times.user + times.system) * 1000


@contextmanager
def _child(arguments: list[str], home: Path) -> Iterator[tuple[str, psutil.Process]]:
    """A program that prints its address in its first line."""
    environment = {**os.environ, "LECTERN_HOME": str(home), "LECTERN_EMBEDDED": "false", "PYTHONPATH": str(ROOT)}
    child = subprocess.Popen(
        [sys.executable, "-m", *arguments], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None
        line = child.stdout.readline()
        yield next(word.rstrip(".") for word in line.split() if word.startswith("http")), psutil.Process(child.pid)
    finally:
        child.terminate()
        child.wait(20)


def main() -> None:
    """Set everything up, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--streams", type=int, default=20)
    chosen = parser.parse_args()
    fake = ["tests.fakes.chat_server", "--answer", ANSWER.strip(), "--delay", str(1 / 30), "--engine", "llama.cpp"]
    with tempfile.TemporaryDirectory() as folder, _child(fake, Path(folder)) as (direct, _):
        with running_api(Path(folder)) as making:
            making.services.servers.add_remote("fake", direct, model=MODEL)
            making.settle(making.services.knowledge.create("Garden"), pump_txt=b"The pump starts at six.")
        with _child(["services", "api", "--port", "8790"], Path(folder)) as (api, process):
            asyncio.run(_when_up(api))
            asyncio.run(measured(api, direct, process, chosen.rounds, chosen.streams))


async def _when_up(api: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        for _ in range(600):
            try:
                await http.get(f"{api}/models")
            except httpx.TransportError:
                await asyncio.sleep(0.05)
            else:
                return


if __name__ == "__main__":
    main()
