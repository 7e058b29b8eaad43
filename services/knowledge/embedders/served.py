"""An embedder behind a server that speaks OpenAI's API, wherever that runs.

What comes back is believed only as far as it fits the spec: a server that answers by another model, with vectors of
another length, or with something that is none is refused, and nothing of it is kept. A server that cannot be asked now
is told from one that never could: for the first one it is worth waiting.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from services.core.api_errors import RequestRefused, ServerBusy
from services.core.errors import (
    AppError,
    BadResponse,
    ContextLengthExceeded,
    EmbedderMismatch,
    ServerNotReady,
    UpstreamTimeout,
)
from services.core.i18n import N_
from services.core.phrases import phrase
from services.core.vector_errors import EmbedderAway, ServerFailing, WindowTooLarge
from services.knowledge.embedders.asking import Manner, manner
from services.knowledge.embedders.ports import VectorServers
from services.knowledge.embedders.protocol import EmbedderSpec, EncoderClosed, Vectors
from services.knowledge.types import Unwanted
from services.llm.embeddings import Embedded
from services.llm.waiting import GivenUp

POOLING = "server"
"""It is the server's own affair."""
MOST_TEXTS = 256
"""Of one request; fewer as soon as a server refuses so many."""
PASSING: dict[type[AppError], str] = {
    ServerNotReady: N_("it does not answer at {url}"),
    UpstreamTimeout: N_("it did not answer within {seconds} seconds"),
    ServerBusy: N_("it is busy with other requests"),
    ServerFailing: N_("it failed: {reason}"),
}
"""What may pass by itself, and what is said of it."""


class ServerEmbedder:
    """Vectors of one server. Thread-safe.

    Every method raises EmbedderAway where it is worth trying again later, EmbedderMismatch where the server is another
    one than the spec says, and EmbedderGone, Unauthorized, BadResponse, NotOffered, RequestRefused, WindowTooLarge.
    """

    def __init__(self, spec: EmbedderSpec, servers: VectorServers) -> None:
        self.spec = spec
        self._name = spec.server or spec.key
        self._servers = servers
        self._most_texts = MOST_TEXTS
        self._closed = threading.Event()

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Vectors of questions."""
        return self._encode([self.spec.query_prefix + text for text in texts])

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        """Vectors of passages."""
        return self._encode([self.spec.passage_prefix + text for text in texts])

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of passages before any cut, by the server's own count where it has one."""
        asked = [acceptable(self.spec.passage_prefix + text) for text in texts]
        how = manner()
        with self._told_apart(how):
            server = self._servers.reached(self._name, quick=how.quick, wake=how.wake)
            return server.count_tokens(self._model, asked, self._wanted(how))

    def hindrance(self) -> AppError | None:
        """Why the server cannot be asked, as far as that is known without asking; it is not started for this look."""
        return self._servers.hindrance(self._name)

    def asleep(self) -> bool:
        """Whether it was unloaded because nobody asked it: it starts as soon as somebody does."""
        return self._servers.asleep(self._name)

    def close(self) -> None:
        """End what is under way in other threads: it ends with `EncoderClosed`."""
        self._closed.set()

    @property
    def _model(self) -> str:
        return self.spec.asked_as or self.spec.model

    def _encode(self, texts: list[str]) -> Vectors:
        rows, begin = [np.empty((0, self.spec.dimensions), np.float32)], 0
        sound = [acceptable(text) for text in texts]
        while begin < len(sound):
            batch = sound[begin : begin + self._most_texts]
            rows.append(self._vectors(batch))
            begin += len(batch)
        return np.concatenate(rows)

    def _vectors(self, texts: list[str]) -> Vectors:
        """The vectors of a batch; where it is refused, those of its halves, for servers have limits of their own."""
        try:
            return self._asked(texts)
        except ContextLengthExceeded as error:
            if len(texts) == 1:
                raise WindowTooLarge(name=self._name, window=self.spec.window_tokens) from error
        except RequestRefused:
            if len(texts) == 1:
                raise
        half = (len(texts) + 1) // 2
        both = np.concatenate([self._vectors(texts[:half]), self._vectors(texts[half:])])
        self._most_texts = min(self._most_texts, half)
        return both

    def _asked(self, texts: list[str]) -> Vectors:
        how = manner()
        with self._told_apart(how):
            server = self._servers.reached(self._name, quick=how.quick, wake=how.wake)
            found = server.embed(self._model, texts, self._wanted(how))
        self._check(found)
        return unit_rows(self._name, found.rows)

    def _check(self, found: Embedded) -> None:
        dimensions = len(found.rows[0])
        if found.model != self.spec.model or dimensions != self.spec.dimensions:
            expected = f"{self.spec.model} ({self.spec.dimensions})"
            raise EmbedderMismatch(expected=expected, found=f"{found.model} ({dimensions})")

    def _wanted(self, how: Manner) -> Any:
        if how.quick:
            return None
        return lambda: not self._closed.is_set() and (how.wanted is None or how.wanted())

    @contextmanager
    def _told_apart(self, how: Manner) -> Iterator[None]:
        """Turn what passes by itself into `EmbedderAway`."""
        if self._closed.is_set():
            raise EncoderClosed
        try:
            yield
        except tuple(PASSING) as error:
            raise EmbedderAway(name=self._name, reason=reason_of(error)) from error
        except GivenUp:
            if self._closed.is_set():
                raise EncoderClosed from None
            raise Unwanted from None


def reason_of(error: AppError) -> dict[str, Any]:
    """Why a server cannot be asked, as part of a sentence."""
    return phrase(PASSING[type(error)], **error.params)


def unit_rows(name: str, rows: Sequence[Sequence[float]]) -> Vectors:
    """Vectors brought to length 1. Raises: BadResponse where one has no length, or holds what is no number."""
    vectors = np.asarray(rows, np.float64)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or not lengths.all():
        raise BadResponse(name=name, reason=N_("one of its vectors has no length"))
    return np.asarray(vectors / lengths, np.float32)


def acceptable(text: str) -> str:
    """The text as it can be sent: no lone surrogate, no NUL, and never nothing at all, which servers refuse."""
    whole = text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    return whole.replace("\0", " ") or " "
