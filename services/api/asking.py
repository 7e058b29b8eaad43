"""One way to ask for whatever form of API: servers get the request as it came, bases answer through the chat service.

Everything streams as pieces of OpenAI's chat form; the other forms are made of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import Any

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request

from services.api import served
from services.api.access import Caller
from services.api.base_answers import base_chunks, turn_chunks
from services.api.shapes import Asking, Chat, Completion, Embeddings, as_text, embedding_list, head, new_answer_id
from services.app import Services
from services.core.api_errors import ModelNotServed, NotOffered, ServerBusy
from services.knowledge.embedders.protocol import Embedder, Vectors
from services.llm.relay import Json, Relay
from services.store.bases import BaseRecord
from services.store.conversations import TurnRecord
from services.store.servers import ServerRecord

MOST_AT_ONCE = 64
"""Requests of one server, base or owner of conversations that wait or are answered at a time: more would only wait."""
TALKS = "conversations"
CHAT, TEXT, VECTORS = "chat/completions", "completions", "embeddings"


class Tally:
    """The tokens of one request, as far as its server tells them."""

    def __init__(self) -> None:
        self.prompt_tokens: int | None = None
        self.completion_tokens: int | None = None

    def see(self, answer: Json) -> None:
        """Take the counts out of an answer or a piece of one, if it has any."""
        told = answer.get("usage") or {}
        if "prompt_tokens" in told:
            self.prompt_tokens = told["prompt_tokens"]
            self.completion_tokens = told.get("completion_tokens", 0)


class Asker:
    """Asks servers, bases and the embedder for callers of the API. One for each application."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._relay = Relay()
        self._busy: Counter[str] = Counter()
        self._encoders = CapacityLimiter(2)

    # conversations ---------------------------------------------------------------------------------------------------
    async def chat(self, asked: Chat, caller: Caller) -> Json:
        """The whole answer to a conversation."""
        found = await self._found(asked.model)
        if isinstance(found, BaseRecord):
            return await whole(self.chat_chunks(asked, caller))
        return await self._relayed(served.chats(found, asked.model), CHAT, asked, caller)

    async def chat_chunks(self, asked: Chat, caller: Caller) -> AsyncGenerator[Json]:
        """The same in pieces; the last one has the counts, if they are known."""
        found = await self._found(asked.model)
        if isinstance(found, BaseRecord):
            source = base_chunks(self._services, caller, found, asked)
            async with self._counted(caller) as tally, aclosing(source):
                with self._place(found.id, found.name):
                    async for chunk in source:
                        tally.see(chunk)
                        yield chunk
            return
        async for chunk in self._streamed(served.chats(found, asked.model), CHAT, asked, caller):
            yield chunk

    async def turn_chunks(self, begin: Callable[[], TurnRecord], caller: Caller) -> AsyncGenerator[Json]:
        """The answer to the next question of a conversation in pieces; closing it stops the answer, which stays."""
        async with self._counted(caller) as tally:
            with self._place(caller.talks_as, caller.key.name if caller.key else TALKS):
                turn = await to_thread.run_sync(begin)
                beyond = {"conversation_id": turn.conversation_id, "turn_id": turn.id}
                source = turn_chunks(self._services, turn, f"{served.SERVER}{turn.server_name}", beyond)
                try:
                    async with aclosing(source):
                        async for chunk in source:
                            tally.see(chunk)
                            yield chunk
                finally:
                    if self._services.chat.turn(turn.id).live:
                        self._services.chat.stop(caller.talks_as, turn.id)

    # texts -----------------------------------------------------------------------------------------------------------
    async def completion(self, asked: Completion, caller: Caller) -> Json:
        """How the model goes on with a text, or with several."""
        found = await self._found(asked.model)
        if isinstance(found, ServerRecord):
            try:
                return await self._relayed(served.chats(found, asked.model), TEXT, asked, caller)
            except NotOffered:
                pass
        choices: list[Json] = []
        counts: Counter[str] = Counter()
        last: Json = {}
        for index, prompt in enumerate(asked.prompts):
            last = await self.chat(asked.as_chat(prompt), caller)
            choice = last["choices"][0]
            text = choice["message"].get("content") or ""
            choices.append({"index": index, "text": text, "logprobs": None, "finish_reason": choice["finish_reason"]})
            counts.update(_whole_counts(last))
        beyond = {"lectern": last["lectern"]} if "lectern" in last else {}
        begin = head(new_answer_id("cmpl"), "text_completion", asked.model)
        return {**begin, "choices": choices, "usage": dict(counts) or None, **beyond}

    async def completion_chunks(self, asked: Completion, caller: Caller) -> AsyncGenerator[Json]:
        """The same in pieces."""
        found = await self._found(asked.model)
        if isinstance(found, ServerRecord):
            try:
                async for chunk in self._streamed(served.chats(found, asked.model), TEXT, asked, caller):
                    yield chunk
            except NotOffered:
                pass
            else:
                return
        for index, prompt in enumerate(asked.prompts):
            async for chunk in self.chat_chunks(asked.as_chat(prompt), caller):
                yield as_text(chunk, index)

    # vectors ---------------------------------------------------------------------------------------------------------
    async def embeddings(self, asked: Embeddings, caller: Caller) -> Json:
        """The vectors of texts."""
        if asked.model.startswith(served.EMBEDDER):
            vectors, tokens = await self._encoded(served.embedder(self._services, asked.model), asked)
            asked.check_dimensions(vectors.shape[1])
            await caller.used(tokens, 0)
            return embedding_list(asked, vectors.tolist(), tokens)
        found = await self._found(asked.model)
        if isinstance(found, BaseRecord) or not served.embeds(found):
            raise ModelNotServed(name=asked.model)
        reply = await self._relayed(found, VECTORS, asked, caller)
        rows = [row["embedding"] for row in sorted(reply["data"], key=lambda row: int(row["index"]))]
        return embedding_list(asked, rows, (reply.get("usage") or {}).get("prompt_tokens"))

    async def _encoded(self, embedder: Embedder, asked: Embeddings) -> tuple[Vectors, int]:
        """Vectors of an embedder of the bases, and the tokens that it read."""
        texts = asked.texts

        def encode() -> tuple[Vectors, int]:
            made = embedder.encode_queries(texts) if asked.input_type == "query" else embedder.encode_passages(texts)
            return made, sum(embedder.count_tokens(texts))

        return await to_thread.run_sync(encode, limiter=self._encoders)

    # the way to a server ---------------------------------------------------------------------------------------------
    async def _found(self, name: str) -> ServerRecord | BaseRecord:
        return await to_thread.run_sync(served.find, self._services, name)

    async def _relayed(self, record: ServerRecord, path: str, asked: Any, caller: Caller) -> Json:
        async with self._counted(caller) as tally:
            with self._place(record.id, record.name):
                endpoint = await served.endpoint(self._services, self._relay, record)
                reply = await self._relay.ask(endpoint, path, asked.to(endpoint))
            tally.see(reply)
            return {**reply, "model": asked.model}

    async def _streamed(self, record: ServerRecord, path: str, asked: Asking, caller: Caller) -> AsyncGenerator[Json]:
        async with self._counted(caller) as tally:
            with self._place(record.id, record.name):
                endpoint = await served.endpoint(self._services, self._relay, record)
                async with aclosing(self._relay.stream(endpoint, path, asked.to(endpoint))) as source:
                    async for chunk in source:
                        tally.see(chunk)
                        yield {**chunk, "model": asked.model}

    @asynccontextmanager
    async def _counted(self, caller: Caller) -> AsyncIterator[Tally]:
        """Count a request however it ends, but for one that will be asked in another way."""
        tally, counts = Tally(), True
        try:
            yield tally
        except NotOffered:
            counts = False
            raise
        finally:
            if counts:
                await caller.used(tally.prompt_tokens, tally.completion_tokens)

    @contextmanager
    def _place(self, id: str, name: str) -> Iterator[None]:
        if self._busy[id] >= MOST_AT_ONCE:
            raise ServerBusy(name=name)
        self._busy[id] += 1
        try:
            yield
        finally:
            self._busy[id] -= 1


def asker_of(request: Request) -> Asker:
    """The one of the application that a request has come to."""
    asker: Asker = request.app.state.asker
    return asker


async def whole(source: AsyncGenerator[Json]) -> Json:
    """A streamed answer as one."""
    text, last = "", {}
    async for chunk in source:
        last = chunk
        text += chunk["choices"][0]["delta"].get("content") or ""
    text = (last.get("lectern") or {}).get("answer", text)  # with the marks that were attached or moved at its end
    reason = last["choices"][0]["finish_reason"]
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "logprobs": None, "finish_reason": reason}
    beyond: Json = {key: last[key] for key in ("usage", "lectern") if key in last}
    return {**head(last["id"], "chat.completion", last["model"]), "choices": [choice], **beyond}


def _whole_counts(answer: Json) -> dict[str, int]:
    return {key: value for key, value in (answer.get("usage") or {}).items() if isinstance(value, int)}
