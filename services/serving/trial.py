"""Short questions to a server: the first one after its start, and the one that people ask to try it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import httpx2

from services.core.clock import ticks_ms
from services.core.errors import AppError, BadResponse, EmptyAnswer, TrialFailed, UnavailableError
from services.core.i18n import N_
from services.core.phrases import phrase
from services.llm.client import OpenAIChatModel
from services.llm.ollama import KEY as OLLAMA
from services.llm.protocol import Endpoint, Message, Sampling, TextDelta, Usage

QUESTION = "Say yes."
TOKENS = 1
PAUSE_S = 0.2
CHAT_PROMPT = "Say hello in one short sentence."
CHAT_TOKENS = 40
CHAT_TIMEOUT_S = 60.0
OTHER_QUESTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("/embeddings", {"input": QUESTION}),
    ("/rerank", {"query": QUESTION, "documents": [QUESTION]}),
)
"""For servers whose model does not chat."""


def passes(endpoint: Endpoint, limit_s: float, lives: Callable[[], bool]) -> bool:
    """Whether the server answers one short question; False where it ended meanwhile.

    A server that hangs up or says that it is busy is asked again until the time is over.

    Args:
        lives: whether the server still runs.
    Raises: TrialFailed, with the reason.
    """
    if endpoint.engine == OLLAMA and not endpoint.model:
        return True  # it may have no model yet, and a question would load one that nobody asked for
    deadline_ms = ticks_ms() + limit_s * 1000
    while lives():
        try:
            _ask(endpoint, deadline_ms)
        except UnavailableError as error:
            if ticks_ms() >= deadline_ms:
                raise _failed(endpoint, error) from error
            time.sleep(PAUSE_S)
        except AppError as error:
            raise _failed(endpoint, error) from error
        else:
            return True
    return False


def _ask(endpoint: Endpoint, deadline_ms: float) -> None:
    model = OpenAIChatModel(endpoint, timeout_s=_left_s(deadline_ms))
    try:
        with closing(model.stream([Message("user", QUESTION)], Sampling(TOKENS))) as events:
            for _ in events:  # whatever it says: a model that thinks first has no word to show yet
                if ticks_ms() > deadline_ms:
                    raise BadResponse(name=endpoint.name, reason=N_("the answer does not come to its end"))
    except BadResponse:
        if not any(_answers(endpoint, path, body, deadline_ms) for path, body in OTHER_QUESTIONS):
            raise


def _answers(endpoint: Endpoint, path: str, body: dict[str, Any], deadline_ms: float) -> bool:
    headers = {"Authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}
    try:
        reply = httpx2.post(
            endpoint.url + path,
            json={"model": endpoint.model, **body},
            headers=headers,
            timeout=_left_s(deadline_ms),
            trust_env=False,
        )
    except httpx2.HTTPError:
        return False
    return reply.status_code == 200


def _left_s(deadline_ms: float) -> float:
    return max(0.5, (deadline_ms - ticks_ms()) / 1000)


def _failed(endpoint: Endpoint, error: AppError) -> TrialFailed:
    return TrialFailed(name=endpoint.name, reason=phrase(error.message, **error.params))


@dataclass(frozen=True, slots=True)
class SmokeResult:
    """What a server answered to one short chat, and how quickly. None: too short to tell."""

    answer: str
    model: str
    latency_ms: float
    first_token_ms: float
    tokens_per_second: float | None


def short_chat(endpoint: Endpoint) -> SmokeResult:
    """Have one short chat with a server. Raises: EmptyAnswer, and as `ChatModel`."""
    model = OpenAIChatModel(endpoint, timeout_s=CHAT_TIMEOUT_S)
    listed = [endpoint.model] if endpoint.model else model.models()
    if not listed:
        raise BadResponse(name=endpoint.name, reason=N_("it lists no model"))
    begin, first, pieces, tokens = ticks_ms(), 0.0, [], None
    for event in model.stream([Message("user", CHAT_PROMPT)], Sampling(CHAT_TOKENS)):
        if isinstance(event, TextDelta):
            first = first or ticks_ms()
            pieces.append(event.text)
        elif isinstance(event, Usage):
            tokens = event.completion_tokens
    end, answer = ticks_ms(), "".join(pieces).strip()
    if not answer:
        raise EmptyAnswer(name=endpoint.name)
    rate = (tokens - 1) / (end - first) * 1000 if tokens and tokens > 1 and end > first else None
    return SmokeResult(answer, listed[0], end - begin, first - begin, rate)
