"""What people think of answers; a bad answer is kept as a golden question, with its whole trace."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from services.chat.checking.answers import CHECKS
from services.chat.turns import passages_of
from services.core.errors import ConversationNotFound, InvalidValue
from services.core.i18n import N_
from services.store.conversations import ConversationRows, TurnRecord, TurnRows
from services.store.feedback import BAD, GOOD, FeedbackRecord, FeedbackRows, GoldenRecord, GoldenRows

COMMENT_LIMIT = 4000


class Feedback:
    """Thumbs, comments and golden questions. Thread-safe."""

    def __init__(
        self, conversations: ConversationRows, turns: TurnRows, feedback: FeedbackRows, golden: GoldenRows
    ) -> None:
        self._conversations = conversations
        self._turns = turns
        self._feedback = feedback
        self._golden = golden

    def rate(self, owner_id: str, turn_id: str, verdict: str, comment: str = "") -> FeedbackRecord:
        """Note what an owner thinks of an answer of hers. Raises: ConversationNotFound, InvalidValue."""
        self._turn(owner_id, turn_id)
        if verdict not in (GOOD, BAD):
            raise InvalidValue(field="verdict", value=verdict, reason=N_("it must be good or bad"))
        return self._feedback.put(turn_id, owner_id, verdict, comment.strip()[:COMMENT_LIMIT])

    def of(self, owner_id: str, turn_id: str) -> FeedbackRecord | None:
        """What an owner thinks of an answer; None where she has not said."""
        return self._feedback.of(turn_id, owner_id)

    def save_golden(
        self,
        owner_id: str,
        turn_id: str,
        *,
        passages: Collection[int] = (),
        documents: Sequence[dict[str, Any]] = (),
        comment: str = "",
    ) -> GoldenRecord:
        """Keep an answer as a golden question: what was asked, what was retrieved, and what should have been.

        Args:
            passages: numbers of shown passages that are right.
            documents: others that should have been found, each with base_id, document_id and document.
        Raises: ConversationNotFound.
        """
        turn = self._turn(owner_id, turn_id)
        rows = [passage.row() for passage in passages_of(turn)]
        expected = [row for row in rows if row["number"] in passages]
        return self._golden.create(
            owner_id=owner_id,
            turn_id=turn.id,
            question=turn.question,
            bases=turn.bases,
            retrieved=rows,
            expected=[*expected, *documents],
            trace=_trace(turn),
            comment=comment.strip()[:COMMENT_LIMIT],
        )

    def golden(self, base_id: str | None = None) -> Sequence[GoldenRecord]:
        """Golden questions, the newest first."""
        return self._golden.all(base_id)

    def remove_golden(self, golden_id: str) -> bool:
        """Forget a golden question; False where it was gone."""
        return self._golden.remove(golden_id)

    def _turn(self, owner_id: str, turn_id: str) -> TurnRecord:
        turn = self._turns.get(turn_id)
        if turn is None or self._conversations.of(owner_id, turn.conversation_id) is None:
            raise ConversationNotFound()
        return turn


def golden_row(record: GoldenRecord) -> dict[str, Any]:
    """A golden question as JSON values."""
    return {
        "id": record.id,
        "question": record.question,
        "bases": record.bases,
        "expected": record.expected,
        "retrieved": record.retrieved,
        "trace": record.trace,
        "comment": record.comment,
        "created_at_ms": record.created_at_ms,
    }


def _trace(turn: TurnRecord) -> dict[str, Any]:
    return {
        "answer": turn.answer,
        "mode": turn.mode,
        "state": turn.state,
        "server": turn.server_name,
        "model": turn.model,
        "settings": {name: value for name, value in turn.settings.items() if name != CHECKS},
        "checks": turn.settings.get(CHECKS, []),
        "timings_ms": turn.timings_ms,
        "prompt_tokens": turn.prompt_tokens,
        "completion_tokens": turn.completion_tokens,
    }
