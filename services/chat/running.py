"""An answer that grows in this process, and how it is written down meanwhile."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

from services.core.clock import ticks_ms
from services.store.conversations import TurnRecord, TurnRows

WRITE_EVERY_MS = 500


class Running:
    """A turn as it stands. One thread changes it; any may look at it, stop it, or wait for its end."""

    def __init__(self, turn: TurnRecord, rows: TurnRows) -> None:
        self.turn = turn
        self.stop = threading.Event()
        self.done = threading.Event()
        self._rows = rows
        self._written_ms = ticks_ms()

    def change(self, **values: Any) -> TurnRecord:
        """Change fields of the turn; `write` stores them."""
        self.turn = replace(self.turn, **values)
        return self.turn

    def write(self) -> None:
        """Store the turn as it stands, and hear whether another process wants it stopped."""
        turn = self.turn
        stored = self._rows.update(
            turn.id,
            state=turn.state,
            answer=turn.answer,
            settings=turn.settings,
            base_name=turn.base_name,
            passages=turn.passages,
            timings_ms=turn.timings_ms,
            prompt_tokens=turn.prompt_tokens,
            completion_tokens=turn.completion_tokens,
            progress_done=turn.progress_done,
            progress_total=turn.progress_total,
            error_code=turn.error_code,
            error_params=turn.error_params,
        )
        if stored is None or stored.stop_requested:
            self.stop.set()
        self._written_ms = ticks_ms()

    def write_when_due(self) -> None:
        """Store the turn where that was last done a while ago."""
        if ticks_ms() - self._written_ms >= WRITE_EVERY_MS:
            self.write()
