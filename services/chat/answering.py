"""The way of one answer: whose turn it is, what is searched, what the model is sent, how its answer is finished."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from services.chat.admission import queued, reached
from services.chat.assembly import grounded_parts, plain_parts
from services.chat.checking.verdicts import Similarity
from services.chat.choices import Settled
from services.chat.counting import Count, Counts, Models
from services.chat.doubting import likelihood
from services.chat.finishing import finished, nothing_found
from services.chat.judging import Judge
from services.chat.limits import answer_tokens
from services.chat.memory import Remembered, exchange_of, rememberable, remembered
from services.chat.notes import CUT, DOUBTED, ELSEWHERE, LEFT_OUT, LOOPED, note
from services.chat.parts import Part, messages_of
from services.chat.ports import Filters, OtherServers, PassageSearch, Target
from services.chat.prompts import asked_line, fixed_messages, question_language
from services.chat.refusals import refuses
from services.chat.retrieval import fitted, retrieve
from services.chat.rewriting import needs_context, rewritten
from services.chat.running import Running
from services.chat.streaming import stream_into
from services.chat.turnstile import Turnstile
from services.core.api_errors import ServerBusy
from services.core.clock import Stopwatch
from services.core.errors import AppError, BadResponse, EmptyAnswer, ServerNotReady, Unexpected, UpstreamTimeout
from services.core.log import incident
from services.llm.estimate import estimated_tokens
from services.llm.protocol import ChatModel, Endpoint, Sampling
from services.store.conversations import ConversationRows, TurnRecord, TurnRows

logger = logging.getLogger(__name__)

DEAD = (ServerNotReady, UpstreamTimeout, BadResponse, ServerBusy)
"""What a server that dies, hangs, answers nonsense or turns people away raises: another one may do better."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted for a turn, beside its row."""

    target: Target
    settled: Settled
    filters: Filters


