"""A conversation as LangChain's message history: a LangChain program reads it and goes on with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from services.chat.assembly import summary_line
from services.chat.choices import Choices, Presets, settle
from services.chat.conversations import Conversations
from services.chat.parts import JOINT
from services.chat.turns import CHAT, KNOWLEDGE
from services.core.errors import ConversationNotFound, InvalidValue
from services.core.i18n import N_
from services.core.machine import this_process
from services.store import StateStore
from services.store.conversations import ConversationRecord, TurnRecord
from services.store.product import ProductSettings

FOREIGN = "langchain"
"""What stands in place of a server's name, where a program has answered."""


class Rooms(Protocol):
    """What a history needs of the services; those that `bootstrap` joins have it all."""

    @property
    def store(self) -> StateStore: ...
    @property
    def conversations(self) -> Conversations: ...
    @property
    def presets(self) -> Presets: ...
    @property
    def product(self) -> ProductSettings: ...
    @property
    def machine_id(self) -> str: ...


class ConversationHistory(BaseChatMessageHistory):
    """What a chat remembers of a conversation, as messages; what is added becomes turns. `clear` only clears that.

    As in the chat: the system prompt of the conversation or of its bases' presets, its strategy of memory with the
    summary, and marks as the names of documents. An answer as it was written stands in `additional_kwargs` with its
    passages, server and model in `response_metadata`.
    """

    def __init__(self, services: Rooms, conversation_id: str, owner_id: str | None = None) -> None:
        """`owner_id`: refuse conversations of others; None: a program with this home may read them all."""
        self._services = services
        self._conversations = services.store.conversations
        self._turns = services.store.turns
        self._id = conversation_id
        self._owner_id = owner_id

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]
        """What is remembered, the oldest first. Raises: ConversationNotFound."""
        talk = self._talk()
        memory = self._services.conversations.memory(talk.owner_id, talk.id, self._services.product)
        told = [self._system_prompt(talk)]
        if memory.summary:
            told.append(summary_line(memory))
        system = JOINT.join(part for part in told if part)
        found: list[BaseMessage] = [SystemMessage(system)] if system else []
        turns = {turn.id: turn for turn in self._turns.of(talk.id)}
        for each in memory.exchanges:
            found += [
                HumanMessage(each.question, id=f"{each.turn_id}-question"),
                _answer(turns[each.turn_id], each.answer),
            ]
        return found

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Go on with the conversation: a question and its answer make a turn, a system message the system prompt.

        Raises: ConversationNotFound; InvalidValue for an answer to nothing and for messages of tools.
        """
        for message in messages:
            if isinstance(message, HumanMessage):
                self._ask(str(message.text))
            elif isinstance(message, AIMessage):
                self._answer(message)
            elif isinstance(message, SystemMessage):
                settings = {**self._talk().settings, "system_prompt": str(message.text)}
                self._conversations.change(self._id, settings=settings)
            else:
                reason = N_("only questions, answers and system messages can be kept")
                raise InvalidValue(field=N_("message"), value=message.type, reason=reason)

    def clear(self) -> None:
        """Remember nothing of what was said so far; the turns stay to be read."""
        self._services.conversations.forget(self._talk().owner_id, self._id)

    def _system_prompt(self, talk: ConversationRecord) -> str:
        chosen = Choices.stored(talk.settings)
        all_bases = [base.id for base in self._services.store.bases.all()]
        asked = chosen.base_ids or all_bases if chosen.mode == KNOWLEDGE else ()
        merged = chosen.over(self._services.presets.of(asked))
        return settle(merged, self._services.product, chosen.mode or CHAT).system_prompt

    def _ask(self, question: str) -> None:
        me = this_process()
        self._turns.create(
            self._talk().id,
            mode=CHAT,
            question=question,
            state="stopped",
            server_name=FOREIGN,
            model="",
            settings={},
            machine_id=self._services.machine_id,
            pid=me.pid,
            process_started_at=me.started_at,
        )

    def _answer(self, message: AIMessage) -> None:
        head = self._turns.get(self._talk().head_id or "")
        if head is None or head.answer:
            raise InvalidValue(field=N_("message"), value=message.type, reason=N_("it answers no question"))
        usage = message.usage_metadata or {"input_tokens": None, "output_tokens": None}
        self._turns.update(
            head.id,
            answer=str(message.text),
            state="done",
            model=str(message.response_metadata.get("model_name", "")),
            prompt_tokens=usage["input_tokens"],
            completion_tokens=usage["output_tokens"],
        )

    def _talk(self) -> ConversationRecord:
        found = self._conversations.get(self._id)
        if found is None or self._owner_id not in (None, found.owner_id):
            raise ConversationNotFound()
        return found


def _answer(turn: TurnRecord, remembered: str) -> AIMessage:
    return AIMessage(
        remembered,
        id=f"{turn.id}-answer",
        additional_kwargs={"answer": turn.answer, "passages": turn.passages},
        response_metadata={"server": turn.server_name, "model_name": turn.model},
    )
