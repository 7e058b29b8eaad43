"""Waiting until a server may be asked: for one's turn, and for a server that is still on its way."""

from __future__ import annotations

from services.chat.ports import Target
from services.chat.running import Running
from services.chat.turnstile import Waiting
from services.llm.protocol import Endpoint


def queued(running: Running, waiting: Waiting) -> None:
    """Wait for one's turn, until the answer is stopped; the turn tells its place meanwhile."""
    while (place := waiting.place()) and not running.stop.is_set():
        running.change(queue_place=place)
        running.write_when_due()
    running.change(queue_place=None)


def reached(running: Running, target: Target) -> Endpoint | None:
    """Where to ask, once the server is there; None where the answer was stopped before."""
    if running.stop.is_set():
        return None
    if target.when_ready is None:
        return target.endpoint

    def given_up() -> bool:
        running.write_when_due()
        return running.stop.is_set()

    return target.when_ready(given_up)
