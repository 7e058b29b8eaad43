"""What the API adds to a streamed answer: time to the first token and to the end, beside the server asked directly.

    python bench/api_overhead.py [--rounds 60] [--streams 20]

A small server that streams thirty pieces a second stands behind; both ways are asked in turn, so that whatever else the
machine does meets both. Prints medians, the difference, and what many streams at a time bring.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.fakes.api_server import ApiServer, running_api  # noqa: E402
from tests.fakes.chat_server import MODEL, running_chat_server  # noqa: E402

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


async def measured(api: ApiServer, direct: str, rounds: int, streams: int) -> None:
    ways = {"directly": (direct, MODEL), "server:": (api.url, "server:fake"), "kb:": (api.url, "kb:Garden")}
    async with httpx.AsyncClient(timeout=60, trust_env=False, limits=httpx.Limits(max_connections=None)) as http:
        for url, model in ways.values():
            await asked(http, url, model)
        taken: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way, (url, model) in ways.items():
                taken[way].append((await asked(http, url, model))[0])
        base = statistics.median(taken["directly"])
        for way, times in taken.items():
            p95 = statistics.quantiles(times, n=20)[-1]
            median = statistics.median(times)
            print(f"first token, {way:9} p50 {median:6.1f} ms  p95 {p95:6.1f} ms  added {median - base:+6.1f} ms")
        for way, (url, model) in ways.items():
            found = await asyncio.gather(*(asked(http, url, model) for _ in range(streams)))
            whole = sum(pieces == len(ANSWER.split()) for *_, pieces in found)
            # A base's answer is looked at each hundredth of a second: two pieces may come as one.
            ends, pauses = [row[1] for row in found], [row[2] for row in found]
            print(
                f"{streams} at once, {way:9} end p50 {statistics.median(ends):6.0f} ms  max {max(ends):6.0f} ms  "
                f"longest pause {max(pauses):5.0f} ms  pieces apart {whole}/{streams}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--streams", type=int, default=20)
    chosen = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as home,
        running_chat_server(answer=ANSWER, delay_s=1 / 30, engine="llama.cpp") as server,
        running_api(Path(home)) as api,
    ):
        api.services.servers.add_remote("fake", server.url, model=MODEL)
        api.settle(api.services.knowledge.create("Garden"), pump_txt=b"The pump starts at six.")
        asyncio.run(measured(api, server.url, chosen.rounds, chosen.streams))


if __name__ == "__main__":
    main()
