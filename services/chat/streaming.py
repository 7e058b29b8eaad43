"""The stream of one answer, written into its turn as it comes."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace

from services.chat.loops import LoopWatch
from services.chat.notes import LOOPED
from services.chat.reasoning import Thoughts
from services.chat.running import Running
from services.core.clock import Stopwatch, ticks_ms
from services.llm.protocol import ChatModel, Event, EventStream, Message, PromptProgress, Sampling, Usage
from services.store.conversations import TurnRecord


def stream_into(
    running: Running, model: ChatModel, messages: Sequence[Message], sampling: Sampling, watch: Stopwatch
) -> str | None:
    """Ask the model and let the turn grow until the answer has ended or was stopped; returns why it ended.

    What an earlier server had said stays until this one says something. An answer from documents ends where it begins
    to repeat itself; in a chat somebody may have wished for that.
    """
    running.change(state="reading", progress_done=None, progress_total=None)
    running.write()
    growth, watched, begin = Growth(), LoopWatch(), ticks_ms()
    try:
        with closing(pumped(model.stream(messages, sampling), running.stop)) as events:
            for event in events:
                running.turn = growth.grown(running.turn, event)
                running.write_when_due()
                if running.turn.bases and (whole := watched.end(running.turn.answer)):
                    running.change(answer=running.turn.answer[:whole])
                    return LOOPED
    finally:
        end, first = ticks_ms(), growth.first_ms
        watch.timings_ms["first_token"] = round((first or end) - begin, 1)
        watch.timings_ms["generate"] = round(end - first, 1) if first else 0.0
    return growth.finish_reason


class Growth:
    """How a turn grows with the events of one stream."""

    def __init__(self) -> None:
        self.first_ms: float | None = None
        """When the first word came, be it said or thought."""
        self.finish_reason: str | None = None
        self._thoughts = Thoughts()

    def grown(self, turn: TurnRecord, event: Event) -> TurnRecord:
        """The turn after one more event."""
        if isinstance(event, PromptProgress):
            return replace(turn, progress_done=event.done, progress_total=event.total)
        if isinstance(event, Usage):
            self.finish_reason = event.finish_reason
            return replace(turn, prompt_tokens=event.prompt_tokens, completion_tokens=event.completion_tokens)
        self.first_ms = self.first_ms or ticks_ms()
        self._thoughts.hear(event)
        return replace(turn, state="answering", answer=self._thoughts.answer, reasoning=self._thoughts.reasoning)


def pumped(events: EventStream, stop: threading.Event) -> Generator[Event]:
    """The same events, read by a thread of their own: a server that says nothing for long cannot hold up a stop."""
    arrived: queue.SimpleQueue[Event | BaseException | None] = queue.SimpleQueue()

    def pump() -> None:
        try:
            for event in events:
                arrived.put(event)
            arrived.put(None)
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            arrived.put(error)

    threading.Thread(target=pump, name="answer-stream", daemon=True).start()
    try:
        while not stop.is_set():
            with contextlib.suppress(queue.Empty):
                item = arrived.get(timeout=0.1)
                if item is None:
                    return
                if isinstance(item, BaseException):
                    raise item
                yield item
    finally:
        events.close()
