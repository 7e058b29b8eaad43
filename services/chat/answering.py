"""The way of one answer: the server is reached, passages are searched, the prompt is sent, the answer finished."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from services.chat.finishing import finished
from services.chat.ports import OpenModel, PassageSearch, Target
from services.chat.prompts import REFUSALS, grounded_messages, plain_messages, question_language
from services.chat.retrieval import UNKNOWN_CONTEXT, retrieve
from services.chat.running import Running
from services.chat.streaming import stream_into
from services.core.clock import Stopwatch
from services.core.errors import AppError, EmptyAnswer, Unexpected
from services.core.log import incident
from services.llm.protocol import ChatModel, Endpoint, Message, Sampling
from services.store.conversations import TurnRows
from services.store.product import ProductSettings

logger = logging.getLogger(__name__)


class Answering:
    """Brings turns to their end, each in the thread that calls `answer`."""

    def __init__(
        self, turns: TurnRows, *, search: PassageSearch, open_model: OpenModel, product: Callable[[], ProductSettings]
    ) -> None:
        self._turns = turns
        self._search = search
        self._open_model = open_model
        self._product = product

    def answer(self, running: Running, target: Target) -> None:
        """Answer a turn; however that ends, the turn says so and is stored."""
        watch = Stopwatch()
        try:
            with watch.step("total"):
                state = self._produced(running, target, watch)
            outcome: dict[str, Any] = {"state": state}
        except AppError as error:
            outcome = {"state": "failed", "error_code": error.code, "error_params": error.params}
        except Exception as error:  # noqa: BLE001 - the reader gets the id, the log the rest
            number = incident(logger, error, f"answering {running.turn.id}")
            outcome = {"state": "failed", "error_code": Unexpected.code, "error_params": {"incident": number}}
        running.change(**outcome, timings_ms={**running.turn.timings_ms, **watch.timings_ms})
        try:
            running.write()
        except AppError as error:
            logger.error("the answer %s could not be stored: %s", running.turn.id, error)

    def _produced(self, running: Running, target: Target, watch: Stopwatch) -> str:
        product = self._product()
        endpoint = _reached(running, target)
        if endpoint is None:
            return "stopped"
        model = self._open_model(endpoint)
        if running.turn.base_id:
            passages = retrieve(running, self._search, model, target, product.answer_tokens, watch)
            language = question_language(running.turn.question)
            if not passages:
                running.change(answer=REFUSALS[language])
                return "done"
            messages = grounded_messages(running.turn.question, passages, language)
            sampling = Sampling(max_tokens=product.answer_tokens, temperature=0.0)
        else:
            messages = self._plain(running, model, product)
            sampling = Sampling(max_tokens=product.answer_tokens, temperature=product.temperature)
        stream_into(running, model, messages, sampling, watch)
        if running.stop.is_set():
            return "stopped"
        if not running.turn.answer.strip():
            raise EmptyAnswer(name=running.turn.server_name)
        running.turn = finished(running.turn)
        return "done"

    def _plain(self, running: Running, model: ChatModel, product: ProductSettings) -> list[Message]:
        turn = running.turn
        earlier = [old for old in self._turns.of(turn.conversation_id) if old.position < turn.position and old.answer]
        context = model.context_length() or UNKNOWN_CONTEXT
        return plain_messages(
            [(old.question, old.answer) for old in earlier],
            turn.question,
            max(context - product.answer_tokens - 64, 256),
            model.count_tokens,
        )


def _reached(running: Running, target: Target) -> Endpoint | None:
    """Where to ask, once the server is there; None where the answer was stopped before."""
    if target.when_ready is None:
        return target.endpoint

    def given_up() -> bool:
        running.write_when_due()
        return running.stop.is_set()

    running.change(state="starting")
    running.write()
    return target.when_ready(given_up)
