"""Alerts raised, cleared, told and shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services import __version__
from services.core.clock import now_ms, ticks_ms
from services.core.errors import AppError, Rendered, from_row
from services.core.i18n import DEFAULT_LANGUAGE, N_
from services.core.machine import hostname
from services.core.phrases import fill
from services.gpu.readings import Snapshot
from services.monitoring import webhook
from services.monitoring.rules import KINDS, WARNING, Look, Observation, Seen, Verdict, look
from services.store.alerts import AlertRecord, AlertRows
from services.store.preferences import EVERYBODY, Preferences
from services.store.product import ProductSettings, product_settings
from services.store.servers import ServerRecord

KEPT_MS, KEPT_ROWS = 30 * 24 * 3_600_000, 500
"""How long, and how many, cleared alerts are kept."""
FRESH_MS = 5_000
TEST = "test"
TEST_MESSAGE = N_("This is a test: Lectern can reach this address.")
_LAST = "webhook_last"

Key = tuple[str, str]


@dataclass(slots=True)
class Streak:
    """How long a verdict has held, as far as it was known."""

    verdict: Verdict
    last_ms: float
    held_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Changes:
    """What a look has changed: alerts to raise, and keys of those to clear."""

    raised: tuple[Observation, ...]
    cleared: tuple[Key, ...]


class Judge:
    """Turns verdicts into alerts once they have held for long enough. Not thread-safe."""

    def __init__(self) -> None:
        self._streaks: dict[Key, Streak] = {}

    def step(self, seen: Look, open_keys: Iterable[Key], at_ms: float) -> Changes:
        """Take a look at a moment.

        Args:
            open_keys: the alerts that are open now.
            at_ms: monotonic milliseconds.
        """
        opened = set(open_keys)
        found = {one.key: one for one in seen.observations}
        due = [one for one in found.values() if self._has_held(one, one.key in opened, at_ms)]
        gone = {key for key in opened | self._streaks.keys() if key not in found and key[0] not in seen.blind}
        for key in gone:
            self._streaks.pop(key, None)
        cleared = [one.key for one in due if one.key in opened]
        return Changes(tuple(one for one in due if one.key not in opened), (*cleared, *sorted(gone & opened)))

    def _has_held(self, one: Observation, is_open: bool, at_ms: float) -> bool:
        streak = self._streaks.get(one.key)
        if one.verdict is Verdict.UNKNOWN:
            if streak:
                streak.last_ms = at_ms  # time in which nothing is known does not count
            return False
        if one.verdict is not (Verdict.WELL if is_open else Verdict.BAD):
            self._streaks.pop(one.key, None)
            return False
        if streak is None or streak.verdict is not one.verdict:
            streak = self._streaks[one.key] = Streak(one.verdict, at_ms)
        streak.held_ms += at_ms - streak.last_ms
        streak.last_ms = at_ms
        return streak.held_ms >= one.holding_ms(is_open=is_open)


class AlertWatch:
    """The worker's look at its machine. Not thread-safe: one owner calls `tick` and `prune`."""

    def __init__(
        self,
        rows: AlertRows,
        product: Callable[[], ProductSettings],
        *,
        machine_id: str,
        home: Path,
        snapshot: Callable[[], Snapshot | None],
        servers: Callable[[], list[ServerRecord]],
        sample_every_s: float,
        clock: Callable[[], float] = ticks_ms,
    ) -> None:
        """
        Args:
            snapshot: the newest one, however old.
            servers: those of this machine.
        """
        self._rows = rows
        self._product = product
        self._machine_id = machine_id
        self._home = home
        self._snapshot = snapshot
        self._servers = servers
        self._fresh_ms = max(FRESH_MS, 2500 * sample_every_s)
        self._clock = clock
        self._judge = Judge()

    def tick(self) -> None:
        """Look once; raise and clear what is due."""
        limits = self._product()
        known = {(row.code, row.subject): row.id for row in self._rows.open(self._machine_id)}
        changes = self._judge.step(look(self._seen(), limits), known, self._clock())
        announce = bool(limits.webhook_url)
        for one in changes.raised:
            level = KINDS[one.code].level
            self._rows.begin(self._machine_id, one.code, one.subject, level=level, params=one.params, announce=announce)
        for key in changes.cleared:
            self._rows.clear(known[key], announce=announce)

    def prune(self) -> None:
        """Forget old alerts."""
        self._rows.prune(self._machine_id, now_ms() - KEPT_MS, KEPT_ROWS)

    def _seen(self) -> Seen:
        snapshot = self._snapshot()
        age_ms = abs(now_ms() - snapshot.taken_at_ms) if snapshot else None
        return Seen(hostname(), str(self._home), snapshot, age_ms, self._fresh_ms, self._servers())


