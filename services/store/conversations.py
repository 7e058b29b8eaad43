"""Rows of conversations and their turns. A growing answer is written here, so that every process can show it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, or_, select, update

from services.core.clock import now_ms
from services.store import schema
from services.store.records import Rows, new_id

MODES = ("chat", "knowledge")
JUDGING = "judging"
"""The answer is said; a server is asked whether its sources bear it out."""
LIVE = ("waiting", "starting", "rewriting", "retrieving", "reading", "answering", JUDGING)
ENDED = ("done", "stopped", "failed", "interrupted")
BATCH = 500
HEAD = "head"
"""In place of a turn's id: the newest turn that is shown."""


@dataclass(frozen=True, slots=True)
class ConversationRecord:
    """A conversation of one owner."""

    id: str
    owner_id: str
    title: str
    title_origin: str
    """Who made the title: question, model or person."""
    server_id: str | None
    settings: dict[str, Any]
    """What was chosen for it, and nothing else."""
    head_id: str | None
    """The newest turn of the way through its turns that is shown."""
    summary: dict[str, Any] | None
    remembers_after: int | None
    """Turns up to this position are not remembered."""
    share_token: str | None
    created_at_ms: int
    updated_at_ms: int


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """A question with its answer as it stands. `pid` and `process_started_at` name the process that is answering."""

    id: str
    conversation_id: str
    position: int
    parent_id: str | None
    """The turn before it; turns with the same one are versions of each other."""
    mode: str
    state: str
    question: str
    standalone: str | None
    """The question as it was searched for, where it was rewritten."""
    answer: str
    reasoning: str
    """What a thinking model said to itself; neither quoted nor remembered."""
    bases: list[dict[str, Any]]
    """What was searched: id, name, and how many of its documents were ready."""
    notes: list[dict[str, Any]]
    """What is to be said about it, as codes and parameters."""
    server_name: str
    model: str
    settings: dict[str, Any]
    passages: list[dict[str, Any]]
    timings_ms: dict[str, float]
    prompt_tokens: int | None
    completion_tokens: int | None
    progress_done: int | None
    progress_total: int | None
    queue_place: int | None
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

    @property
    def base_ids(self) -> tuple[str, ...]:
        """The bases that it asks of."""
        return tuple(base["id"] for base in self.bases)

    @property
    def base_name(self) -> str:
        """The names of those bases, as one text."""
        return ", ".join(base.get("name", "") for base in self.bases)


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

    def create(
        self, *, owner_id: str, title: str, server_id: str | None, settings: dict[str, Any] | None = None
    ) -> ConversationRecord:
        """A new conversation."""
        return self._insert(
            owner_id=owner_id, title=title, title_origin="question", server_id=server_id, settings=settings or {}
        )

    def of(self, owner_id: str, id: str) -> ConversationRecord | None:
        """A conversation, only if it is this owner's."""
        return self._one(self.table.c.id == id, self.table.c.owner_id == owner_id)

    def all(self, owner_id: str) -> list[ConversationRecord]:
        """An owner's conversations, the last used first."""
        return self._all(self.table.c.owner_id == owner_id, order=[self.table.c.updated_at_ms.desc()])

    def owners(self) -> list[str]:
        """Everybody who has a conversation."""
        with self.database.reading() as connection:
            return list(connection.execute(select(self.table.c.owner_id).distinct()).scalars())

    def change(self, id: str, **changes: Any) -> ConversationRecord | None:
        """Change columns without counting as used; None where it is gone."""
        statement = update(self.table).where(self.table.c.id == id).values(changes).returning(self.table)
        with self.database.transaction() as connection:
            row = connection.execute(statement).first()
        return self._record(row) if row else None

    def retitle(self, id: str, title: str, *, origin: str, unless: str) -> None:
        """Give another title, unless the present one is by `unless`."""
        keeps = (self.table.c.id == id) & (self.table.c.title_origin != unless)
        with self.database.transaction() as connection:
            connection.execute(update(self.table).where(keeps).values(title=title, title_origin=origin))

    def shared(self, token: str) -> ConversationRecord | None:
        """The conversation that a link leads to."""
        return self._one(self.table.c.share_token == token)

    def matching(self, owner_id: str, words: Sequence[str]) -> list[ConversationRecord]:
        """An owner's conversations in whose title, questions and answers all words stand, the last used first."""
        turns = schema.turns.c
        conditions = []
        for word in words:
            held = [
                func.lower(column).contains(word.lower(), autoescape=True) for column in (turns.question, turns.answer)
            ]
            within = select(turns.conversation_id).where(turns.conversation_id == self.table.c.id, or_(*held))
            titled = func.lower(self.table.c.title).contains(word.lower(), autoescape=True)
            conditions.append(or_(titled, within.exists()))
        newest = [self.table.c.updated_at_ms.desc()]
        return self._all(self.table.c.owner_id == owner_id, *conditions, order=newest)


