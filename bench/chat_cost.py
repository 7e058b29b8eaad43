"""What Lectern itself costs in a chat: for an answer, for a session that is open, and when twenty people ask at once.

A fake model server, a process of its own, streams at a fixed pace. The same request sent by a bare client is the
baseline; the two alternate.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.gpus_page import ROOT, SETTLE_S, Reader, served
from services.app import Services, bootstrap
from services.core.settings import load
from services.llm.client import OpenAIChatModel
from services.llm.protocol import Endpoint, Message, Sampling, TextDelta

OWNER = "bench"
PEOPLE, WORDS, PACE_S = 20, 150, 1 / 30
STALL_MS = 200.0
WAIT_S = 120


@contextmanager
def fake_server(words: int, delay_s: float) -> Iterator[str]:
    """A model server that says so many words at this pace; its address."""
    answer = " ".join(["word"] * words)
    command = [sys.executable, "-m", "tests.fakes.chat_server", "--port", "0", "--answer", answer]
    process = subprocess.Popen([*command, "--delay-s", str(delay_s)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(10)


def bare(url: str, messages: Sequence[Message]) -> tuple[float, float]:
    """Milliseconds of a whole answer and of its longest silence, for a client without Lectern."""
    model, begin = OpenAIChatModel(Endpoint("bare", url)), time.perf_counter()
    at, longest = 0.0, 0.0
    for event in model.stream(messages, Sampling(max_tokens=1000)):
        if isinstance(event, TextDelta):
            now = time.perf_counter()
            longest, at = max(longest, now - at if at else 0.0), now
    return 1000 * (time.perf_counter() - begin), 1000 * longest


def watched(services: Services, question: str, base_ids: Sequence[str] = ()) -> tuple[float, float]:
    """The same through Lectern, as a page sees it; a lost or cut answer ends the benchmark."""
    begin = time.perf_counter()
    turn = services.chat.ask(OWNER, question, base_ids=base_ids, heed_words=False)
    at, longest, seen = 0.0, 0.0, ""
    while turn.live and time.perf_counter() - begin < WAIT_S:
        if turn.answer != seen:
            now = time.perf_counter()
            longest, at, seen = max(longest, now - at if at else 0.0), now, turn.answer
        time.sleep(0.01)
        turn = services.chat.turn(turn.id)
    took = 1000 * (time.perf_counter() - begin)
    if turn.state != "done" or not turn.answer.strip().endswith("word"):
        raise SystemExit(f"an answer was lost: {turn.state} {turn.error_code}")
    return took, 1000 * longest


def at_once(act: Callable[[int], tuple[float, float]], people: int) -> list[tuple[float, float]]:
    """What so many people see who ask at the same moment."""
    seen: list[tuple[float, float]] = []
    threads = [threading.Thread(target=lambda number=number: seen.append(act(number))) for number in range(people)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(seen) != people:
        raise SystemExit(f"{people - len(seen)} of {people} answers were lost")
    return seen


def own_cost(services: Services, base_id: str, answers: int) -> None:
    """Print what an answer costs beside the model server: it says ten words at once."""
    with fake_server(10, 0) as url:
        services.servers.add_remote("quick", url)
        question, plain = "When does the pump of the north well start?", [Message("user", "Hello?")]
        watched(services, question, [base_id]), watched(services, "Hello?"), bare(url, plain)
        for name, base_ids in (("chat", []), ("from documents", [base_id])):
            own = []
            for number in range(answers):
                floor, _ = bare(url, plain)
                took, _ = watched(services, f"{question} {number}", base_ids)
                own.append(took - floor)
            own.sort()
            p50, p95 = statistics.median(own), own[int(len(own) * 0.95)]
            print(f"own cost of an answer, {name}: p50 {p50:.0f} ms, p95 {p95:.0f} ms ({answers} answers)")
        services.servers.remove("quick")


def people_at_once(services: Services, people: int, words: int) -> bool:
    """Print the longest silence that people see, with Lectern and without; whether it adds no stall."""
    with fake_server(words, PACE_S) as url:
        services.servers.add_remote("paced", url)
        watched(services, "Warm?")
        without = at_once(lambda number: bare(url, [Message("user", f"{number}?")]), people)
        within = at_once(lambda number: watched(services, f"What is {number}?"), people)
        services.servers.remove("paced")
    silences = [max(silence for _took, silence in seen) for seen in (within, without)]
    took = [statistics.median(took for took, _silence in seen) for seen in (within, without)]
    added = silences[0] - silences[1]
    print(f"{people} people at 30 tokens/s: {people} whole answers, {took[0] / took[1]:.2f} times as long as bare")
    print(
        f"longest silence {silences[0]:.0f} ms, bare {silences[1]:.0f} ms: {added:.0f} ms added (limit {STALL_MS:.0f})"
    )
    return added <= STALL_MS


async def session_memory(home: Path, people: int) -> None:
    """Print what each open Chat page takes of the web process."""
    with served(home) as (web, url):
        ending = asyncio.Event()
        first = asyncio.create_task(Reader(url, "Chat", 0).look(ending))
        await asyncio.sleep(2 * SETTLE_S)
        before = web.memory_info().rss
        others = [asyncio.create_task(Reader(url, "Chat", 0).look(ending)) for _person in range(people)]
        await asyncio.sleep(3 * SETTLE_S)
        each = (web.memory_info().rss - before) / people / 2**20
        print(f"memory of a session: {each:.2f} MiB ({people} open Chat pages; web process {before / 2**20:.0f} MiB)")
        ending.set()
        await asyncio.gather(first, *others)


def filled(services: Services) -> str:
    """A small base, read here and now; its id."""
    import io

    from services.knowledge.ingest import Ingest
    from services.knowledge.loaders.protocol import Limits
    from services.knowledge.loaders.reader import Reader as FileReader

    base = services.knowledge.create("Bench")
    text = b"# Pump\n\nThe pump of the north well starts at six in the morning."
    services.knowledge.add(base, "pump.md", io.BytesIO(text))
    reader = FileReader(Limits(pages=50, characters=200_000, timeout_s=60, memory_bytes=4 * 1024**3))
    ingest = Ingest(services.stores, reader, services.embedders)
    for key in services.stores.of(base).pending():
        for step in (ingest.read, ingest.split, ingest.embed, ingest.publish):
            step(base, key)
    reader.close()
    return base.id


def main() -> None:
    """Measure everything over an empty home; exit 1 where an answer stalls."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, default=40)
    parser.add_argument("--people", type=int, default=PEOPLE)
    parser.add_argument("--words", type=int, default=WORDS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        services = bootstrap(load(home=folder, embedded=False))
        own_cost(services, filled(services), arguments.answers)
        calm = people_at_once(services, arguments.people, arguments.words)
        services.close()
        asyncio.run(session_memory(Path(folder), arguments.people))
    sys.exit(0 if calm else 1)


if __name__ == "__main__":
    main()
