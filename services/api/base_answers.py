"""Answers from a knowledge base in OpenAI's form: retrieved, written and checked by the chat service, as on its page.

A conversation is made for the request and deleted with it: clients of this API keep their own. What OpenAI's form has
no place for stands under `lectern` in the whole answer, or in the last piece of a stream.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from functools import partial

import anyio
from anyio import to_thread

from services.api.access import Caller
from services.api.shapes import Chat, ChatMessage, Ours, chat_chunk, new_answer_id, usage
from services.app import Services
from services.chat.choices import Choices
from services.chat.notes import CUT
from services.chat.rows import answer_row
from services.core.errors import AppError, InvalidValue, from_row
from services.core.i18n import N_
from services.llm.relay import Json
from services.store.bases import BaseRecord
from services.store.conversations import JUDGING, TurnRecord

LOOK_S = 0.01
"""Between two looks at a growing answer: beneath what anybody notices, and cheap, for it is in memory."""
ALREADY_TOLD = ("question", "prompt_tokens", "completion_tokens")


async def base_chunks(services: Services, caller: Caller, base: BaseRecord, asked: Chat) -> AsyncGenerator[Json]:
    """The answer to the last message as pieces of a stream; closing it stops the answer.

    Raises: InvalidValue, EmptyQuestion, NoServer, ServerNotFound, and what an answer may fail with.
    """
    last = asked.messages[-1]
    if last.role != "user":
        reason = N_("the last message must be the question, with the role user")
        raise InvalidValue(field="messages", value=last.role, reason=reason)
    turn = await to_thread.run_sync(partial(_asked, services, caller, base, asked))
    try:
        async with aclosing(turn_chunks(services, turn, asked.model, {"knowledge_base": base.name})) as source:
            async for chunk in source:
                yield chunk
    finally:
        with anyio.CancelScope(shield=True), suppress(AppError):
            await to_thread.run_sync(services.chat.delete, caller.owner_id, turn.conversation_id)


async def turn_chunks(services: Services, turn: TurnRecord, model: str, beyond: Json) -> AsyncGenerator[Json]:
    """An answer that grows as pieces of a stream.

    Args:
        model: under which name it was asked.
        beyond: what else is told under `lectern`.
    Raises: what an answer may fail with.
    """
    id, sent, thought = new_answer_id("chatcmpl"), "", ""
    while True:
        turn = services.chat.turn(turn.id)
        if turn.reasoning != thought:
            yield chat_chunk(id, model, {"role": "assistant", "reasoning_content": turn.reasoning[len(thought) :]})
            thought = turn.reasoning
        growing = turn.live and turn.state != JUDGING  # what has been said may have marks put into it then
        fresh = turn.answer[len(sent) :] if growing else rest(turn.answer, sent)
        if fresh:
            yield chat_chunk(id, model, {"role": "assistant", "content": fresh})
            sent = turn.answer
        if not turn.live:
            break
        await anyio.sleep(LOOK_S)
    if turn.error_code:
        raise from_row(turn.error_code, turn.error_params)
    counts = usage(turn.prompt_tokens, turn.completion_tokens)
    reason = "length" if any(each["code"] == CUT for each in turn.notes) else "stop"
    last_chunk = {**chat_chunk(id, model, {}, reason), "lectern": {**beyond, **told_of(turn)}}
    yield {**last_chunk, "usage": counts} if counts else last_chunk


def told_of(turn: TurnRecord) -> Json:
    """What OpenAI's form has no place for."""
    told = {key: value for key, value in answer_row(turn).items() if key not in ALREADY_TOLD}
    return {**told, "standalone": turn.standalone}


def _asked(services: Services, caller: Caller, base: BaseRecord, asked: Chat) -> TurnRecord:
    """Begin to answer the last message, with those before it as the memory of a conversation of its own."""
    ours = asked.lectern or Ours()
    told = "\n\n".join(message.text for message in asked.messages if message.role in ("system", "developer"))
    choices = Choices.of(
        {
            "system_prompt": told or None,
            "temperature": asked.temperature,
            "top_p": asked.top_p,
            "max_tokens": asked.most_tokens,
            "stop": asked.stops or None,
            "top_k": ours.top_k,
        }
    )
    talk = services.conversations.begun_with(caller.owner_id, exchanges(asked.messages), services.machine_id)
    try:
        return services.chat.ask(
            caller.owner_id,
            asked.messages[-1].text,
            conversation_id=talk.id,
            base_ids=[base.id],
            server=ours.server,
            choices=choices,
            heed_words=False,
        )
    except AppError:
        services.chat.delete(caller.owner_id, talk.id)
        raise


def exchanges(messages: Sequence[ChatMessage]) -> list[tuple[str, str]]:
    """The questions before the last one with what was answered; what nobody answered is left out."""
    found, question = [], ""
    for message in messages[:-1]:
        if message.role == "user":
            question = "\n\n".join(part for part in (question, message.text) if part)
        elif message.role == "assistant" and question and message.text:
            found.append((question, message.text))
            question = ""
    return found


def rest(answer: str, sent: str) -> str:
    """What of an answer is still to be sent. Marks that were put into what has gone out already are left out."""
    position = 0
    for character in sent:
        found = answer.find(character, position)
        if found < 0:
            return ""
        position = found + 1
    return answer[position:]