class TurnRows(Rows[TurnRecord]):
    """The table of turns."""

    table = schema.turns
    record = TurnRecord

    def create(self, conversation_id: str, *, after: str | None = HEAD, **values: Any) -> TurnRecord:
        """A new turn of a conversation, which counts as used now and shows it.

        Args:
            after: the turn that it follows; None: it is a first one; `HEAD`: the newest that is shown.
        """
        now = now_ms()
        position = select(func.coalesce(func.max(self.table.c.position), 0) + 1).where(
            self.table.c.conversation_id == conversation_id
        )
        talk = schema.conversations
        row = {
            "id": new_id(),
            "conversation_id": conversation_id,
            "state": "waiting",
            "answer": "",
            "reasoning": "",
            "bases": [],
            "notes": [],
            "passages": [],
            "timings_ms": {},
            "stop_requested": False,
            "created_at_ms": now,
            "updated_at_ms": now,
            **values,
        }
        touched = talk.update().where(talk.c.id == conversation_id)
        with self.database.transaction() as connection:
            # Touched first: on PostgreSQL this row lock makes a second writer wait and then see our position.
            connection.execute(touched.values(updated_at_ms=now))
            head = select(talk.c.head_id).where(talk.c.id == conversation_id)
            row["parent_id"] = connection.execute(head).scalar() if after == HEAD else after
            row["position"] = connection.execute(position).scalar_one()
            made = self._record(connection.execute(self.table.insert().values(row).returning(self.table)).one())
            connection.execute(touched.values(head_id=made.id))
            return made

    def parents(self, conversation_id: str) -> dict[str, str | None]:
        """The turn before each of a conversation's turns, in order. Reads no texts."""
        columns = self.table.c
        wanted = select(columns.id, columns.parent_id).where(columns.conversation_id == conversation_id)
        with self.database.reading() as connection:
            return {row.id: row.parent_id for row in connection.execute(wanted.order_by(columns.position))}

    def path(self, conversation_id: str, head_id: str | None) -> list[TurnRecord]:
        """The turns that lead to one, itself included, the first one first."""
        return way_to(head_id, self.of(conversation_id))

    def sent(self, turn_id: str, parts: list[dict[str, Any]]) -> None:
        """Keep what the model is sent for a turn; what was kept before goes."""
        prompts = schema.prompts
        with self.database.transaction() as connection:
            connection.execute(prompts.delete().where(prompts.c.turn_id == turn_id))
            connection.execute(prompts.insert().values(turn_id=turn_id, parts=parts))

    def prompt(self, turn_id: str) -> list[dict[str, Any]]:
        """What the model was sent for a turn; empty where it was sent nothing."""
        with self.database.reading() as connection:
            found = connection.execute(select(schema.prompts.c.parts).where(schema.prompts.c.turn_id == turn_id))
            return list(found.scalar() or [])

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


def way_to(head_id: str | None, turns: Sequence[TurnRecord]) -> list[TurnRecord]:
    """Those of a conversation's turns that lead to one, itself included, the first one first."""
    known = {turn.id: turn for turn in turns}
    found: list[TurnRecord] = []
    turn = known.get(head_id or "")
    while turn is not None:
        found.append(turn)
        turn = known.get(turn.parent_id or "")
    return found[::-1]