class Answering:
    """Brings turns to their end, each in the thread that calls `answer`. Thread-safe."""

    def __init__(
        self,
        conversations: ConversationRows,
        turns: TurnRows,
        *,
        search: PassageSearch,
        others: OtherServers,
        models: Models,
        counts: Counts,
        turnstile: Turnstile,
        judge: Judge,
        similarity: Similarity | None = None,
    ) -> None:
        self._conversations = conversations
        self._turns = turns
        self._search = search
        self._others = others
        self._models = models
        self._counts = counts
        self._turnstile = turnstile
        self._judge = judge
        self._similarity = similarity

    def answer(self, running: Running, order: Order) -> None:
        """Answer a turn; however that ends, the turn says so and is stored."""
        watch = Stopwatch()
        try:
            with watch.step("total"):
                state = self._produced(running, order, watch)
                if state == "done":
                    self._judge.judge(running, watch)
            outcome: dict[str, Any] = {"state": state}
        except AppError as error:
            outcome = {"state": "failed", "error_code": error.code, "error_params": error.params}
        except Exception as error:  # noqa: BLE001 - the reader gets the id, the log the rest
            number = incident(logger, error, f"answering {running.turn.id}")
            outcome = {"state": "failed", "error_code": Unexpected.code, "error_params": {"incident": number}}
        running.change(**outcome, queue_place=None, timings_ms={**running.turn.timings_ms, **watch.timings_ms})
        try:
            running.write()
        except AppError as error:
            logger.error("the answer %s could not be stored: %s", running.turn.id, error)

    def _produced(self, running: Running, order: Order, watch: Stopwatch) -> str:
        """Ask the server, and where that one dies another: each is tried once."""
        target, tried = order.target, {order.target.server_id}
        while True:
            try:
                with self._admitted(running, target, watch) as endpoint:
                    return self._asked(running, order, target, endpoint, watch) if endpoint else "stopped"
            except DEAD:
                other = None if running.stop.is_set() else self._others(tried)
                if other is None:
                    raise
                first, target = running.turn.server_name, other
            tried.add(target.server_id)
            running.change(state="waiting", server_name=target.endpoint.name, model=target.endpoint.model)
            running.note(note(ELSEWHERE, first=first, second=target.endpoint.name))

    @contextmanager
    def _admitted(self, running: Running, target: Target, watch: Stopwatch) -> Iterator[Endpoint | None]:
        """Wait for one's turn and for the server; its endpoint, or None where the answer was stopped before."""
        waiting = self._turnstile.enter(target.server_id, target.slots)
        try:
            with watch.step("queue"):
                queued(running, waiting)
            if target.when_ready:
                running.change(state="starting")
                running.write()
            yield reached(running, target)
        finally:
            waiting.leave()

    def _asked(self, running: Running, order: Order, target: Target, endpoint: Endpoint, watch: Stopwatch) -> str:
        model = self._models.at(endpoint)
        context, count = self._counts.context(model), self._counts.of(model)
        if running.turn.bases:
            made = self._grounded(running, order, target, model, context, count, watch)
        else:
            made = self._plain(running, order, context, count, watch)
        if made is None:
            return "stopped" if running.stop.is_set() else "done"
        parts, limit = made
        settled = order.settled
        sampling = Sampling(limit, settled.temperature, settled.top_p, settled.stop)
        try:
            ended = stream_into(running, model, messages_of(parts), sampling, watch)
        finally:  # afterwards: counting its parts would keep the first word waiting
            self._turns.sent(running.turn.id, [part.row(lambda text: _counted(count, text)) for part in parts])
        if running.stop.is_set():
            return "stopped"
        if not running.turn.answer.strip():
            raise EmptyAnswer(name=running.turn.server_name)
        if ended == "length":
            running.note(note(CUT, tokens=limit))
        if ended == LOOPED:
            running.note(note(LOOPED))
        with watch.step("check"):
            running.turn = finished(running.turn, self._similarity)
        if running.turn.passages and target.doubts and not refuses(running.turn.answer):
            with watch.step("doubt"):
                _doubted(running, target, model, parts)
        return "done"

    def _grounded(
        self,
        running: Running,
        order: Order,
        target: Target,
        model: ChatModel,
        context: int,
        count: Count,
        watch: Stopwatch,
    ) -> tuple[list[Part], int] | None:
        """The prompt and the answer's limit; None where nothing was found, and the turn then says that."""
        question = self._standalone(running, model, watch)
        if running.stop.is_set():
            return None
        language, settled = question_language(question), order.settled
        found = retrieve(running, self._search, question, settled.top_k, order.filters, watch)
        with watch.step("fit"):
            fixed = sum(count(message.content) for message in fixed_messages(language))
            fixed += count(asked_line(question, language))
            fixed += count(settled.system_prompt) if settled.system_prompt else 0
            limit = answer_tokens(running, settled.max_tokens, context, fixed)
            passages = fitted(running, found, question, context, fixed, limit, target.passage_cap, count)
        if not passages:
            running.turn = nothing_found(running.turn, found, language)
            return None
        return grounded_parts(question, passages, language, settled.system_prompt), limit

    def _standalone(self, running: Running, model: ChatModel, watch: Stopwatch) -> str:
        """The question that is searched for: rewritten only where it cannot be understood alone."""
        turn = running.turn
        asked = turn.standalone or turn.question
        earlier = [exchange_of(old) for old in self._remembered_turns(turn)]
        if not needs_context(asked, earlier):
            return asked
        running.change(state="rewriting")
        running.write()
        with watch.step("rewrite"):
            found = rewritten(model, asked, earlier, running.stop)
        if found and found != turn.question:
            running.change(standalone=found)
        return found or asked

    def _plain(
        self, running: Running, order: Order, context: int, count: Count, watch: Stopwatch
    ) -> tuple[list[Part], int]:
        turn, settled = running.turn, order.settled
        question = turn.standalone or turn.question
        with watch.step("fit"):
            bare = plain_parts(question, Remembered("", ()), settled.system_prompt)
            fixed = sum(count(part.text) for part in bare)
            limit = answer_tokens(running, settled.max_tokens, context, fixed)
            talk = self._conversations.get(turn.conversation_id)
            room = context - fixed - limit - 64
            memory = remembered(self._remembered_turns(turn), talk.summary if talk else None, settled, room, count)
        if memory.left_out and settled.memory != "token_budget":
            running.note(note(LEFT_OUT, turns=memory.left_out))
        return plain_parts(question, memory, settled.system_prompt), limit

    def _remembered_turns(self, turn: TurnRecord) -> Sequence[TurnRecord]:
        talk = self._conversations.get(turn.conversation_id)
        path = self._turns.path(turn.conversation_id, turn.parent_id)
        return rememberable(path, talk.remembers_after if talk else None)


def _doubted(running: Running, target: Target, model: ChatModel, parts: Sequence[Part]) -> None:
    """Note where the model itself doubts that the passages answer the question."""
    question = running.turn.standalone or running.turn.question
    language = question_language(question)
    if language in target.doubts:
        sure = likelihood(model, parts, question, language, lambda: not running.stop.is_set())
        if sure is not None and sure < target.doubts[language]:
            running.note(note(DOUBTED))


def _counted(count: Count, text: str) -> int:
    """Tokens of a text, by the server while it is there."""
    try:
        return count(text)
    except AppError:
        return estimated_tokens(text)
