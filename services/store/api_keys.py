"""Keys of the HTTP API, and what each was used for. A key itself is stored nowhere: only its SHA-256.

A key is 192 random bits, so a plain hash is as good as a slow one, and a look-up costs nothing.
"""

from __future__ import annotations

import builtins
import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select

from services.core.api_errors import KeyNotFound
from services.core.clock import now_ms
from services.core.errors import InvalidName, InvalidValue
from services.core.i18n import N_
from services.store import schema
from services.store.database import Database, upsert
from services.store.records import Rows

CHAT, SEARCH, MANAGE = "chat", "search", "manage"
SCOPES = (CHAT, SEARCH, MANAGE)
"""Ask models and bases; search bases; make, fill and delete bases."""
PREFIX = "lk-"
SHOWN = 8
"""Characters of a key that are kept, so that people know which one it is."""
NAME_LIMIT = 60
ANYBODY = ""
"""In place of a key's id: uses without a key, which are possible on this machine until the first key is made."""


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key of the API, without the key. `beginning`: its first characters."""

    id: str
    name: str
    beginning: str
    digest: str
    scopes: list[str]
    owner_id: str | None
    """Whose conversations it reaches; None: only those that were begun with it."""
    last_used_at_ms: int | None
    revoked_at_ms: int | None
    created_at_ms: int
    updated_at_ms: int


@dataclass(frozen=True, slots=True)
class Use:
    """What a key was used for on a day, or altogether. Tokens are those that servers told.

    `untold` counts the requests whose tokens nobody told.
    """

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    untold: int = 0

    def known(self, tokens: int) -> int | None:
        """A count of tokens; None where no server has told any, though one should have."""
        return tokens if tokens or not self.untold else None


class KeyRows(Rows[KeyRecord]):
    """The table of keys, and the one of their use by day (UTC)."""

    table = schema.api_keys
    record = KeyRecord

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.uses = schema.api_uses

    def create(self, name: str, scopes: Collection[str] = SCOPES, owner_id: str | None = None) -> tuple[KeyRecord, str]:
        """A new key: its row, and the key itself, which nobody can read again.

        Args:
            owner_id: whose conversations it reaches; None: only those that are begun with it.
        Raises: InvalidName, InvalidValue, NameTaken.
        """
        kept = " ".join(name.split())
        if not kept or len(kept) > NAME_LIMIT or not kept.isprintable():
            reason = N_("it is empty") if not kept else N_("it is too long")
            raise InvalidName(name=kept[:NAME_LIMIT], reason=reason, limit=NAME_LIMIT)
        unknown = [scope for scope in scopes if scope not in SCOPES]
        if unknown or not scopes:
            told = ", ".join(unknown) or "–"
            raise InvalidValue(field="scopes", value=told, reason=N_("it must be of: chat, search, manage"))
        key = PREFIX + secrets.token_urlsafe(24)
        row = self._insert(
            name=kept,
            beginning=key[:SHOWN],
            digest=_digest(key),
            scopes=[scope for scope in SCOPES if scope in scopes],
            owner_id=owner_id,
        )
        return row, key

    def all(self) -> list[KeyRecord]:
        """All keys, revoked ones included, oldest first."""
        return self._all(order=[self.table.c.created_at_ms, self.table.c.id])

    def any(self) -> bool:
        """Whether a key was ever made: from then on only valid ones count."""
        with self.database.reading() as connection:
            return connection.execute(select(self.table.c.id).limit(1)).first() is not None

    def valid(self, key: str) -> KeyRecord | None:
        """The row of a key that may be used."""
        return self._one(self.table.c.digest == _digest(key), self.table.c.revoked_at_ms.is_(None))

    def revoke(self, reference: str) -> KeyRecord:
        """End a key at once and for ever, by its id or name; what it was used for stays. Raises: KeyNotFound."""
        found = self._one(self.table.c.name == reference) or self.get(reference)
        ended = self.update(found.id, revoked_at_ms=found.revoked_at_ms or now_ms()) if found else None
        if ended is None:
            raise KeyNotFound(name=reference)
        return ended

    def count(self, key_id: str, prompt_tokens: int | None, completion_tokens: int | None) -> None:
        """Count one request of today, with the tokens that are known."""
        untold = prompt_tokens is None and completion_tokens is None
        added = Use(1, prompt_tokens or 0, completion_tokens or 0, int(untold))
        now, uses = now_ms(), self.uses.c
        values = {name: getattr(added, name) for name in Use.__dataclass_fields__}
        more = {name: uses[name] + value for name, value in values.items()}
        with self.database.transaction() as connection:
            upsert(connection, self.uses, ("key_id", "day"), {"key_id": key_id, "day": _day(now), **values}, more)
            connection.execute(self.table.update().where(self.table.c.id == key_id).values(last_used_at_ms=now))

    def used(self, since_day: str = "") -> dict[str, Use]:
        """What each key was used for, by its id, from a day (YYYY-MM-DD) on; `ANYBODY` for uses without one."""
        columns = [func.sum(self.uses.c[name]).label(name) for name in Use.__dataclass_fields__]
        chosen = select(self.uses.c.key_id, *columns).where(self.uses.c.day >= since_day).group_by(self.uses.c.key_id)
        with self.database.reading() as connection:
            return {row.key_id: _use(row) for row in connection.execute(chosen)}

    def days(self, key_id: str) -> builtins.list[tuple[str, Use]]:
        """What a key was used for on each day, the newest first."""
        chosen = select(self.uses).where(self.uses.c.key_id == key_id).order_by(self.uses.c.day.desc())
        with self.database.reading() as connection:
            return [(row.day, _use(row)) for row in connection.execute(chosen)]


def today() -> str:
    """The day that uses are counted under now, UTC."""
    return _day(now_ms())


def _use(row: Any) -> Use:
    return Use(*(int(getattr(row, name)) for name in Use.__dataclass_fields__))


def _day(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d")


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