@dataclass(frozen=True, slots=True)
class Delivery:
    """How the last telling of the webhook went; `error` None: it was told."""

    at_ms: int
    event: str
    error: AppError | None


class AlertService:
    """Alerts as pages, command line and API see them, and the webhook that is told of them. Thread-safe."""

    def __init__(self, rows: AlertRows, preferences: Preferences, *, machine_id: str, allow_private: bool) -> None:
        """`allow_private`: whether a webhook may be at an address that is not public."""
        self._rows = rows
        self._preferences = preferences
        self._machine_id = machine_id
        self._allow_private = allow_private

    def open(self) -> list[AlertRecord]:
        """What is not well now, the gravest first, then the newest."""
        return sorted(self._rows.open(), key=lambda row: row.level == WARNING)

    def template(self, record: AlertRecord) -> Rendered:
        """The words of an alert, to be filled with its parameters. Unknown to this version: only its code."""
        kind = KINDS.get(record.code)
        return Rendered(record.code, kind.message, kind.remedy) if kind else Rendered(record.code, record.code, "")

    def render(self, record: AlertRecord, language: str = DEFAULT_LANGUAGE) -> Rendered:
        """An alert in the reader's language."""
        words = self.template(record)
        message, remedy = (fill(text, record.params, language) for text in (words.message, words.remedy))
        return Rendered(record.code, message, remedy)

    def row(self, record: AlertRecord, language: str = DEFAULT_LANGUAGE) -> dict[str, Any]:
        """An alert as JSON values."""
        words = self.render(record, language)
        return {
            "code": record.code,
            "level": record.level,
            "subject": record.subject,
            "message": words.message,
            "remedy": words.remedy,
            "since_ms": record.raised_at_ms,
        }

    def check_address(self, url: str) -> None:
        """Look whether an address may be told. Raises: InvalidValue, WebhookRefused, WebhookFailed."""
        webhook.checked(url, allow_private=self._allow_private)

    def send_test(self) -> None:
        """Tell the webhook something harmless, and keep how it went. Raises: as `check_address`, WebhookFailed."""
        moment = now_ms()
        words = Rendered(TEST, TEST_MESSAGE, "")
        body = _body(TEST, words, level=WARNING, subject=hostname(), params={}, raised_at_ms=moment, cleared_at_ms=None)
        try:
            self._tell(body)
        except AppError as error:
            self._note(TEST, error)
            raise
        self._note(TEST, None)

    def last_delivery(self) -> Delivery | None:
        """How the last telling went; None where this address was never told anything."""
        last = self._preferences.get(EVERYBODY, _LAST)
        if not isinstance(last, Mapping):
            return None
        error = from_row(last["code"], last["params"]) if last["code"] else None
        return Delivery(last["at_ms"], last["event"], error)

    def forget_delivery(self) -> None:
        """Another address was chosen: what was told to the one before says nothing of it."""
        self._preferences.set(EVERYBODY, _LAST, None)

    def courier(self) -> webhook.Courier:
        """What delivers for the worker."""
        return webhook.Courier(
            self._rows, self._send, self._note, machine_id=self._machine_id, is_on=lambda: bool(self._address())
        )

    def _send(self, record: AlertRecord) -> None:
        event = record.pending_event or ""
        self._tell(
            _body(
                event,
                self.render(record),
                level=record.level,
                subject=record.subject,
                params=record.params,
                raised_at_ms=record.raised_at_ms,
                cleared_at_ms=record.cleared_at_ms if event == "cleared" else None,
            )
        )

    def _tell(self, body: Mapping[str, Any]) -> None:
        webhook.tell(webhook.checked(self._address(), allow_private=self._allow_private), body)

    def _address(self) -> str:
        return product_settings(self._preferences).webhook_url

    def _note(self, event: str, error: AppError | None) -> None:
        told = {"code": error.code if error else None, "params": error.params if error else None}
        self._preferences.set(EVERYBODY, _LAST, {"at_ms": now_ms(), "event": event, **told})


def _body(event: str, words: Rendered, **about: Any) -> dict[str, Any]:
    return {
        "product": "Lectern",
        "version": __version__,
        "machine": hostname(),
        "event": event,
        "code": words.code,
        "message": words.message,
        "remedy": words.remedy,
        **about,
    }
