"""What callers send and get in OpenAI's form. What is not named here goes to the server as it came."""

from __future__ import annotations

import base64
import secrets
import struct
import time
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.core.errors import InvalidValue
from services.core.i18n import N_
from services.core.phrases import phrase
from services.llm.protocol import Endpoint
from services.llm.relay import Json

ONLY_OF_TEXTS = {"prompt", "echo", "best_of", "suffix", "logprobs"}
"""What a request for a text may have and one for a chat may not."""
MOST_INPUTS = 2048


class Ours(BaseModel):
    """What only a knowledge base knows: under `lectern` in a request."""

    model_config = ConfigDict(extra="forbid")

    server: str | None = Field(
        None, description="name or id of the chat server that answers; left out: one that is ready"
    )
    top_k: int | None = Field(None, ge=1, le=100, description="passages that are searched for")


class StreamOptions(BaseModel):
    """What a stream brings beside its text."""

    model_config = ConfigDict(extra="allow")

    include_usage: bool = False


class Asking(BaseModel):
    """What every request to a model has. Further fields are handed on to the server."""

    model_config = ConfigDict(extra="allow")

    model: str = Field(description="`server:<name>` or `kb:<name>`, as GET /v1/models lists them")
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(None, ge=1)
    temperature: float | None = None
    top_p: float | None = None
    stop: str | list[str] | None = None
    lectern: Ours | None = None

    @property
    def counted(self) -> bool:
        """Whether the caller wants the counts at the end of a stream."""
        return bool(self.stream_options and self.stream_options.include_usage)

    @property
    def stops(self) -> tuple[str, ...]:
        """The stop sequences."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())

    def to(self, endpoint: Endpoint) -> Json:
        """As it goes to a server: with its own name of the model, without what is meant for us.

        `max_completion_tokens` goes by its older name, which every engine knows; streams always bring their counts.
        """
        body = self.model_dump(exclude_unset=True, exclude={"lectern", "stream_options"})
        newer = body.pop("max_completion_tokens", None)
        body |= {"model": endpoint.model, "stream": bool(self.stream)}
        if newer is not None:
            body["max_tokens"] = newer
        if self.stream:
            beyond = self.stream_options.model_dump(exclude_unset=True) if self.stream_options else {}
            body["stream_options"] = {**beyond, "include_usage": True}
        return body


class ChatMessage(BaseModel):
    """A message of a conversation."""

    model_config = ConfigDict(extra="allow")

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[dict[str, Any]] | None = None

    @property
    def text(self) -> str:
        """Its text, without pictures and other parts."""
        if isinstance(self.content, list):
            return "\n".join(str(part.get("text", "")) for part in self.content if part.get("type") == "text")
        return self.content or ""


class Chat(Asking):
    """A request to /v1/chat/completions."""

    messages: list[ChatMessage] = Field(min_length=1)
    max_completion_tokens: int | None = Field(None, ge=1, description="the newer name of max_tokens")

    @property
    def most_tokens(self) -> int | None:
        """The longest answer that is wanted."""
        return self.max_completion_tokens or self.max_tokens


class Completion(Asking):
    """A request to /v1/completions."""

    prompt: str | list[str]

    @property
    def prompts(self) -> list[str]:
        """The texts to go on with."""
        return [self.prompt] if isinstance(self.prompt, str) else self.prompt

    def as_chat(self, prompt: str) -> Chat:
        """The same, with one of the texts as a question."""
        body = self.model_dump(exclude_unset=True, exclude=ONLY_OF_TEXTS)
        return Chat.model_validate({**body, "messages": [{"role": "user", "content": prompt}]})


class Embeddings(BaseModel):
    """A request to /v1/embeddings."""

    model_config = ConfigDict(extra="allow")

    model: str = Field(description="`embedder:<key>` or the `server:<name>` of an embeddings server")
    input: str | list[str] | list[int] | list[list[int]]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(None, ge=1)
    input_type: Literal["passage", "query"] = Field(
        "passage", description="for `embedder:`: what the texts are; a question and a passage get different vectors"
    )

    @property
    def packed(self) -> bool:
        """Whether vectors are wanted as base64 of 32-bit floats, as OpenAI's own client does."""
        return self.encoding_format == "base64"

    @property
    def texts(self) -> list[str]:
        """The texts. Raises: InvalidValue where there are token numbers, none, or too many."""
        texts = [self.input] if isinstance(self.input, str) else self.input
        reason = None
        if not 1 <= len(texts) <= MOST_INPUTS:
            reason = N_("from 1 to 2048 texts can be sent at a time")
        elif not all(isinstance(text, str) for text in texts):
            reason = N_("send text, not token numbers (LangChain: check_embedding_ctx_length=False)")
        if reason:
            raise InvalidValue(field="input", value="…", reason=reason)
        return [str(text) for text in texts]

    def check_dimensions(self, dimensions: int) -> None:
        """Refuse a length that the vectors do not have. Raises: InvalidValue."""
        if self.dimensions not in (None, dimensions):
            reason = phrase(N_("its vectors have {count} dimensions"), count=dimensions)
            raise InvalidValue(field="dimensions", value=self.dimensions, reason=reason)

    def to(self, endpoint: Endpoint) -> Json:
        """As it goes to a server; numbers come back as such and are packed here."""
        body = self.model_dump(exclude_unset=True, exclude={"input_type"})
        return {**body, "model": endpoint.model, "encoding_format": "float"}


def new_answer_id(kind: str) -> str:
    """An id for an answer of ours."""
    return f"{kind}-{secrets.token_hex(12)}"


def head(id: str, kind: str, model: str) -> Json:
    """What every answer begins with."""
    return {"id": id, "object": kind, "created": int(time.time()), "model": model}


def chat_chunk(id: str, model: str, delta: Json, finish_reason: str | None = None) -> Json:
    """One piece of a streamed chat answer."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return {**head(id, "chat.completion.chunk", model), "choices": [choice]}


def as_text(chunk: Json, index: int) -> Json:
    """A piece of a chat answer as a piece of a text."""
    choices = [
        {"index": index, "text": choice["delta"].get("content") or "", "finish_reason": choice.get("finish_reason")}
        for choice in chunk.get("choices") or []
    ]
    return {**chunk, "object": "text_completion", "choices": [{**choice, "logprobs": None} for choice in choices]}


def embedding_list(asked: Embeddings, vectors: list[list[float]], tokens: int | None) -> Json:
    """Vectors as OpenAI lists them, packed where that was asked for."""
    rows = [
        {"object": "embedding", "index": index, "embedding": _packed(vector) if asked.packed else vector}
        for index, vector in enumerate(vectors)
    ]
    counts = {"usage": {"prompt_tokens": tokens, "total_tokens": tokens}} if tokens is not None else {}
    return {"object": "list", "model": asked.model, "data": rows, **counts}


def _packed(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def usage(prompt_tokens: int | None, completion_tokens: int | None) -> Json | None:
    """The counts of an answer; None where nobody told them."""
    if prompt_tokens is None or completion_tokens is None:
        return None
    total = prompt_tokens + completion_tokens
    return {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens, "total_tokens": total}
