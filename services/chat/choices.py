"""What may be chosen for an answer: for one turn, a conversation, or as a base's preset; the nearest one counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from services.chat.ports import Filters
from services.core.errors import InvalidValue
from services.core.i18n import N_
from services.core.validation import reason_of
from services.store.preferences import EVERYBODY, Preferences
from services.store.product import ProductSettings

Memory = Literal["everything", "last_turns", "token_budget", "summary", "summary_recent"]
MEMORIES: tuple[Memory, ...] = get_args(Memory)
Mode = Literal["chat", "knowledge"]
PRESET = ("system_prompt", "temperature", "top_p", "max_tokens", "stop", "top_k")
"""What a base may have a default of. No memory: a question to a base is sent without what was said before it."""


class Choices(BaseModel):
    """Values that were chosen; None: not here."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    mode: Mode | None = None
    base_ids: tuple[str, ...] | None = None
    system_prompt: str | None = Field(None, max_length=20_000)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    max_tokens: int | None = Field(None, ge=16, le=131_072)
    stop: tuple[str, ...] | None = Field(None, max_length=8)
    top_k: int | None = Field(None, ge=1, le=100)
    memory: Memory | None = None
    memory_turns: int | None = Field(None, ge=1, le=200)
    memory_tokens: int | None = Field(None, ge=64, le=1_000_000)
    documents: tuple[str, ...] | None = None
    types: tuple[str, ...] | None = None
    since: date | None = None
    until: date | None = None

    @field_validator("stop")
    @classmethod
    def _stops(cls, stop: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if stop is not None and any(len(each) > 100 for each in stop):
            raise ValueError(N_("each must have at most 100 characters"))
        return tuple(each for each in stop if each) if stop is not None else None

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """The choices that values make; an unknown name is left out. Raises: InvalidValue."""
        try:
            return cls(**values)
        except ValidationError as error:
            first = error.errors()[0]
            raise InvalidValue(field=str(first["loc"][0]), value=first["input"], reason=reason_of(error)) from error

    @classmethod
    def stored(cls, row: Mapping[str, Any] | None) -> Self:
        """Choices as a row keeps them; one that is not valid any more counts as not chosen."""
        try:
            return cls(**(row or {}))
        except ValidationError as error:
            wrong = {str(fault["loc"][0]) for fault in error.errors()}
            return cls(**{key: value for key, value in (row or {}).items() if key not in wrong})

    def row(self) -> dict[str, Any]:
        """As a row keeps them: what was chosen, and nothing else."""
        return self.model_dump(mode="json", exclude_none=True)

    def over(self, *others: Choices) -> Choices:
        """These choices, and where they say nothing the first of the others that does."""
        merged: dict[str, Any] = {}
        for layer in (*reversed(others), self):
            merged |= layer.model_dump(exclude_none=True)
        return Choices(**merged)

    def filters(self) -> Filters:
        """Which documents are searched."""
        return Filters(self.documents or (), self.types or (), _begin_ms(self.since), _begin_ms(self.until, days=1))


@dataclass(frozen=True, slots=True)
class Settled:
    """What counts for one turn, every value known."""

    system_prompt: str
    temperature: float
    top_p: float
    max_tokens: int
    stop: tuple[str, ...]
    top_k: int
    memory: Memory
    memory_turns: int
    memory_tokens: int

    def row(self) -> dict[str, Any]:
        """As stored with the turn."""
        return asdict(self)


def settle(choices: Choices, product: ProductSettings, mode: str) -> Settled:
    """Choices, with defaults where nothing was chosen; documents are answered from at temperature 0."""
    warmth = 0.0 if mode == "knowledge" else product.temperature
    return Settled(
        system_prompt=(choices.system_prompt or "").strip(),
        temperature=warmth if choices.temperature is None else choices.temperature,
        top_p=1.0 if choices.top_p is None else choices.top_p,
        max_tokens=choices.max_tokens or product.answer_tokens,
        stop=choices.stop or (),
        top_k=choices.top_k or product.top_k,
        memory=choices.memory or "everything",
        memory_turns=choices.memory_turns or 6,
        memory_tokens=choices.memory_tokens or 1500,
    )


class Presets:
    """The defaults that a librarian has set for questions to a base."""

    def __init__(self, preferences: Preferences) -> None:
        self._preferences = preferences

    def of(self, base_ids: Iterable[str]) -> Choices:
        """The presets of bases; where two disagree, the first one counts."""
        chosen = self._preferences.all(EVERYBODY)
        rows = [_presettable(chosen.get(_key(base_id)) or {}) for base_id in base_ids]
        first, *others = [Choices.stored(row) for row in rows] or [Choices()]
        return first.over(*others)

    def choose(self, base_id: str, choices: Choices) -> None:
        """Set defaults of a base; what `choices` leaves out stays as it was, and what is no part of one is left out."""
        row = _presettable(choices.over(self.of([base_id])).row())
        self._preferences.set(EVERYBODY, _key(base_id), row or None)

    def clear(self, base_id: str) -> None:
        """Let a base have no defaults any more."""
        self._preferences.set(EVERYBODY, _key(base_id), None)


def _presettable(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name in PRESET}


def _key(base_id: str) -> str:
    return f"preset.{base_id}"


def _begin_ms(day: date | None, days: int = 0) -> int | None:
    if day is None:
        return None
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=days)
    return int(begin.timestamp() * 1000)
