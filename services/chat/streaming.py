"""The stream of one answer, written into its turn as it comes."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

from services.chat.running import Running
from services.core.clock import Stopwatch, ticks_ms
from services.llm.protocol import ChatModel, Event, EventStream, Message, PromptProgress, Sampling, TextDelta
from services.store.conversations import TurnRecord


def stream_into(
    running: Running, model: ChatModel, messages: Sequence[Message], sampling: Sampling, watch: Stopwatch
) -> None:
    """Ask the model and let the turn grow until the answer has ended or was stopped."""
    running.change(state="reading")
    running.write()
    begin = ticks_ms()
    first: float | None = None
    try:
        for event in pumped(model.stream(messages, sampling), running.stop):
            if isinstance(event, TextDelta):
                first = first or ticks_ms()
            running.turn = grown(running.turn, event)
            running.write_when_due()
    finally:
        end = ticks_ms()
        watch.timings_ms["first_token"] = round((first or end) - begin, 1)
        watch.timings_ms["generate"] = round(end - first, 1) if first else 0.0


def grown(turn: TurnRecord, event: Event) -> TurnRecord:
    """The turn after one more event of its stream."""
    if isinstance(event, TextDelta):
        return replace(turn, state="answering", answer=turn.answer + event.text)
    if isinstance(event, PromptProgress):
        return replace(turn, progress_done=event.done, progress_total=event.total)
    return replace(turn, prompt_tokens=event.prompt_tokens, completion_tokens=event.completion_tokens)


def pumped(events: EventStream, stop: threading.Event) -> Iterator[Event]:
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
