"""Whose turn it is: a server answers as many at once as it has slots, the others wait in the order in which they came.

What is done in the background borrows a slot only while nobody asks, and gives it back when somebody does.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

WAIT_S = 0.2


@dataclass
class _Server:
    inside: int = 0
    waiting: list[object] = field(default_factory=list)
    lent: threading.Event | None = None
    """Set to recall the slot that is lent to background work."""


class Turnstile:
    """The queues of all servers of this process. Thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._servers: defaultdict[str, _Server] = defaultdict(_Server)

    def enter(self, server_id: str, slots: int | None) -> Waiting:
        """Take one's place; `Waiting.inside` tells when it is one's turn."""
        waiting = Waiting(self, server_id, slots)
        with self._changed:
            server = self._servers[server_id]
            server.waiting.append(waiting)
            if server.lent:
                server.lent.set()
        return waiting

    @contextmanager
    def borrowed(self, server_id: str) -> Iterator[threading.Event | None]:
        """A slot for background work, as the event that recalls it; None where somebody is being answered or waits."""
        with self._changed:
            server = self._servers[server_id]
            free = not server.inside and not server.waiting and server.lent is None
            recall = threading.Event() if free else None
            if recall:
                server.lent = recall
        try:
            yield recall
        finally:
            if recall:
                with self._changed:
                    server.lent = None
                    self._changed.notify_all()

    def turn(self, waiting: Waiting) -> int:
        """Wait a moment at most; returns how many come first, 0 when it is one's turn."""
        with self._changed:
            place = self._place(waiting)
            if place:
                self._changed.wait(WAIT_S)
                place = self._place(waiting)
            return place

    def leave(self, waiting: Waiting, *, inside: bool) -> None:
        """Go, whether it was one's turn or not."""
        with self._changed:
            server = self._servers[waiting.server_id]
            if inside:
                server.inside -= 1
            elif waiting in server.waiting:
                server.waiting.remove(waiting)
            self._changed.notify_all()

    def _place(self, waiting: Waiting) -> int:
        server = self._servers[waiting.server_id]
        ahead = server.waiting.index(waiting)
        taken = server.inside + (server.lent is not None)
        free = ahead + 1 if waiting.slots is None else waiting.slots - taken
        if ahead < free:
            server.waiting.remove(waiting)
            server.inside += 1
            return 0
        return ahead - max(free, 0) + 1


class Waiting:
    """One's place in the queue of a server. One thread uses it."""

    def __init__(self, turnstile: Turnstile, server_id: str, slots: int | None) -> None:
        self.server_id = server_id
        self.slots = slots
        self._turnstile = turnstile
        self._inside = False

    def place(self) -> int:
        """Wait a moment at most; returns how many come first, 0 when it is one's turn."""
        place = 0 if self._inside else self._turnstile.turn(self)
        self._inside = not place
        return place

    def leave(self) -> None:
        """Go, whether it was one's turn or not."""
        self._turnstile.leave(self, inside=self._inside)
        self._inside = False
