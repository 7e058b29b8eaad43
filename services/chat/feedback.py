"""What people think of answers; a bad answer is kept as a golden question, with its whole trace."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from services.chat.checking.answers import CHECKS
from services.chat.rows import shared_link
from services.chat.turns import FOUND, passages_of
from services.core.errors import ConversationNotFound, InvalidValue
from services.core.i18n import N_
from services.store.conversations import ConversationRows, TurnRecord, TurnRows
from services.store.feedback import (
    BAD,
    GOOD,
    UNSAID,
    FeedbackRecord,
    FeedbackRows,
    GoldenRecord,
    GoldenRows,
    RatedAnswer,
)

COMMENT_LIMIT = 4000
VERDICT_WORDS = {GOOD: N_("good"), BAD: N_("bad"), UNSAID: N_("comment")}
"""What each verdict is called; without a thumb there is a comment alone."""


class Feedback:
    """Thumbs, comments and golden questions. Thread-safe."""

    def __init__(
        self, conversations: ConversationRows, turns: TurnRows, feedback: FeedbackRows, golden: GoldenRows
    ) -> None:
        self._conversations = conversations
        self._turns = turns
        self._feedback = feedback
        self._golden = golden

    def rate(self, owner_id: str, turn_id: str, verdict: str, comment: str = "") -> FeedbackRecord | None:
        """Note what an owner thinks of an answer of hers, in place of what she thought before.

        Args:
            verdict: good, bad, or empty: only the comment is kept, and without one nothing is.
        Raises: ConversationNotFound, InvalidValue.
        """
        self._turn(owner_id, turn_id)
        if verdict not in (GOOD, BAD, UNSAID):
            raise InvalidValue(field="verdict", value=verdict, reason=N_("it must be good or bad"))
        said = comment.strip()[:COMMENT_LIMIT]
        if not verdict and not said:
            self._feedback.take_back(turn_id, owner_id)
            return None
        return self._feedback.put(turn_id, owner_id, verdict, said)

    def of(self, owner_id: str, turn_id: str) -> FeedbackRecord | None:
        """What an owner thinks of an answer; None where she has not said."""
        return self._feedback.of(turn_id, owner_id)

    def rated(
        self, base_id: str | None = None, verdict: str | None = None, most: int | None = None
    ) -> Sequence[RatedAnswer]:
        """Answers that people have rated or commented on, the newest first.

        Args:
            base_id: only those that were asked of this base.
            verdict: only those with this one; empty: those with a comment alone.
            most: no more than so many.
        """
        return self._feedback.rated(base_id, verdict, most)

    def rated_count(self, base_id: str) -> int:
        """How many there are of a base."""
        return self._feedback.rated_count(base_id)

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
            retrieved=_hits(turn, rows),
            expected=[*expected, *documents],
            trace={**_trace(turn), "prompt": self._turns.prompt(turn.id)},
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


def rated_row(one: RatedAnswer) -> dict[str, Any]:
    """A rated answer as JSON values; `link` leads to its conversation where that is shared."""
    return {
        "turn_id": one.turn_id,
        "conversation_id": one.conversation_id,
        "owner": one.owner_id,
        "link": shared_link(one.share_token),
        "verdict": one.verdict or None,
        "comment": one.comment,
        "rated_at_ms": one.updated_at_ms,
        "mode": one.mode,
        "question": one.question,
        "answer": one.answer,
        "bases": one.bases,
        "server": one.server_name,
        "model": one.model,
    }


def _hits(turn: TurnRecord, shown: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """All hits of the search by rank, `shown` with the text that the model was shown; of older turns only those."""
    by_number = {row["number"]: {**row, "shown": True} for row in shown}
    hits = turn.settings.get(FOUND) or shown
    return [by_number.get(hit["number"]) or {**hit, "shown": False} for hit in hits]


def _trace(turn: TurnRecord) -> dict[str, Any]:
    error = {"code": turn.error_code, "params": turn.error_params} if turn.error_code else None
    return {
        "standalone": turn.standalone,
        "answer": turn.answer,
        "reasoning": turn.reasoning,
        "mode": turn.mode,
        "state": turn.state,
        "error": error,
        "notes": turn.notes,
        "server": turn.server_name,
        "model": turn.model,
        "settings": {name: value for name, value in turn.settings.items() if name not in (CHECKS, FOUND)},
        "checks": turn.settings.get(CHECKS, []),
        "timings_ms": turn.timings_ms,
        "prompt_tokens": turn.prompt_tokens,
        "completion_tokens": turn.completion_tokens,
    }
