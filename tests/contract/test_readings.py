"""Snapshots and their history are kept alike on SQLite and PostgreSQL, bounded, and come with an update from before."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import MetaData, insert, inspect, text

from services.core.errors import DatabaseUnavailable
from services.store import StateStore, migrations, schema
from services.store.conversations import TurnOutcome
from services.store.database import Database
from services.store.readings import ReadingRecord
from tests.contract.test_state_store import store, turn  # noqa: F401

HERE, THERE = "machine-1", "machine-2"


def record(
    store: StateStore,  # noqa: F811
    at_ms: int,
    *rows: tuple[int, int],
    machine: str = HERE,
    reading: str = "{}",
    kept: dict[int, int] | None = None,
) -> None:
    steps = [ReadingRecord(step_s, taken_at_ms, reading) for step_s, taken_at_ms in rows]
    store.readings.record(machine, at_ms, json.dumps({"at": at_ms}), steps, kept or {})


def times(records: Sequence[ReadingRecord]) -> list[int]:
    return [record.taken_at_ms for record in records]


def test_the_newest_snapshot_takes_the_place_of_the_one_before(store: StateStore) -> None:  # noqa: F811
    assert store.readings.snapshot(HERE) is None
    for at_ms in (2000, 3000, 1000):  # also where the clock was set back
        record(store, at_ms)
        assert json.loads(store.readings.snapshot(HERE) or "") == {"at": at_ms}
    record(store, 9000, machine=THERE)
    assert json.loads(store.readings.snapshot(HERE) or "") == {"at": 1000}


def test_steps_come_back_by_length_and_time_oldest_first(store: StateStore) -> None:  # noqa: F811
    record(store, 1, (1, 3000), (1, 1000), (10, 1000), (1, 2000))
    record(store, 1, (1, 1500), machine=THERE)
    assert times(store.readings.between(HERE, 1, 0, 10_000)) == [1000, 2000, 3000]
    assert times(store.readings.between(HERE, 1, 1000, 2000)) == [1000, 2000]  # both ends belong to it
    assert times(store.readings.between(HERE, 10, 0, 10_000)) == [1000]
    assert times(store.readings.between(THERE, 1, 0, 10_000)) == [1500]
    assert store.readings.between(HERE, 60, 0, 10_000) == []


def test_a_step_that_is_written_again_replaces_itself(store: StateStore) -> None:  # noqa: F811
    record(store, 1, (10, 1000), reading='"old"')
    record(store, 2, (10, 1000), reading='"new"')
    (row,) = store.readings.between(HERE, 10, 0, 10_000)
    assert row == ReadingRecord(10, 1000, '"new"')


def test_pruning_takes_what_is_too_old_of_each_length_and_of_this_machine_only(store: StateStore) -> None:  # noqa: F811
    record(store, 1, (1, 1000), (1, 2000), (10, 1000))
    record(store, 1, (1, 1000), machine=THERE)
    record(store, 2, (1, 3000), kept={1: 2000, 10: 0})
    assert times(store.readings.between(HERE, 1, 0, 10_000)) == [2000, 3000]
    assert times(store.readings.between(HERE, 10, 0, 10_000)) == [1000]
    assert times(store.readings.between(THERE, 1, 0, 10_000)) == [1000]


def test_a_write_that_fails_leaves_nothing_half_done(store: StateStore) -> None:  # noqa: F811
    record(store, 1000, (1, 1000))
    broken = [ReadingRecord(1, 2000, "{}"), ReadingRecord(10, 2000, None)]  # type: ignore[arg-type]
    with pytest.raises(DatabaseUnavailable):
        store.readings.record(HERE, 2000, "{}", broken, {1: 5000})
    assert times(store.readings.between(HERE, 1, 0, 10_000)) == [1000]
    assert json.loads(store.readings.snapshot(HERE) or "") == {"at": 1000}


def test_a_long_text_comes_back_whole(store: StateStore) -> None:  # noqa: F811
    long = json.dumps({"name": "GPU 大 \\ \" '" * 20_000}, ensure_ascii=False)
    store.readings.record(HERE, 1, long, [ReadingRecord(1, 1, long)], {})
    assert store.readings.snapshot(HERE) == long
    assert store.readings.between(HERE, 1, 0, 10)[0].reading == long


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def old_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database as version 0001 has left it, with a server and a turn in it."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'old.sqlite3'}"
        fill_first_version(url)
        yield url
        return
    whole = Database(request.getfixturevalue("postgres_url"))
    with whole.transaction() as connection:
        connection.execute(text("CREATE SCHEMA old"))
    url = request.getfixturevalue("postgres_url") + "&options=-csearch_path%3Dold"
    fill_first_version(url)
    yield url
    with whole.transaction() as connection:
        connection.execute(text("DROP SCHEMA old CASCADE"))
    whole.close()


def fill_first_version(url: str) -> None:
    database, config = Database(url), Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with database.transaction() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        then = MetaData()
        then.reflect(connection)
        rows: dict[str, dict[str, object]] = {
            "servers": {"id": "s", "name": "old", "engine": "remote", "model": "m", "spec": {}, "managed": False}
            | {"wish": "running", "state": "ready", "machine_id": HERE, "created_at_ms": 1, "updated_at_ms": 1},
            "conversations": {"id": "c", "owner_id": "o", "title": "t", "created_at_ms": 1, "updated_at_ms": 1},
            "turns": {"id": "t", "conversation_id": "c", "position": 1, "mode": "chat", "state": "done"}
            | {"question": "why?", "answer": "so", "server_name": "old", "model": "m", "machine_id": HERE, "pid": 7}
            | {"settings": {}, "passages": [], "timings_ms": {"total": 9.5}, "process_started_at": 1.5}
            | {"stop_requested": False, "created_at_ms": 5, "updated_at_ms": 5},
        }
        for table, row in rows.items():
            connection.execute(insert(then.tables[table]).values(row))
    database.close()


def test_a_database_of_the_first_version_keeps_everything_and_takes_readings(old_url: str) -> None:
    for _ in range(2):  # the second time there is nothing to do
        opened = StateStore(old_url)
        server = opened.servers.get("old")
        assert server is not None and (server.id, server.state) == ("s", "ready")
        (turn,) = opened.turns.of("c")
        assert (turn.answer, turn.timings_ms) == ("so", {"total": 9.5})
        assert opened.turns.begun(HERE, 5) == {"t"} and opened.turns.begun(HERE, 6) == set()
        record(opened, 1000, (1, 1000))
        assert times(opened.readings.between(HERE, 1, 0, 10_000)) == [1000]
        seen = inspect(opened.database.engine)
        assert {"readings", "snapshots"} <= set(seen.get_table_names())
        columns = {column["name"] for column in seen.get_columns("readings")}
        assert columns == set(schema.readings.c.keys())
        opened.close()


def test_the_figures_of_turns_come_without_their_texts(store: StateStore) -> None:  # noqa: F811
    conversation = store.conversations.create(owner_id="o", title="t", server_id=None)
    made = [turn(store, conversation.id) for _ in range(3)]
    store.turns.update(made[0].id, state="done", timings_ms={"total": 2.5}, completion_tokens=9)
    turn(store, conversation.id, machine_id=THERE)
    assert store.turns.begun(HERE, made[0].created_at_ms) == {row.id for row in made}
    assert store.turns.begun(HERE, made[2].created_at_ms + 1) == set()
    done, live = sorted(store.turns.outcomes([made[0].id, made[1].id, "gone"]), key=lambda each: each.live)
    assert done == TurnOutcome(made[0].id, "chat", "done", {"total": 2.5}, None, 9)
    assert (live.id, live.live) == (made[1].id, True)
    assert store.turns.outcomes([]) == []
