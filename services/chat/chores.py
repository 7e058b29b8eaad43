"""What the chat server does for conversations while nobody asks it anything: titles and running summaries.

One thread does it, on a slot that it gives back as soon as somebody asks; what was not finished is tried again later.
Nothing waits for it, and where it fails everything goes on with what there is.
"""

from __future__ import annotations

import logging
import queue
import threading
from dataclasses import dataclass

from services.chat.counting import Models
from services.chat.memory import exchange_of, rememberable
from services.chat.ports import Target
from services.chat.reasoning import Thoughts
from services.chat.streaming import pumped
from services.chat.summaries import LEAST_NEW, summary_messages
from services.chat.summaries import MAX_TOKENS as SUMMARY_TOKENS
from services.chat.titles import MAX_TOKENS as TITLE_TOKENS
from services.chat.titles import clean_title, title_messages
from services.chat.turnstile import Turnstile
from services.core.errors import AppError
from services.core.log import incident
from services.llm.protocol import Message, Sampling
from services.store.conversations import ConversationRecord, ConversationRows, TurnRecord, TurnRows

logger = logging.getLogger(__name__)

IDLE_S = 3.0
"""A server counts as idle after so long: a quick follow-up is not to meet a chore."""
TRIES = 5


@dataclass(frozen=True, slots=True)
class _Chore:
    conversation_id: str
    target: Target
    tries: int = 0


class Chores:
    """The list of what is to be done, and the thread that does it. Thread-safe."""

    def __init__(
        self,
        conversations: ConversationRows,
        turns: TurnRows,
        models: Models,
        turnstile: Turnstile,
        *,
        idle_s: float = IDLE_S,
    ) -> None:
        self._conversations = conversations
        self._turns = turns
        self._models = models
        self._turnstile = turnstile
        self._idle_s = idle_s
        self._wanted: queue.SimpleQueue[_Chore | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._recalled = threading.Event()
        """Ends what is being done now."""
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def think_of(self, conversation_id: str, target: Target) -> None:
        """Look after a conversation that was just answered by this server, some time."""
        if target.when_ready is not None:
            return  # asking it again would keep awake a server that is unloaded when nobody asks
        self._wanted.put(_Chore(conversation_id, target))
        with self._lock:
            if self._thread is None and not self._closing.is_set():
                self._thread = threading.Thread(target=self._work, name="chat-chores", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """End the thread; what is not done stays undone."""
        self._closing.set()
        self._recalled.set()
        self._wanted.put(None)
        if self._thread:
            self._thread.join(5)

    def _work(self) -> None:
        while (chore := self._wanted.get()) is not None:
            if self._closing.wait(self._idle_s):
                return
            try:
                done = self._done(chore)
            except AppError as error:
                logger.info("a conversation could not be looked after: %s", error)
                done = True
            except Exception as error:  # noqa: BLE001 - nothing waits for this; the log says what it was
                incident(logger, error, "looking after a conversation")
                done = True
            if not done and chore.tries + 1 < TRIES:
                self._wanted.put(_Chore(chore.conversation_id, chore.target, chore.tries + 1))

    def _done(self, chore: _Chore) -> bool:
        """Do what is to be done for a conversation; False where the server was wanted for something else."""
        talk = self._conversations.get(chore.conversation_id)
        if talk is None:
            return True
        turns = rememberable(self._turns.path(talk.id, talk.head_id), talk.remembers_after)
        return self._titled(chore, talk, turns) and self._summed_up(chore, talk, turns)

    def _titled(self, chore: _Chore, talk: ConversationRecord, turns: list[TurnRecord]) -> bool:
        if talk.title_origin != "question" or not turns:
            return True
        first = exchange_of(turns[0])
        said = self._said(chore.target, title_messages(first), TITLE_TOKENS)
        if said is None:
            return False
        title = clean_title(said, first.question)
        self._conversations.retitle(talk.id, title or talk.title, origin="model", unless="person")
        return True

    def _summed_up(self, chore: _Chore, talk: ConversationRecord, turns: list[TurnRecord]) -> bool:
        settled = turns[-1].settings if turns else {}
        if settled.get("memory") not in ("summary", "summary_recent"):
            return True
        recent = int(settled["memory_turns"]) if settled["memory"] == "summary_recent" else 0
        begin = _after(turns, talk.summary["through"]) if talk.summary else 0
        due = turns[begin : len(turns) - recent]
        if len(due) < LEAST_NEW:
            return True
        before = str(talk.summary["text"]) if talk.summary and begin else ""
        said = self._said(chore.target, summary_messages(before, [exchange_of(turn) for turn in due]), SUMMARY_TOKENS)
        if said:
            summary = {"text": said, "through": due[-1].id, "server": chore.target.endpoint.name}
            self._conversations.change(talk.id, summary=summary)
        return said is not None

    def _said(self, target: Target, messages: list[Message], max_tokens: int) -> str | None:
        """What the model says; None where somebody wanted the server before it had ended."""
        with self._turnstile.borrowed(target.server_id) as recalled:
            if recalled is None or self._closing.is_set():
                return None
            self._recalled = recalled
            thoughts = Thoughts()
            for event in pumped(self._models.at(target.endpoint).stream(messages, Sampling(max_tokens)), recalled):
                thoughts.hear(event)
            return None if recalled.is_set() else thoughts.answer.strip()


def _after(turns: list[TurnRecord], turn_id: str) -> int:
    """Where the turns after this one begin; 0 where it is none of them, as in a branch."""
    return next((index + 1 for index, turn in enumerate(turns) if turn.id == turn_id), 0)
