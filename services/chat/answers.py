"""A question becomes an answer: searched, fitted, streamed, written down while it grows.

The answer grows here, not on a page: a reload or a page switch finds it again. It is written to the state database at
least once a second with the process that owns it, so that every process can show it, and so that a dead owner is
noticed.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from services.chat.attach import attached
from services.chat.budget import fit, passage_budget
from services.chat.ports import OpenModel, Passage, PassageSearch, Servers, Target
from services.chat.prompts import (
    REFUSALS,
    fixed_messages,
    grounded_messages,
    plain_messages,
    question_language,
)
from services.core.clock import Stopwatch, ticks_ms
from services.core.errors import AppError, ConversationNotFound, EmptyAnswer, EmptyQuestion, Unexpected
from services.core.log import incident
from services.core.machine import Process, this_process
from services.llm.protocol import ChatModel, Endpoint, Event, EventStream, Message, PromptProgress, Sampling, TextDelta
from services.store.conversations import ConversationRecord, ConversationRows, TurnRecord, TurnRows
from services.store.product import ProductSettings

logger = logging.getLogger(__name__)

CHAT, KNOWLEDGE = "chat", "knowledge"
ATTACHED = "attached"
"""In a turn's settings: its marks were attached here, not written by the model."""
WRITE_EVERY_MS = 500
TITLE_CHARACTERS = 60
UNKNOWN_CONTEXT = 4096
"""Taken where a server does not tell its context length: what small servers have at least."""


@dataclass
class Running:
    """An answer that grows in this process."""

    turn: TurnRecord
    stop: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)


