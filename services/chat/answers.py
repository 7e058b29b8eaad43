"""A question becomes an answer: searched, fitted, streamed, written down while it grows.

The answer grows here, not on a page: a reload or a page switch finds it again. It is written to the state database at
least once a second with the process that owns it, so that every process can show it, and so that a dead owner is
noticed. The way that an answer takes is `answering`; this is what pages, command line and API call.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from services.chat.answering import Answering, Order
from services.chat.choices import Choices, Presets, settle
from services.chat.chores import Chores
from services.chat.notes import NO_BASE, UNDERSTOOD_CHAT, UNDERSTOOD_KNOWLEDGE, note
from services.chat.ports import Servers, Target
from services.chat.running import Running
from services.chat.turns import CHAT, KNOWLEDGE, title_of
from services.chat.wording import Said, said
from services.core.errors import ConversationNotFound, EmptyQuestion, ServerNotFound
from services.core.machine import Process, this_process
from services.store.conversations import HEAD, ConversationRecord, ConversationRows, TurnRecord, TurnRows
from services.store.product import ProductSettings

Bases = Callable[[], Mapping[str, str]]
"""Names of all knowledge bases by their ids."""


class ChatService:
    """Conversations and their answers. Thread-safe."""

    def __init__(
        self,
        conversations: ConversationRows,
        turns: TurnRows,
        *,
        answering: Answering,
        servers: Servers,
        bases: Bases,
        presets: Presets,
        product: Callable[[], ProductSettings],
        machine_id: str,
        chores: Chores | None = None,
    ) -> None:
        self._conversations = conversations
        self._turns = turns
        self._answering = answering
        self._servers = servers
        self._bases = bases
        self._presets = presets
        self._product = product
        self._machine_id = machine_id
        self._chores = chores
        self._me = this_process()
        self._running: dict[str, Running] = {}
        self._lock = threading.Lock()

    # conversations ---------------------------------------------------------------------------------------------------
    def conversations(self, owner_id: str, words: str = "") -> list[ConversationRecord]:
        """An owner's conversations, the last used first.

        Args:
            words: only those in whose title, questions or answers each of them stands.
        """
        wanted = words.split()
        return self._conversations.matching(owner_id, wanted) if wanted else self._conversations.all(owner_id)

    def conversation(self, owner_id: str, conversation_id: str) -> ConversationRecord:
        """One of the owner's conversations. Raises: ConversationNotFound."""
        found = self._conversations.of(owner_id, conversation_id)
        if found is None:
            raise ConversationNotFound()
        return found

    def delete(self, owner_id: str, conversation_id: str) -> None:
        """Delete a conversation with its turns; what is being answered stops."""
        self.conversation(owner_id, conversation_id)
        for turn in self._turns.of(conversation_id):
            if turn.live:
                self.stop(owner_id, turn.id)
        self._conversations.remove(conversation_id)

    def turns(self, owner_id: str, conversation_id: str) -> list[TurnRecord]:
        """The turns of a conversation that are shown, as they stand. Raises: ConversationNotFound."""
        head = self.conversation(owner_id, conversation_id).head_id
        return [self.seen(turn) for turn in self._turns.path(conversation_id, head)]

    # answers ---------------------------------------------------------------------------------------------------------
    def ask(
        self,
        owner_id: str,
        question: str,
        *,
        conversation_id: str | None = None,
        base_ids: Sequence[str] = (),
        server: str | None = None,
        choices: Choices | None = None,
        heed_words: bool = True,
        after: str | None = HEAD,
    ) -> TurnRecord:
        """Begin to answer in the background; `turn` tells how far it is.

        Args:
            base_ids: the knowledge bases to answer from; none: plain chat, unless `choices` has another mode.
            server: id or name; None: the conversation's own, and where it has none any more the one that is ready.
            choices: what counts for this turn before what was chosen for its conversation and its bases. A new
                conversation takes them as its own.
            heed_words: whether the question itself may say that the documents are wanted, or not.
            after: the turn that it follows, `HEAD` for the last one that is shown, None to begin anew.
        Raises: EmptyQuestion, ConversationNotFound, ServerNotFound, NoServer.
        """
        asked, chosen = question.strip(), choices or Choices()
        if not asked:
            raise EmptyQuestion()
        talk = self.conversation(owner_id, conversation_id) if conversation_id else None
        target, names = self._target(server, talk), self._bases()
        understood = said(asked, names) if heed_words else None
        mode, searched, notes = _mode(chosen.mode, tuple(base_ids), names, understood)
        if talk is None:
            settings = chosen.over(Choices(mode=mode, base_ids=tuple(base_ids)))
            talk = self._conversations.create(
                owner_id=owner_id, title=title_of(asked), server_id=target.server_id, settings=settings.row()
            )
        elif after == HEAD and not understood:
            self._keep(talk, target.server_id, mode, tuple(base_ids))
        layers = Choices.stored(talk.settings), self._presets.of(searched)
        settled = settle(merged := chosen.over(*layers), self._product(), mode)
        turn = self._turns.create(
            talk.id,
            after=after,
            mode=mode,
            question=asked,
            standalone=self._meant(talk, after, understood),
            bases=[{"id": base_id, "name": names.get(base_id, "")} for base_id in searched],
            notes=notes,
            server_name=target.endpoint.name,
            model=target.endpoint.model,
            settings={**settled.row(), "filters": asdict(merged.filters())},
            machine_id=self._machine_id,
            pid=self._me.pid,
            process_started_at=self._me.started_at,
        )
        self._begin(turn, Order(target, settled, merged.filters()))
        return turn

    def again(
        self,
        owner_id: str,
        turn_id: str,
        *,
        question: str | None = None,
        server: str | None = None,
        mode: str | None = None,
    ) -> TurnRecord:
        """Another version of a turn: the same question or a changed one, after the same turns. The old one is kept.

        The conversation goes on as it was: what is chosen here counts for this version only.

        Args:
            server: id or name; None: the conversation's own, as `ask` has it.
            mode: chat or knowledge, whatever the question says; None: as the turn had it.
        """
        old = self.turn(turn_id)
        talk = self.conversation(owner_id, old.conversation_id)
        wanted = mode or old.mode
        chosen = Choices.stored(talk.settings).base_ids or ()
        return self.ask(
            owner_id,
            old.question if question is None else question,
            conversation_id=talk.id,
            base_ids=old.base_ids or chosen,
            server=server,
            choices=Choices.of({"mode": wanted}),
            heed_words=mode is None and question is not None,
            after=old.parent_id,
        )

    def turn(self, turn_id: str) -> TurnRecord:
        """A turn as it stands now. Raises: ConversationNotFound."""
        running = self._running.get(turn_id)
        if running:
            return running.turn
        found = self._turns.get(turn_id)
        if found is None:
            raise ConversationNotFound()
        return self.seen(found)

    def wait(self, turn_id: str, timeout_s: float | None = None) -> TurnRecord:
        """Wait until a turn of this process has ended, or for so long, and return it as it stands."""
        running = self._running.get(turn_id)
        if running:
            running.done.wait(timeout_s)
        return self.turn(turn_id)

    def stop(self, owner_id: str, turn_id: str) -> None:
        """End an answer in one of the owner's conversations; what was said is kept. It may grow in another process.

        Raises: ConversationNotFound.
        """
        self.conversation(owner_id, self.turn(turn_id).conversation_id)
        running = self._running.get(turn_id)
        if running:
            running.stop.set()
        else:
            self._turns.update(turn_id, stop_requested=True)

    def mend(self) -> int:
        """Mark the answers of dead processes of this machine as interrupted; returns how many."""
        return sum(self.seen(turn).state == "interrupted" for turn in self._turns.live(self._machine_id))

    def close(self) -> None:
        """Stop every answer of this process and wait until it is written down."""
        if self._chores:
            self._chores.close()
        for running in list(self._running.values()):
            running.stop.set()
        for running in list(self._running.values()):
            running.done.wait(5)

    def seen(self, turn: TurnRecord) -> TurnRecord:
        """A stored turn, taken from memory where it grows here, and marked where its process is dead."""
        running = self._running.get(turn.id)
        if running:
            return running.turn
        here = turn.machine_id == self._machine_id
        if turn.live and here and not Process(turn.pid, turn.process_started_at).alive:
            return self._turns.update(turn.id, state="interrupted") or turn
        return turn

    def _target(self, server: str | None, talk: ConversationRecord | None) -> Target:
        """The server that is named, else the conversation's own as if it were, else the one that is ready."""
        own = talk.server_id if talk else None
        if server is None and own:
            with suppress(ServerNotFound):  # it was removed
                return self._servers(own)
        return self._servers(server)

    def _begin(self, turn: TurnRecord, order: Order) -> None:
        running = Running(turn, self._turns)
        with self._lock:
            self._running[turn.id] = running
        threading.Thread(target=self._answer, args=(running, order), name=f"answer-{turn.id}", daemon=True).start()

    def _answer(self, running: Running, order: Order) -> None:
        try:
            self._answering.answer(running, order)
        finally:
            with self._lock:
                self._running.pop(running.turn.id, None)
            running.done.set()
        if self._chores and running.turn.state == "done":
            self._chores.think_of(running.turn.conversation_id, order.target)

    def _keep(self, talk: ConversationRecord, server_id: str, mode: str, base_ids: tuple[str, ...]) -> None:
        """Remember for a conversation how it was last asked; bases stay chosen while it merely chats."""
        kept: dict[str, Any] = {**talk.settings, "mode": mode}
        if base_ids or mode == KNOWLEDGE:
            kept["base_ids"] = list(base_ids)
        if kept != talk.settings or server_id != talk.server_id:
            self._conversations.change(talk.id, settings=kept, server_id=server_id)

    def _meant(self, talk: ConversationRecord, after: str | None, understood: Said | None) -> str | None:
        """The question without the words that said how to answer it; with nothing else said, the one before it."""
        if understood is None:
            return None
        if understood.rest:
            return understood.rest
        before = self._turns.path(talk.id, talk.head_id if after == HEAD else after)
        return (before[-1].standalone or before[-1].question) if before else None


def _mode(
    chosen: str | None, base_ids: tuple[str, ...], names: Mapping[str, str], understood: Said | None
) -> tuple[str, tuple[str, ...], list[dict[str, Any]]]:
    """The mode of a turn, the bases that it searches, and what is to be said of that."""
    mode = chosen or (KNOWLEDGE if base_ids else CHAT)
    notes: list[dict[str, Any]] = []
    if understood:
        if understood.mode == KNOWLEDGE and not names:
            return CHAT, (), [note(NO_BASE, words=understood.words)]
        meant = understood.base_ids or base_ids
        if understood.mode != mode or meant != base_ids:
            mode, base_ids = understood.mode, meant
            code = UNDERSTOOD_KNOWLEDGE if mode == KNOWLEDGE else UNDERSTOOD_CHAT
            notes = [note(code, words=understood.words)]
    return mode, (base_ids or tuple(names)) if mode == KNOWLEDGE else (), notes
