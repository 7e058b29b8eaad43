"""An answer that grows in this process, and how it is written down meanwhile."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

from services.core.clock import ticks_ms
from services.store.conversations import TurnRecord, TurnRows

WRITE_EVERY_MS = 500
STORED = (
    *("state", "standalone", "answer", "reasoning", "settings", "bases", "notes", "passages", "timings_ms"),
    *("server_name", "model", "prompt_tokens", "completion_tokens", "progress_done", "progress_total", "queue_place"),
    *("error_code", "error_params"),
)
"""Fields that change while it grows."""


class Running:
    """A turn as it stands. One thread changes it; any may look at it, stop it, or wait for its end."""

    def __init__(self, turn: TurnRecord, rows: TurnRows) -> None:
        self.turn = turn
        self.stop = threading.Event()
        self.done = threading.Event()
        self._rows = rows
        self._written = turn
        self._written_ms = ticks_ms()

    def change(self, **values: Any) -> TurnRecord:
        """Change fields of the turn; `write` stores them."""
        self.turn = replace(self.turn, **values)
        return self.turn

    def note(self, note: dict[str, Any]) -> None:
        """Add what is to be said about the turn; once."""
        if note not in self.turn.notes:
            self.change(notes=[*self.turn.notes, note])

    def write(self) -> None:
        """Store what has changed of the turn, and hear whether another process wants it stopped."""
        turn, before = self.turn, self._written
        fields = {name: getattr(turn, name) for name in STORED if getattr(turn, name) is not getattr(before, name)}
        stored = self._rows.update(turn.id, **fields)
        if stored is None or stored.stop_requested:
            self.stop.set()
        self._written, self._written_ms = turn, ticks_ms()

    def write_when_due(self) -> None:
        """Store the turn where that was last done a while ago."""
        if ticks_ms() - self._written_ms >= WRITE_EVERY_MS:
            self.write()
