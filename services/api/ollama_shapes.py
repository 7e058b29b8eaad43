"""What Ollama's clients send and get, made of OpenAI's form and back."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from services.api.shapes import Chat, Completion
from services.core.clock import ticks_ms
from services.llm.relay import Json

OPTIONS = {
    "num_predict": "max_tokens",
    **{name: name for name in ("temperature", "top_p", "top_k", "min_p", "typical_p", "seed", "stop")},
    **{name: name for name in ("repeat_penalty", "presence_penalty", "frequency_penalty")},
}
"""Ollama's options by the names of OpenAI and llama.cpp. Others belong to the start of an engine: they are ignored."""


class OllamaAsking(BaseModel):
    """What every request has."""

    model_config = ConfigDict(extra="ignore")

    model: str
    stream: bool | None = None
    format: str | dict[str, Any] | None = None
    options: dict[str, Any] | None = None
    think: bool | str | None = None
    keep_alive: float | str | None = None

    @property
    def streams(self) -> bool:
        """Ollama streams unless told not to."""
        return self.stream is not False

    @property
    def unloads(self) -> bool:
        """Whether it asks for the model to leave the memory."""
        return str(self.keep_alive) in ("0", "0.0", "0s")

    def _body(self) -> Json:
        body: Json = {"model": self.model, "stream": True}
        for name, value in (self.options or {}).items():
            # A negative num_predict means as much as there is room for, which is what leaving it out means.
            if name in OPTIONS and value is not None and not (name == "num_predict" and value < 1):
                body[OPTIONS[name]] = value
        if self.format:
            schema = {"name": "answer", "schema": self.format}
            wanted = {"type": "json_schema", "json_schema": schema} if isinstance(self.format, dict) else None
            body["response_format"] = wanted or {"type": "json_object"}
        if self.think is not None:
            body["chat_template_kwargs"] = {"enable_thinking": bool(self.think)}
        return body


class OllamaChat(OllamaAsking):
    """A request to /api/chat."""

    messages: list[dict[str, Any]] = []
    tools: list[dict[str, Any]] | None = None

    def in_openai_form(self) -> Chat:
        """The same for /v1/chat/completions."""
        body = self._body()
        if self.tools:
            body["tools"] = self.tools
        body["messages"], calling = [], 0
        for number, message in enumerate(self.messages):
            calling = number if message.get("role") != "tool" else calling
            body["messages"].append(_message(message, calling, number - calling - 1))
        return Chat.model_validate(body)


class OllamaGenerate(OllamaAsking):
    """A request to /api/generate."""

    prompt: str = ""
    suffix: str = ""
    system: str = ""
    raw: bool | None = None
    images: list[str] | None = None

    def in_openai_form(self) -> Chat:
        """The same for /v1/chat/completions."""
        messages = [{"role": "system", "content": self.system}] if self.system else []
        asked = {"role": "user", "content": self.prompt, **({"images": self.images} if self.images else {})}
        return Chat.model_validate({**self._body(), "messages": [*messages, _message(asked)]})

    def as_text(self) -> Completion:
        """The same for /v1/completions."""
        beyond = {"suffix": self.suffix} if self.suffix else {}
        return Completion.model_validate({**self._body(), "prompt": self.prompt, **beyond})


class OllamaEmbed(BaseModel):
    """A request to /api/embed."""

    model_config = ConfigDict(extra="ignore")

    model: str
    input: str | list[str]
    dimensions: int | None = None


class OllamaShow(BaseModel):
    """A request to /api/show, which older clients word in another way."""

    model_config = ConfigDict(extra="ignore")

    model: str = ""
    name: str = ""

    @property
    def name_of(self) -> str:
        """Which model is meant."""
        return self.model or self.name


