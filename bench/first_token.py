"""Time to the first word through Lectern's chat against the same prompt sent straight to the server, in turn.

    python bench/first_token.py                           # a scripted server: the first word after 100 ms
    python bench/first_token.py --url URL --model NAME    # any OpenAI-compatible server, such as a small GGUF

Through the chat: from `ask`, which stores the turn, until its text can be read. Straight: from the request, on a
connection that stands, until the first text is parsed. Fails where the chat adds more than 30 ms and more than 5 %.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from services.app import Services, bootstrap
from services.chat.assembly import plain_parts
from services.chat.memory import Remembered
from services.chat.parts import messages_of
from services.core.clock import ticks_ms
from services.core.settings import load

ROOT = Path(__file__).resolve().parent.parent
ROUNDS, DELAY_S = 40, 0.1
MOST_MS, MOST_PERCENT = 30.0, 5.0
LOOK_S = 0.0005
QUESTION = "Round {number}, way {way}: what should a new colleague know about the garden?"


def main() -> None:
    """Measure, print, and fail where the chat adds too much."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", default="")
    parser.add_argument("--model", default="fake-model")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, served(chosen.url) as url:
        services = bootstrap(load(home=home))
        server = services.servers.add_remote("measured", url, model=chosen.model)
        straight, through = measured(services, server.id, url, chosen.model, chosen.rounds)
        services.close()
    direct, chat = statistics.median(straight), statistics.median(through)
    added = statistics.median(theirs - ours for ours, theirs in zip(straight, through, strict=True))
    percent = 100 * added / direct
    print(f"{chosen.rounds} questions each way, median time to the first word:")
    print(f"  straight {direct:.1f} ms   through the chat {chat:.1f} ms   ratio {chat / direct:.3f}")
    print(f"  added {added:.1f} ms, {percent:.1f} % (p95 {p95(through) - p95(straight):+.1f} ms)")
    if added > MOST_MS and percent > MOST_PERCENT:
        sys.exit(f"more than {MOST_MS:.0f} ms and more than {MOST_PERCENT:.0f} %")


@contextmanager
def served(url: str) -> Iterator[str]:
    """The address that was given, or that of a scripted server in a process of its own."""
    if url:
        yield url
        return
    command = [sys.executable, "-m", "tests.fakes.chat_server", "--delay-s", str(DELAY_S), "--answer", "Water it."]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def measured(services: Services, server: str, url: str, model: str, rounds: int) -> tuple[list[float], list[float]]:
    """Milliseconds to the first word of each question, straight and through the chat; each begins every other time."""
    straight: list[float] = []
    through: list[float] = []
    with httpx2.Client(trust_env=False, timeout=120) as client:
        ask_straight(client, url, model, QUESTION.format(number=0, way=0))
        ask_chat(services, server, QUESTION.format(number=0, way=1))
        for number in range(1, rounds + 1):
            for way in ((0, 1), (1, 0))[number % 2]:
                question = QUESTION.format(number=number, way=way)
                if way:
                    through.append(ask_chat(services, server, question))
                else:
                    straight.append(ask_straight(client, url, model, question))
    return straight, through


def ask_straight(client: httpx2.Client, url: str, model: str, question: str) -> float:
    """Milliseconds until the server's first text is there."""
    prompt = messages_of(plain_parts(question, Remembered("", ())))
    messages = [{"role": message.role, "content": message.content} for message in prompt]
    body = {"model": model, "messages": messages, "max_tokens": 8, "stream": True}
    begin, first = ticks_ms(), 0.0
    with client.stream("POST", f"{url}/chat/completions", json=body) as reply:
        for line in reply.iter_lines():
            if not first and line.startswith("data: {") and says_something(json.loads(line[6:])):
                first = ticks_ms() - begin
    return first


def says_something(event: dict[str, list[dict[str, dict[str, str]]]]) -> bool:
    """Whether an event of the stream brings text."""
    return any(choice["delta"].get("content") for choice in event["choices"])


def ask_chat(services: Services, server: str, question: str) -> float:
    """Milliseconds until the first text of an answer can be read; then it is stopped and forgotten."""
    begin = ticks_ms()
    turn = services.chat.ask("bench", question, server=server)
    while not (now := services.chat.turn(turn.id)).answer and now.live:
        time.sleep(LOOK_S)
    first = ticks_ms() - begin
    services.chat.stop("bench", turn.id)
    ended = services.chat.wait(turn.id)
    assert ended.answer, ended.error_code
    services.chat.delete("bench", turn.conversation_id)
    return first


def p95(values: list[float]) -> float:
    """The value that 95 of a hundred do not exceed."""
    return sorted(values)[int(0.95 * (len(values) - 1))]


if __name__ == "__main__":
    main()
