"""Rows of what people think of answers, and of golden questions that were saved from bad ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, Text, cast, func, select

from services.core.clock import now_ms
from services.store import schema
from services.store.database import upsert
from services.store.records import Rows, new_id

GOOD, BAD, UNSAID = "good", "bad", ""
"""Verdicts; `UNSAID`: there is a comment alone."""


@dataclass(frozen=True, slots=True)
class FeedbackRecord:
    """What an owner thinks of an answer; `verdict` is good, bad, or empty for a comment alone."""

    id: str
    turn_id: str
    owner_id: str
    verdict: str
    comment: str
    created_at_ms: int
    updated_at_ms: int


@dataclass(frozen=True, slots=True)
class RatedAnswer:
    """An answer with what its owner thinks of it, for those who look after documents and models."""

    turn_id: str
    conversation_id: str
    owner_id: str
    share_token: str | None
    """What the link to the conversation ends in, where its owner has shared it."""
    verdict: str
    comment: str
    updated_at_ms: int
    mode: str
    question: str
    answer: str
    bases: list[dict[str, Any]]
    server_name: str
    model: str


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

    def take_back(self, turn_id: str, owner_id: str) -> None:
        """Forget what an owner thinks of an answer."""
        mine = (self.table.c.turn_id == turn_id) & (self.table.c.owner_id == owner_id)
        with self.database.transaction() as connection:
            connection.execute(self.table.delete().where(mine))

    def rated(
        self, base_id: str | None = None, verdict: str | None = None, most: int | None = None
    ) -> list[RatedAnswer]:
        """What people think, with the answers, the newest first.

        Args:
            base_id: only answers that were asked of this base.
            verdict: only those with this one.
            most: no more than so many.
        """
        said, turns, talks = self.table.c, schema.turns.c, schema.conversations.c
        columns = [said.turn_id, turns.conversation_id, said.owner_id, talks.share_token]
        columns += [said.verdict, said.comment, said.updated_at_ms]
        columns += [turns.mode, turns.question, turns.answer, turns.bases, turns.server_name, turns.model]
        found = self._rated(columns, base_id).order_by(said.updated_at_ms.desc(), said.id).limit(most)
        if verdict is not None:
            found = found.where(said.verdict == verdict)
        with self.database.reading() as connection:
            return [RatedAnswer(*row) for row in connection.execute(found)]

    def rated_count(self, base_id: str) -> int:
        """How many answers that were asked of a base people have rated or commented on. Reads no texts of theirs."""
        with self.database.reading() as connection:
            return int(connection.execute(self._rated([func.count()], base_id)).scalar_one())

    def _rated(self, columns: Sequence[Any], base_id: str | None) -> Select[Any]:
        turns, talks = schema.turns, schema.conversations
        joined = self.table.join(turns, turns.c.id == self.table.c.turn_id)
        found = select(*columns).select_from(joined.join(talks, talks.c.id == turns.c.conversation_id))
        if base_id is None:
            return found
        # Ids are random, so looking for one in the list's text finds no other.
        return found.where(cast(turns.c.bases, Text).contains(f'"{base_id}"', autoescape=True))

    def counts(self, machine_id: str) -> dict[str, int]:
        """How many answers of a machine have each verdict now."""
        turns = schema.turns
        rated = self.table.join(turns, turns.c.id == self.table.c.turn_id)
        counted = select(self.table.c.verdict, func.count()).select_from(rated).group_by(self.table.c.verdict)
        with self.database.reading() as connection:
            found = {row[0]: row[1] for row in connection.execute(counted.where(turns.c.machine_id == machine_id))}
        return {verdict: found.get(verdict, 0) for verdict in (GOOD, BAD, UNSAID)}


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
