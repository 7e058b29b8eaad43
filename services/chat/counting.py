"""Token counts that are asked of a server once for each text: memory and prompts count the same ones at every turn."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from services.chat.ports import OpenModel
from services.core.clock import ticks_ms
from services.llm.protocol import ChatModel, Endpoint

COUNTS_KEPT = 20_000
FACTS_KEPT_MS = 60_000
"""A server that was started anew may have another context length."""
UNKNOWN_CONTEXT = 4096
"""Taken where a server does not tell its context length: what small servers have at least."""

Count = Callable[[str], int]


class Counts:
    """What was counted, and how long a context each server has. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: OrderedDict[tuple[str, str, int, int], int] = OrderedDict()
        self._contexts: dict[tuple[str, str], tuple[float, int | None]] = {}

    def of(self, model: ChatModel) -> Count:
        """Counts a text as this model does."""

        def count(text: str) -> int:
            key = (model.endpoint.url, model.endpoint.model, len(text), hash(text))
            with self._lock:
                if key in self._counts:
                    self._counts.move_to_end(key)
                    return self._counts[key]
            counted = model.count_tokens(text)
            with self._lock:
                self._counts[key] = counted
                while len(self._counts) > COUNTS_KEPT:
                    self._counts.popitem(last=False)
            return counted

        return count

    def context(self, model: ChatModel) -> int:
        """Tokens of the model's context, looked up once a minute."""
        key, now = (model.endpoint.url, model.endpoint.model), ticks_ms()
        with self._lock:
            known = self._contexts.get(key)
        if known is None or now - known[0] > FACTS_KEPT_MS:
            known = (now, model.context_length())
            with self._lock:
                self._contexts[key] = known
        return known[1] or UNKNOWN_CONTEXT


class Models:
    """Models behind endpoints, opened once: a client reads certificates and makes its connections anew each time."""

    def __init__(self, open_model: OpenModel) -> None:
        self._open = open_model
        self._lock = threading.Lock()
        self._models: dict[Endpoint, ChatModel] = {}

    def at(self, endpoint: Endpoint) -> ChatModel:
        """The model behind an endpoint."""
        with self._lock:
            if endpoint not in self._models:
                if len(self._models) >= 64:
                    self._models.clear()
                self._models[endpoint] = self._open(endpoint)
            return self._models[endpoint]
