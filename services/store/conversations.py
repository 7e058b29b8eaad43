"""Rows of conversations and their turns. A growing answer is written here, so that every process can show it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from services.core.clock import now_ms
from services.store import schema
from services.store.records import Rows, new_id

MODES = ("chat", "knowledge")
LIVE = ("waiting", "starting", "retrieving", "reading", "answering")
ENDED = ("done", "stopped", "failed", "interrupted")
BATCH = 500


@dataclass(frozen=True, slots=True)
class ConversationRecord:
    """A conversation of one owner."""

    id: str
    owner_id: str
    title: str
    base_id: str | None
    server_id: str | None
    created_at_ms: int
    updated_at_ms: int


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """A question with its answer as it stands. `pid` and `process_started_at` name the process that is answering."""

    id: str
    conversation_id: str
    position: int
    mode: str
    state: str
    question: str
    answer: str
    base_id: str | None
    base_name: str | None
    server_name: str
    model: str
    settings: dict[str, Any]
    passages: list[dict[str, Any]]
    timings_ms: dict[str, float]
    prompt_tokens: int | None
    completion_tokens: int | None
    progress_done: int | None
    progress_total: int | None
    stop_requested: bool
    machine_id: str
    pid: int
    process_started_at: float
    error_code: str | None
    error_params: dict[str, Any] | None
    created_at_ms: int
    updated_at_ms: int

    @property
    def live(self) -> bool:
        """Whether somebody is, or should be, working on it."""
        return self.state in LIVE


@dataclass(frozen=True, slots=True)
class TurnOutcome:
    """The figures of a turn, without its texts."""

    id: str
    mode: str
    state: str
    timings_ms: dict[str, float]
    prompt_tokens: int | None
    completion_tokens: int | None

    @property
    def live(self) -> bool:
        """Whether somebody is, or should be, working on it."""
        return self.state in LIVE


class ConversationRows(Rows[ConversationRecord]):
    """The table of conversations."""

    table = schema.conversations
    record = ConversationRecord

    def create(self, *, owner_id: str, title: str, base_id: str | None, server_id: str | None) -> ConversationRecord:
        """A new conversation."""
        return self._insert(owner_id=owner_id, title=title, base_id=base_id, server_id=server_id)

    def of(self, owner_id: str, id: str) -> ConversationRecord | None:
        """A conversation, only if it is this owner's."""
        return self._one(self.table.c.id == id, self.table.c.owner_id == owner_id)

    def all(self, owner_id: str) -> list[ConversationRecord]:
        """An owner's conversations, the last used first."""
        return self._all(self.table.c.owner_id == owner_id, order=[self.table.c.updated_at_ms.desc()])


class TurnRows(Rows[TurnRecord]):
    """The table of turns."""

    table = schema.turns
    record = TurnRecord

    def create(self, conversation_id: str, **values: Any) -> TurnRecord:
        """The next turn of a conversation; the conversation counts as used now."""
        now = now_ms()
        position = select(func.coalesce(func.max(self.table.c.position), 0) + 1).where(
            self.table.c.conversation_id == conversation_id
        )
        row = {
            "id": new_id(),
            "conversation_id": conversation_id,
            "state": "waiting",
            "answer": "",
            "passages": [],
            "timings_ms": {},
            "stop_requested": False,
            "created_at_ms": now,
            "updated_at_ms": now,
            **values,
        }
        touched = schema.conversations.update().where(schema.conversations.c.id == conversation_id)
        with self.database.transaction() as connection:
            # Touched first: on PostgreSQL this row lock makes a second writer wait and then see our position.
            connection.execute(touched.values(updated_at_ms=now))
            row["position"] = connection.execute(position).scalar_one()
            return self._record(connection.execute(self.table.insert().values(row).returning(self.table)).one())

    def of(self, conversation_id: str) -> list[TurnRecord]:
        """A conversation's turns in order."""
        return self._all(self.table.c.conversation_id == conversation_id, order=[self.table.c.position])

    def live(self, machine_id: str) -> Sequence[TurnRecord]:
        """Turns of a machine that are being answered, or were when their process died."""
        return self._all(self.table.c.machine_id == machine_id, self.table.c.state.in_(LIVE))

    def begun(self, machine_id: str, since_ms: int) -> set[str]:
        """The ids of a machine's turns that began at that time or later. Reads an index only."""
        begun = (self.table.c.machine_id == machine_id) & (self.table.c.created_at_ms >= since_ms)
        with self.database.reading() as connection:
            return set(connection.execute(select(self.table.c.id).where(begun)).scalars())

    def outcomes(self, ids: Sequence[str]) -> list[TurnOutcome]:
        """The figures of these turns, of those that still exist."""
        names = [field.name for field in dataclasses.fields(TurnOutcome)]
        found = []
        with self.database.reading() as connection:
            for begin in range(0, len(ids), BATCH):
                batch = self.table.c.id.in_(ids[begin : begin + BATCH])
                rows = connection.execute(select(*(self.table.c[name] for name in names)).where(batch))
                found += [TurnOutcome(**row._mapping) for row in rows]
        return found