class ChatService:
    """Conversations and their answers. Thread-safe."""

    def __init__(
        self,
        conversations: ConversationRows,
        turns: TurnRows,
        *,
        search: PassageSearch,
        servers: Servers,
        open_model: OpenModel,
        product: Callable[[], ProductSettings],
        machine_id: str,
    ) -> None:
        self._conversations = conversations
        self._turns = turns
        self._search = search
        self._servers = servers
        self._open_model = open_model
        self._product = product
        self._machine_id = machine_id
        self._me = this_process()
        self._running: dict[str, Running] = {}
        self._lock = threading.Lock()

    # conversations ---------------------------------------------------------------------------------------------------
    def conversations(self, owner_id: str) -> list[ConversationRecord]:
        """An owner's conversations, the last used first."""
        return self._conversations.all(owner_id)

    def conversation(self, owner_id: str, conversation_id: str) -> ConversationRecord:
        """One of the owner's conversations. Raises: ConversationNotFound."""
        found = self._conversations.of(owner_id, conversation_id)
        if found is None:
            raise ConversationNotFound()
        return found

    def delete(self, owner_id: str, conversation_id: str) -> None:
        """Delete a conversation with its turns; what is being answered stops."""
        for turn in self.turns(owner_id, conversation_id):
            self.stop(turn.id)
        self._conversations.remove(conversation_id)

    def turns(self, owner_id: str, conversation_id: str) -> list[TurnRecord]:
        """A conversation's turns as they stand. Raises: ConversationNotFound."""
        self.conversation(owner_id, conversation_id)
        return [self._seen(turn) for turn in self._turns.of(conversation_id)]

    # answers ---------------------------------------------------------------------------------------------------------
    def ask(
        self,
        owner_id: str,
        question: str,
        *,
        conversation_id: str | None = None,
        base_id: str | None = None,
        server: str | None = None,
        top_k: int | None = None,
    ) -> TurnRecord:
        """Begin to answer in the background; `turn` tells how far it is.

        Args:
            base_id: the knowledge base to answer from; None: plain chat.
            server: id or name; None: the one that is ready.
        Raises: EmptyQuestion, ConversationNotFound, ServerNotFound, NoServer.
        """
        asked = question.strip()
        if not asked:
            raise EmptyQuestion()
        target = self._servers(server)
        if conversation_id is None:
            conversation_id = self._conversations.create(
                owner_id=owner_id, title=title_of(asked), base_id=base_id, server_id=target.server_id
            ).id
        else:
            self.conversation(owner_id, conversation_id)
        turn = self._turns.create(
            conversation_id,
            mode=KNOWLEDGE if base_id else CHAT,
            question=asked,
            base_id=base_id,
            server_name=target.endpoint.name,
            model=target.endpoint.model,
            settings={"top_k": top_k or self._product().top_k},
            machine_id=self._machine_id,
            pid=self._me.pid,
            process_started_at=self._me.started_at,
        )
        running = Running(turn)
        with self._lock:
            self._running[turn.id] = running
        threading.Thread(target=self._answer, args=(running, target), name=f"answer-{turn.id}", daemon=True).start()
        return turn

    def again(self, owner_id: str, turn_id: str, server: str | None = None) -> TurnRecord:
        """Ask a turn's question once more, as a new turn."""
        old = self.turn(turn_id)
        return self.ask(owner_id, old.question, conversation_id=old.conversation_id, base_id=old.base_id, server=server)

    def turn(self, turn_id: str) -> TurnRecord:
        """A turn as it stands now. Raises: ConversationNotFound."""
        running = self._running.get(turn_id)
        if running:
            return running.turn
        found = self._turns.get(turn_id)
        if found is None:
            raise ConversationNotFound()
        return self._seen(found)

    def wait(self, turn_id: str, timeout_s: float | None = None) -> TurnRecord:
        """Wait until a turn of this process has ended, or for so long, and return it as it stands."""
        running = self._running.get(turn_id)
        if running:
            running.done.wait(timeout_s)
        return self.turn(turn_id)

    def stop(self, turn_id: str) -> None:
        """End an answer; what was said is kept. It may be growing in another process."""
        running = self._running.get(turn_id)
        if running:
            running.stop.set()
        else:
            self._turns.update(turn_id, stop_requested=True)

    def mend(self) -> int:
        """Mark the answers of dead processes of this machine as interrupted; returns how many."""
        return sum(self._seen(turn).state == "interrupted" for turn in self._turns.live(self._machine_id))

    def close(self) -> None:
        """Stop every answer of this process and wait until it is written down."""
        for running in list(self._running.values()):
            running.stop.set()
        for running in list(self._running.values()):
            running.done.wait(5)

    def _seen(self, turn: TurnRecord) -> TurnRecord:
        """A stored turn, taken from memory where it grows here, and marked where its process is dead."""
        running = self._running.get(turn.id)
        if running:
            return running.turn
        here = turn.machine_id == self._machine_id
        if turn.live and here and not Process(turn.pid, turn.process_started_at).alive:
            return self._turns.update(turn.id, state="interrupted") or turn
        return turn

    # the way of one answer -------------------------------------------------------------------------------------------
    def _answer(self, running: Running, target: Target) -> None:
        watch = Stopwatch()
        try:
            with watch.step("total"):
                state = self._produce(running, target, watch)
            outcome: dict[str, Any] = {"state": state}
        except AppError as error:
            outcome = {"state": "failed", "error_code": error.code, "error_params": error.params}
        except Exception as error:  # noqa: BLE001 - the reader gets the id, the log the rest
            number = incident(logger, error, f"answering {running.turn.id}")
            outcome = {"state": "failed", "error_code": Unexpected.code, "error_params": {"incident": number}}
        timings = {**running.turn.timings_ms, **watch.timings_ms}
        running.turn = replace(running.turn, **outcome, timings_ms=timings)
        try:
            self._write(running)
        except AppError as error:
            logger.error("the answer %s could not be stored: %s", running.turn.id, error)
        finally:
            with self._lock:
                self._running.pop(running.turn.id, None)
            running.done.set()

    def _produce(self, running: Running, target: Target, watch: Stopwatch) -> str:
        product = self._product()
        endpoint = self._reached(running, target)
        if endpoint is None:
            return "stopped"
        model = self._open_model(endpoint)
        if running.turn.base_id:
            messages = self._grounded(running, target, model, product, watch)
            sampling = Sampling(max_tokens=product.answer_tokens, temperature=0.0)
            if not messages:
                language = question_language(running.turn.question)
                running.turn = replace(running.turn, answer=REFUSALS[language])
                return "done"
        else:
            messages = self._plain(running, model, product)
            sampling = Sampling(max_tokens=product.answer_tokens, temperature=product.temperature)
        return self._stream(running, model, messages, sampling, watch)

    def _reached(self, running: Running, target: Target) -> Endpoint | None:
        """Where to ask, once the server is there; None where the answer was stopped before."""
        if target.when_ready is None:
            return target.endpoint
        running.turn = replace(running.turn, state="starting")
        heard = ticks_ms()

        def given_up() -> bool:
            nonlocal heard
            if ticks_ms() - heard >= WRITE_EVERY_MS:
                self._write(running)
                heard = ticks_ms()
            return running.stop.is_set()

        self._write(running)
        return target.when_ready(given_up)

    def _grounded(
        self, running: Running, target: Target, model: ChatModel, product: ProductSettings, watch: Stopwatch
    ) -> list[Message]:
        turn = running.turn
        running.turn = turn = replace(turn, state="retrieving")
        found = self._search(str(turn.base_id), turn.question, int(turn.settings["top_k"]))
        watch.timings_ms.update(found.timings_ms)
        language = question_language(turn.question)
        passages: list[Passage] = []
        if found.passages:
            with watch.step("fit"):
                fixed = model.count_tokens("\n".join(message.content for message in fixed_messages(language)))
                budget = passage_budget(
                    model.context_length() or UNKNOWN_CONTEXT,
                    fixed,
                    model.count_tokens(turn.question),
                    product.answer_tokens,
                    target.passage_cap,
                )
                passages = fit(found.passages, budget, model.count_tokens)
        running.turn = replace(turn, base_name=found.base_name, passages=[passage.row() for passage in passages])
        self._write(running)
        return grounded_messages(turn.question, passages, language) if passages else []

    def _plain(self, running: Running, model: ChatModel, product: ProductSettings) -> list[Message]:
        turn = running.turn
        earlier = [old for old in self._turns.of(turn.conversation_id) if old.position < turn.position and old.answer]
        context = model.context_length() or UNKNOWN_CONTEXT
        return plain_messages(
            [(old.question, old.answer) for old in earlier],
            turn.question,
            max(context - product.answer_tokens - 64, 256),
            model.count_tokens,
        )

    def _stream(
        self, running: Running, model: ChatModel, messages: Sequence[Message], sampling: Sampling, watch: Stopwatch
    ) -> str:
        running.turn = replace(running.turn, state="reading")
        self._write(running)
        begin = written = ticks_ms()
        first: float | None = None
        try:
            for event in pumped(model.stream(messages, sampling), running.stop):
                if isinstance(event, TextDelta):
                    first = first or ticks_ms()
                running.turn = grown(running.turn, event)
                if ticks_ms() - written >= WRITE_EVERY_MS:
                    self._write(running)
                    written = ticks_ms()
        finally:
            end = ticks_ms()
            watch.timings_ms["first_token"] = round((first or end) - begin, 1)
            watch.timings_ms["generate"] = round(end - first, 1) if first else 0.0
        if running.stop.is_set():
            return "stopped"
        if not running.turn.answer.strip():
            raise EmptyAnswer(name=running.turn.server_name)
        marked = attached(running.turn.answer, passages_of(running.turn))
        if marked:
            running.turn = replace(running.turn, answer=marked, settings={**running.turn.settings, ATTACHED: True})
        return "done"

    def _write(self, running: Running) -> None:
        """Store the turn as it stands, and hear whether another process wants it stopped."""
        turn = running.turn
        stored = self._turns.update(
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
            running.stop.set()


def passages_of(turn: TurnRecord) -> list[Passage]:
    """The passages that the model was shown."""
    return [Passage(**row) for row in turn.passages]


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


def title_of(question: str) -> str:
    """A conversation's title: the beginning of its first question."""
    line = " ".join(question.split())
    return line if len(line) <= TITLE_CHARACTERS else line[: TITLE_CHARACTERS - 1].rstrip() + "…"
