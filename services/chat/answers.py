"""A question becomes an answer: searched, fitted, streamed, written down while it grows.

The answer grows here, not on a page: a reload or a page switch finds it again. It is written to the state database at
least once a second with the process that owns it, so that every process can show it, and so that a dead owner is
noticed. The way that an answer takes is `answering`; this is what pages, command line and API call.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from services.chat.answering import Answering
from services.chat.ports import OpenModel, PassageSearch, Servers, Target
from services.chat.running import Running
from services.chat.turns import CHAT, KNOWLEDGE, title_of
from services.core.errors import ConversationNotFound, EmptyQuestion
from services.core.machine import Process, this_process
from services.store.conversations import ConversationRecord, ConversationRows, TurnRecord, TurnRows
from services.store.product import ProductSettings


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
        self._answering = Answering(turns, search=search, open_model=open_model, product=product)
        self._servers = servers
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
        running = Running(turn, self._turns)
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

    def _answer(self, running: Running, target: Target) -> None:
        try:
            self._answering.answer(running, target)
        finally:
            with self._lock:
                self._running.pop(running.turn.id, None)
            running.done.set()