class OllamaAnswer:
    """An answer in Ollama's form as it grows out of pieces in OpenAI's."""

    def __init__(self, model: str, place: str) -> None:
        """`place`: where the text stands, `message` or `response`."""
        self._model = model
        self._place = place
        self._begun_ms = ticks_ms()
        self._first_ms: float | None = None
        self._calls: dict[int, dict[str, str]] = {}
        self._reason = "stop"
        self._beyond: Json = {}

    def grown(self, chunk: Json) -> list[Json]:
        """The rows that one more piece makes: none for what has no text."""
        usage = chunk.get("usage") or {}
        self._beyond |= {"lectern": chunk["lectern"]} if "lectern" in chunk else {}
        if usage:
            self._beyond["prompt_eval_count"] = usage.get("prompt_tokens")
            self._beyond["eval_count"] = usage.get("completion_tokens")
        rows = []
        for choice in (chunk.get("choices") or [])[:1]:
            self._reason = choice.get("finish_reason") or self._reason
            delta = choice.get("delta") or {"content": choice.get("text")}
            self._gather(delta.get("tool_calls") or [])
            text, thought = delta.get("content") or "", delta.get("reasoning_content") or delta.get("reasoning") or ""
            if text or thought:
                self._first_ms = self._first_ms or ticks_ms()
                rows.append(self._row(text, thought, done=False))
        return rows

    def ended(self, text: str = "", thought: str = "") -> Json:
        """The last row, with reason, counts and durations."""
        now = ticks_ms()
        first = self._first_ms or now
        durations = {
            "total_duration": _nanoseconds(now - self._begun_ms),
            "load_duration": 0,
            "prompt_eval_duration": _nanoseconds(first - self._begun_ms),
            "eval_duration": _nanoseconds(now - first),
        }
        reason = {"tool_calls": "stop"}.get(self._reason, self._reason)
        row = self._row(text, thought, done=True)
        if self._calls and self._place == "message":
            row["message"]["tool_calls"] = [_call(call) for _, call in sorted(self._calls.items())]
        return {**row, "done_reason": reason, **durations, **self._beyond}

    async def whole(self, source: AsyncGenerator[Json]) -> Json:
        """All of it in one row."""
        text = thought = ""
        try:
            async for chunk in source:
                for row in self.grown(chunk):
                    part = row[self._place]
                    text += part["content"] if isinstance(part, dict) else part
                    thought += (part if isinstance(part, dict) else row).get("thinking", "")
        finally:
            await source.aclose()
        return self.ended((self._beyond.get("lectern") or {}).get("answer", text), thought)

    def loaded(self, unloads: bool) -> Json:
        """The answer to a request without a text, which is how Ollama's clients load and unload models."""
        return {**self._row("", "", done=True), "done_reason": "unload" if unloads else "load"}

    def _row(self, text: str, thought: str, *, done: bool) -> Json:
        thinking = {"thinking": thought} if thought else {}
        said = {"message": {"role": "assistant", "content": text, **thinking}}
        content = said if self._place == "message" else {"response": text, **thinking}
        return {"model": self._model, "created_at": datetime.now(UTC).isoformat(), **content, "done": done}

    def _gather(self, parts: list[Json]) -> None:
        for part in parts:
            call = self._calls.setdefault(int(part.get("index", 0)), {"name": "", "arguments": ""})
            told = part.get("function") or {}
            call["name"] += told.get("name") or ""
            call["arguments"] += told.get("arguments") or ""


def _message(message: dict[str, Any], calling: int = 0, result: int = 0) -> Json:
    """A message in OpenAI's form: pictures as parts, arguments of calls as text, an id for each call.

    Args:
        calling: number of the message whose calls are meant.
        result: which of its calls a tool has answered.
    """
    row = {"role": message.get("role"), "content": message.get("content") or ""}
    if message.get("images"):
        pictures = [{"type": "image_url", "image_url": {"url": _picture(image)}} for image in message["images"]]
        row["content"] = [{"type": "text", "text": row["content"]}, *pictures]
    if message.get("tool_calls"):
        row["tool_calls"] = [
            {"id": f"call_{calling}_{index}", "type": "function", "function": _function(call.get("function") or {})}
            for index, call in enumerate(message["tool_calls"])
        ]
    if row["role"] == "tool":
        row["tool_call_id"] = message.get("tool_call_id") or f"call_{calling}_{result}"
    return row


def _function(told: dict[str, Any]) -> Json:
    arguments = told.get("arguments")
    text = arguments if isinstance(arguments, str) else json.dumps(arguments or {}, ensure_ascii=False)
    return {"name": told.get("name"), "arguments": text}


def _call(call: dict[str, str]) -> Json:
    try:
        arguments = json.loads(call["arguments"] or "{}")
    except ValueError:
        arguments = {}
    return {"function": {"name": call["name"], "arguments": arguments if isinstance(arguments, dict) else {}}}


def _picture(image: str) -> str:
    return image if image.startswith("data:") else f"data:image/png;base64,{image}"


def _nanoseconds(milliseconds: float) -> int:
    return int(milliseconds * 1_000_000)
