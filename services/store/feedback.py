"""Rows of what people think of answers, and of golden questions that were saved from bad ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.core.clock import now_ms
from services.store import schema
from services.store.database import upsert
from services.store.records import Rows, new_id

GOOD, BAD = "good", "bad"


@dataclass(frozen=True, slots=True)
class FeedbackRecord:
    """What an owner thinks of an answer; `verdict` is good or bad."""

    id: str
    turn_id: str
    owner_id: str
    verdict: str
    comment: str
    created_at_ms: int
    updated_at_ms: int


@dataclass(frozen=True, slots=True)
class GoldenRecord:
    """A question with what was retrieved for it and what should have been; it outlives its conversation."""

    id: str
    owner_id: str
    turn_id: str
    question: str
    bases: list[dict[str, Any]]
    retrieved: list[dict[str, Any]]
    expected: list[dict[str, Any]]
    trace: dict[str, Any]
    comment: str
    created_at_ms: int
    updated_at_ms: int


class FeedbackRows(Rows[FeedbackRecord]):
    """The table of thumbs and comments: one row for each answer and owner."""

    table = schema.feedback
    record = FeedbackRecord

    def put(self, turn_id: str, owner_id: str, verdict: str, comment: str) -> FeedbackRecord:
        """Note a verdict, in place of an earlier one."""
        said = {"verdict": verdict, "comment": comment, "updated_at_ms": now_ms()}
        row = {"id": new_id(), "turn_id": turn_id, "owner_id": owner_id, "created_at_ms": said["updated_at_ms"], **said}
        with self.database.transaction() as connection:
            return self._record(upsert(connection, self.table, ("turn_id", "owner_id"), row, said))

    def of(self, turn_id: str, owner_id: str) -> FeedbackRecord | None:
        """What an owner thinks of an answer."""
        return self._one(self.table.c.turn_id == turn_id, self.table.c.owner_id == owner_id)


class GoldenRows(Rows[GoldenRecord]):
    """The table of golden questions."""

    table = schema.golden_questions
    record = GoldenRecord

    def create(self, **values: Any) -> GoldenRecord:
        """Keep a golden question."""
        return self._insert(**values)

    def all(self, base_id: str | None = None) -> Sequence[GoldenRecord]:
        """Golden questions, the newest first; of one base only, where it is given."""
        found = self._all(order=[self.table.c.created_at_ms.desc(), self.table.c.id])
        return [one for one in found if base_id is None or base_id in {base["id"] for base in one.bases}]
