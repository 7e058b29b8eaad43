"""A conversation as LangChain's message history: a LangChain program reads it and goes on with it."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from services.chat.choices import Choices
from services.chat.conversations import Conversations
from services.chat.memory import rememberable
from services.chat.turns import CHAT
from services.core.errors import ConversationNotFound, InvalidValue
from services.core.i18n import N_
from services.core.machine import this_process
from services.store.conversations import ConversationRecord, ConversationRows, TurnRecord, TurnRows

FOREIGN = "langchain"
"""What stands in place of a server's name, where a program has answered."""


class ConversationHistory(BaseChatMessageHistory):
    """The turns that are remembered, as messages; what is added becomes turns. `clear` only clears the memory.

    An answer's passages, server and model stand in `additional_kwargs` and `response_metadata`.
    """

    def __init__(
        self, conversations: ConversationRows, turns: TurnRows, owner_id: str, conversation_id: str, machine_id: str
    ) -> None:
        self._conversations = conversations
        self._turns = turns
        self._owner_id = owner_id
        self._id = conversation_id
        self._machine_id = machine_id

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]
        """What is remembered, the oldest first. Raises: ConversationNotFound."""
        talk = self._talk()
        prompt = Choices.stored(talk.settings).system_prompt
        found: list[BaseMessage] = [SystemMessage(prompt)] if prompt else []
        for turn in rememberable(self._turns.path(talk.id, talk.head_id), talk.remembers_after):
            found += [HumanMessage(turn.question, id=f"{turn.id}-question"), _answer(turn)]
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
        Conversations(self._conversations, self._turns).forget(self._owner_id, self._id)

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
            machine_id=self._machine_id,
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
        found = self._conversations.of(self._owner_id, self._id)
        if found is None:
            raise ConversationNotFound()
        return found


def _answer(turn: TurnRecord) -> AIMessage:
    return AIMessage(
        turn.answer,
        id=f"{turn.id}-answer",
        additional_kwargs={"passages": turn.passages},
        response_metadata={"server": turn.server_name, "model_name": turn.model},
    )
