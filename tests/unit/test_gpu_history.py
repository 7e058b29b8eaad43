"""How readings become a history: peaks and means, what is not known, steps that are over, and thinning."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from services.core.errors import DatabaseUnavailable
from services.core.units import MIB
from services.gpu.history import STEPS, History, Point, combined, key_of, point_of, thinned
from services.gpu.readings import DriverState, GpuReading, HostReading, Snapshot
from services.store import StateStore

MACHINE = "machine-1"
BEGIN = 1_800_000_000_000
"""The begin of a minute, in milliseconds."""
A = key_of(GpuReading(0, "GPU-a"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StateStore]:
    opened = StateStore(f"sqlite:///{tmp_path / 'state.sqlite3'}")
    yield opened
    opened.close()


@pytest.fixture
def history(store: StateStore) -> History:
    return History(store.readings, MACHINE)


def seen(at_ms: int, used_mib: int | None = None, load: int | None = None, host: HostReading | None = None) -> Snapshot:
    gpu = GpuReading(
        0,
        "GPU-a",
        used_bytes=None if used_mib is None else used_mib * MIB,
        utilization_percent=load,
        temperature_celsius=None,
        power_watts=None if load is None else load + 0.4,
    )
    return Snapshot(at_ms, DriverState("580"), (gpu,), host or HostReading())


def steps(store: StateStore, step_s: int) -> dict[int, str]:
    """Rows of a step: seconds since BEGIN -> figures."""
    rows = store.readings.between(MACHINE, step_s, 0, 2 * BEGIN)
    return {(row.taken_at_ms - BEGIN) // 1000: row.reading for row in rows}


def row(used: int | None, load: int | None, power: int | None) -> str:
    figures = ",".join("null" if figure is None else str(figure) for figure in (used, load, None, power))
    return f'[{{"{A}":[{figures}]}},[null,null,null]]'


# combining -----------------------------------------------------------------------------------------------------------
def test_memory_temperature_and_disk_keep_their_peak_and_rates_their_mean() -> None:
    points = [
        Point(0, {A: (10, 0, 60, 100)}, (10, 700, 5)),
        Point(1, {A: (90, 100, 80, 300)}, (20, 300, 7)),
        Point(2, {A: (20, 50, 70, 200)}, (60, 500, 6)),
    ]
    assert combined(points, 7) == Point(7, {A: (90, 50, 80, 200)}, (30, 700, 7))


def test_what_is_not_known_counts_for_nothing_and_stays_unknown() -> None:
    points = [
        Point(0, {A: (None, None, None, 8)}, (None, None, 1)),
        Point(1, {A: (5, 40, None, None)}, (2, None, None)),
    ]
    assert combined(points, 0) == Point(0, {A: (5, 40, None, 8)}, (2, None, 1))


def test_zero_is_a_figure_of_its_own() -> None:
    points = [Point(0, {A: (0, 0, 0, 0)}, (0, 0, 0)), Point(1, {A: (0, 100, 0, 0)}, (0, 0, 0))]
    assert combined(points, 0) == Point(0, {A: (0, 50, 0, 0)}, (0, 0, 0))


def test_a_gpu_that_came_or_went_is_combined_of_what_there_is() -> None:
    points = [Point(0, {"b": (1, 1, 1, 1)}, (1, 1, 1)), Point(1, {A: (9, 9, 9, 9)}, (1, 1, 1)), Point(2, {}, (1, 1, 1))]
    assert combined(points, 0).gpus == {"b": (1, 1, 1, 1), A: (9, 9, 9, 9)}


def test_a_gpu_keeps_its_key_when_its_index_changes() -> None:
    assert key_of(GpuReading(0, "GPU-a")) == key_of(GpuReading(5, "GPU-a")) != key_of(GpuReading(0, "GPU-b"))
    assert key_of(GpuReading(0)) != key_of(GpuReading(1))


def test_a_snapshot_becomes_few_round_figures() -> None:
    host = HostReading(cpu_percent=12.6, memory_used_bytes=3 * MIB + 9, disk_used_bytes=None)
    assert point_of(seen(5, 7, 40, host)) == Point(5, {A: (7, 40, None, 40)}, (13, 3, None))


# thinning ------------------------------------------------------------------------------------------------------------
def test_thinning_combines_what_falls_together_and_leaves_gaps() -> None:
    points = [Point(at_ms, {A: (at_ms, 0, 0, 0)}, (0, 0, 0)) for at_ms in (1000, 1900, 2100, 9000)]
    assert [(point.at_ms, point.gpus[A][0]) for point in thinned(points, 1000)] == [
        (1000, 1900),
        (2100, 2100),
        (9000, 9000),
    ]
    assert thinned([], 1000) == []


def test_a_range_comes_in_the_finest_step_that_covers_it_and_in_few_points(history: History) -> None:
    for second in range(0, 1800, 3):
        history.write(seen(BEGIN + second * 1000, second))
    end = BEGIN + 1_797_000
    quarter = history.points(end - 900_000, end)
    hour = history.points(end - 3_600_000, end)
    assert 300 <= len(quarter) <= 600 and 100 <= len(hour) <= 600
    assert quarter[-1].gpus[A][0] == 1797
    assert {point.at_ms % 10_000 for point in hour} == {0}
    assert len(history.points(end - 900_000, end, most=50)) <= 51


# writing -------------------------------------------------------------------------------------------------------------
def test_a_step_is_written_when_the_next_begins(history: History, store: StateStore) -> None:
    for second, used in ((0, 5), (4, 90), (9, 7), (10, 1)):
        history.write(seen(BEGIN + second * 1000, used, second))
    assert steps(store, 10) == {0: row(90, 4, 4)}
    assert steps(store, 60) == {}
    history.write(seen(BEGIN + 60_000, 3))
    assert steps(store, 10) == {0: row(90, 4, 4), 10: row(1, 10, 10)}
    assert steps(store, 60) == {0: row(90, 6, 6)}
    assert len(steps(store, 1)) == 5


def test_a_pause_leaves_a_gap_and_no_made_up_steps(history: History, store: StateStore) -> None:
    for second in (0, 1, 300, 301, 400):
        history.write(seen(BEGIN + second * 1000, 1))
    assert sorted(steps(store, 10)) == [0, 300]
    assert sorted(steps(store, 60)) == [0, 300]


def test_a_figure_that_was_never_readable_in_a_step_is_unknown_there(history: History, store: StateStore) -> None:
    for second in (0, 5, 10):
        history.write(seen(BEGIN + second * 1000, None, None))
    assert steps(store, 10) == {0: row(None, None, None)}
    (point,) = history.points(BEGIN, BEGIN + 3_600_000)
    assert point.gpus[A] == (None, None, None, None)


def test_a_clock_that_is_set_back_writes_over_its_own_past(history: History, store: StateStore) -> None:
    for second, used in ((0, 1), (5, 1), (12, 1), (3, 50), (8, 2), (14, 7), (25, 7)):
        history.write(seen(BEGIN + second * 1000, used))
    assert steps(store, 10) == {0: row(50, None, None), 10: row(7, None, None)}
    assert sorted(steps(store, 1)) == [0, 3, 5, 8, 12, 14, 25]


def test_another_worker_goes_on_with_the_step_that_grew(store: StateStore) -> None:
    first = History(store.readings, MACHINE)
    for second, used in ((0, 1), (12, 90), (15, 2)):
        first.write(seen(BEGIN + second * 1000, used))
    second_worker = History(store.readings, MACHINE)  # the first one was killed
    second_worker.write(seen(BEGIN + 18_000, 3))
    second_worker.write(seen(BEGIN + 61_000, 4))
    assert steps(store, 10) == {0: row(1, None, None), 10: row(90, None, None)}
    assert steps(store, 60) == {0: row(90, None, None)}


def test_another_worker_closes_the_step_that_grew_long_ago(store: StateStore) -> None:
    first = History(store.readings, MACHINE)
    for second, used in ((0, 8), (42, 90), (45, 2)):
        first.write(seen(BEGIN + second * 1000, used))
    History(store.readings, MACHINE).write(seen(BEGIN + 86_400_000, 3))
    assert steps(store, 10) == {0: row(8, None, None), 40: row(90, None, None)}
    assert steps(store, 60) == {0: row(90, None, None)}


def test_what_could_not_be_written_is_written_with_the_next_one(history: History, store: StateStore) -> None:
    history.write(seen(BEGIN, 70))
    with closing(sqlite3.connect(str(store.database.engine.url.database))) as connection:
        connection.execute("ALTER TABLE snapshots RENAME TO away")
    for second in (11, 12):
        with pytest.raises(DatabaseUnavailable):
            history.write(seen(BEGIN + second * 1000, 1))
    with closing(sqlite3.connect(str(store.database.engine.url.database))) as connection:
        connection.execute("ALTER TABLE away RENAME TO snapshots")
    history.write(seen(BEGIN + 13_000, 2))
    assert steps(store, 10) == {0: row(70, None, None)}
    assert sorted(steps(store, 1)) == [0, 11, 12, 13]


def test_the_history_is_bounded(history: History, store: StateStore) -> None:
    for second in range(0, 3 * 3600, 20):
        history.write(seen(BEGIN + second * 1000, 1))
    finest = STEPS[0].kept_s // 20
    assert finest <= len(steps(store, 1)) <= finest + 4  # pruned once a minute
    history.write(seen(BEGIN + 40 * 86_400_000, 1))
    assert [len(steps(store, step.seconds)) for step in STEPS] == [1, 0, 0]
