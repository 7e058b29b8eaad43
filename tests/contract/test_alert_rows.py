"""The table of alerts keeps its promises on SQLite and on PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.core.clock import now_ms
from services.store import StateStore
from services.store.alerts import AlertRecord, AlertRows

HERE, ELSEWHERE = "machine-1", "machine-2"
MINUTE_MS = 60_000


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def rows(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AlertRows]:
    sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path / 'state.sqlite3'}" if sqlite else request.getfixturevalue("postgres_url")
    store = StateStore(url)
    yield store.alerts
    with store.database.transaction() as connection:
        connection.execute(AlertRows.table.delete())
    store.close()


def begun(rows: AlertRows, subject: str = "GPU 0", *, machine: str = HERE, announce: bool = True) -> AlertRecord:
    return rows.begin(machine, "gpu_memory", subject, level="warning", params={"percent": 97}, announce=announce)


def read(rows: AlertRows, record: AlertRecord) -> AlertRecord:
    found = rows.get(record.id)
    assert found is not None
    return found


def test_an_alert_is_open_until_it_clears(rows: AlertRows) -> None:
    first, other = begun(rows), begun(rows, machine=ELSEWHERE)
    assert {row.id for row in rows.open()} == {first.id, other.id}
    assert rows.open(HERE) == [first] and first.params == {"percent": 97}
    rows.clear(first.id, announce=False)
    assert rows.open(HERE) == []
    assert read(rows, first).cleared_at_ms is not None


def test_the_raising_is_told_before_the_clearing(rows: AlertRows) -> None:
    alert = begun(rows)
    rows.clear(alert.id, announce=True)
    (due,) = rows.due(HERE)
    assert (due.pending_event, due.cleared_at_ms is None) == ("raised", False)
    rows.told(alert.id)
    assert [row.pending_event for row in rows.due(HERE)] == ["cleared"]
    rows.told(alert.id)
    assert rows.due(HERE) == []


def test_a_clearing_does_not_hurry_a_raising_that_waits(rows: AlertRows) -> None:
    alert = begun(rows)
    later = now_ms() + MINUTE_MS
    rows.postpone(alert.id, 3, later)
    rows.clear(alert.id, announce=True)
    waiting = read(rows, alert)
    assert (waiting.pending_event, waiting.attempts, waiting.due_at_ms) == ("raised", 3, later)
    rows.told(alert.id)
    assert (read(rows, alert).pending_event, read(rows, alert).attempts) == ("cleared", 0)


def test_only_the_own_machine_is_told_and_only_what_is_due(rows: AlertRows) -> None:
    begun(rows, machine=ELSEWHERE)
    begun(rows, "GPU 1", announce=False)
    late = begun(rows, "GPU 2")
    rows.postpone(late.id, 1, now_ms() + MINUTE_MS)
    assert rows.due(HERE) == []
    rows.postpone(late.id, 2, now_ms())
    assert [row.subject for row in rows.due(HERE)] == ["GPU 2"]


def test_what_was_to_be_told_can_be_forgotten(rows: AlertRows) -> None:
    begun(rows)
    other = begun(rows, machine=ELSEWHERE)
    rows.hush(HERE)
    assert rows.due(HERE) == []
    assert rows.due(ELSEWHERE) == [other]


def test_old_and_surplus_cleared_alerts_go_and_open_ones_stay(rows: AlertRows) -> None:
    still_open, old, *ended = [begun(rows, f"GPU {number}") for number in range(6)]
    rows.update(still_open.id, raised_at_ms=1)
    rows.update(old.id, cleared_at_ms=1)
    for number, alert in enumerate(ended):
        rows.update(alert.id, cleared_at_ms=1000 + number)
    rows.prune(HERE, before_ms=2, most=3)
    kept = {alert.subject for alert in [still_open, old, *ended] if rows.get(alert.id)}
    assert kept == {"GPU 0", "GPU 3", "GPU 4", "GPU 5"}
