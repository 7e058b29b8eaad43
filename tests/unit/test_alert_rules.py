"""Alerts are raised once for what lasts, cleared once it is over, and never flicker."""

from __future__ import annotations

import string
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.phrases import fill
from services.core.units import GIB
from services.gpu.readings import DriverState, Ecc, GpuReading, HostReading, Snapshot
from services.monitoring.alerts import Judge, Key
from services.monitoring.rules import GPU_CODES, KINDS, Look, Observation, Seen, Verdict, look
from services.store.product import ProductSettings
from services.store.servers import ServerRecord
from tests.fakes.clock import Clock

LIMITS = ProductSettings()
STEP_S = 3
DRIVER = DriverState("580.65")
CARD = GpuReading(0, "GPU-0", "NVIDIA H100", total_bytes=100 * GIB, used_bytes=10 * GIB, temperature_celsius=50)
HOST = HostReading(memory_total_bytes=100 * GIB, memory_used_bytes=10 * GIB, disk_free_bytes=50 * GIB)


def seen(
    *gpus: GpuReading,
    host: HostReading = HOST,
    driver: DriverState = DRIVER,
    age_ms: int | None = 500,
    servers: tuple[ServerRecord, ...] = (),
) -> Seen:
    snapshot = None if age_ms is None else Snapshot(0, driver, gpus, host)
    return Seen("box", "/home", snapshot, age_ms, 5_000, servers)


def server(state: str, *, managed: bool = True, wish: str = "running") -> ServerRecord:
    engine = "vllm" if managed else "remote"
    rest = (None, None, None, None, None, None, None, 0, 0)
    return ServerRecord("1", "m", "qwen", engine, "q", {}, managed, wish, state, *rest)


def verdict(code: str, found: Look) -> Verdict:
    (one,) = [one for one in found.observations if one.code == code]
    return one.verdict


class Machine:
    """A machine that is looked at every three seconds, with the alerts that are open."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.judge = Judge()
        self.open: set[Key] = set()
        self.raised: list[Key] = []
        self.cleared: list[Key] = []

    def look(self, now: Seen | Look, seconds: float = STEP_S) -> None:
        """See the same for so long."""
        for _ in range(max(1, round(seconds / STEP_S))):
            changes = self.judge.step(now if isinstance(now, Look) else look(now, LIMITS), self.open, self.clock())
            self.raised += [one.key for one in changes.raised]
            self.cleared += changes.cleared
            self.open = (self.open | {one.key for one in changes.raised}) - set(changes.cleared)
            self.clock.pass_seconds(STEP_S)

    def restart(self) -> None:
        """The worker begins anew: what it held in memory is gone."""
        self.judge = Judge()


def full(share: float) -> Seen:
    return seen(replace(CARD, used_bytes=int(share * GIB)))


@pytest.mark.parametrize(
    ("used", "expected"), [(95, "bad"), (94.9, "between"), (90, "between"), (89.9, "well"), (0, "well")]
)
def test_memory_has_a_limit_and_a_lower_one_to_clear(used: float, expected: str) -> None:
    assert verdict("gpu_memory", look(full(used), LIMITS)) is Verdict(expected)


@pytest.mark.parametrize(
    ("celsius", "own_limit", "chosen", "expected"),
    [
        (85, None, 0, "bad"),
        (84, None, 0, "between"),
        (79, None, 0, "well"),
        (88, 92, 0, "between"),
        (89, 92, 0, "bad"),
        (70, 92, 70, "bad"),
        (64, 92, 70, "well"),
        (None, 92, 0, "unknown"),
    ],
)
def test_the_card_says_how_hot_is_too_hot_unless_somebody_has_chosen(
    celsius: int | None, own_limit: int | None, chosen: int, expected: str
) -> None:
    card = replace(CARD, temperature_celsius=celsius, temperature_limit_celsius=own_limit)
    found = look(seen(card), ProductSettings(alert_temperature_celsius=chosen))
    assert verdict("gpu_temperature", found) is Verdict(expected)


@pytest.mark.parametrize(
    ("free", "expected"), [(4.9, "bad"), (5, "between"), (6, "between"), (6.1, "well"), (None, "unknown")]
)
def test_disk_clears_with_some_room_to_spare(free: float | None, expected: str) -> None:
    host = replace(HOST, disk_free_bytes=None if free is None else int(free * GIB))
    assert verdict("disk_low", look(seen(host=host), LIMITS)) is Verdict(expected)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [((5, 0), "well"), ((0, 1), "bad"), ((None, None), "unknown")],
)
def test_only_errors_that_were_not_corrected_count(counts: tuple[int | None, int | None], expected: str) -> None:
    ecc = Ecc(True, corrected=counts[0], uncorrected=counts[1])
    assert verdict("gpu_memory_errors", look(seen(replace(CARD, ecc=ecc)), LIMITS)) is Verdict(expected)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (server("failed"), "bad"),
        (server("starting"), "unknown"),
        (server("ready"), "well"),
        (server("unreachable", managed=False), "bad"),
        (server("ready", managed=False), "well"),
    ],
)
def test_a_server_that_should_run_is_well_when_it_is_ready(row: ServerRecord, expected: str) -> None:
    assert verdict("server_down", look(seen(servers=(row,)), LIMITS)) is Verdict(expected)


def test_every_rule_has_words_that_its_parameters_fill() -> None:
    lost = replace(CARD, error="it has fallen off the bus", ecc=Ecc(uncorrected=3))
    found = look(seen(lost, servers=(server("failed"),), age_ms=500), LIMITS).observations
    assert {one.code for one in found} == set(KINDS)
    for one in found:
        kind = KINDS[one.code]
        names = {
            name for text in (kind.message, kind.remedy) for _, name, _, _ in string.Formatter().parse(text) if name
        }
        assert names <= one.params.keys(), one.code
        assert "None" not in fill(kind.message, one.params)


def test_what_lasts_is_raised_once_and_cleared_once_it_is_over_for_a_while() -> None:
    machine = Machine()
    machine.look(full(97), 27)
    assert machine.raised == []
    machine.look(full(97), 600)
    assert machine.raised == [("gpu_memory", "GPU 0")]
    machine.look(full(50), 27)
    assert machine.cleared == []
    machine.look(full(50), 9)
    assert machine.cleared == [("gpu_memory", "GPU 0")] and machine.open == set()


def test_a_value_that_flickers_around_the_limit_raises_nothing_and_clears_nothing() -> None:
    machine = Machine()
    for _ in range(100):
        machine.look(full(96))
        machine.look(full(94))
    assert machine.raised == []
    machine.look(full(96), 60)
    for _ in range(100):
        machine.look(full(96))
        machine.look(full(80))
    assert (len(machine.raised), machine.cleared) == (1, [])


@given(st.lists(st.sampled_from([None, 50, 92, 97]), min_size=1, max_size=200))
def test_no_two_changes_are_closer_than_the_time_that_they_must_hold(values: list[int | None]) -> None:
    judge, clock = Judge(), Clock()
    is_open, changed_at_ms = False, clock()
    held_s = {True: KINDS["gpu_memory"].clear_after_s, False: KINDS["gpu_memory"].raise_after_s}
    for value in values:
        used = None if value is None else value * GIB
        key = ("gpu_memory", "GPU 0")
        found = look(seen(replace(CARD, used_bytes=used)), LIMITS)
        changes = judge.step(found, {key} if is_open else set(), clock())
        if changes.raised or changes.cleared:
            assert clock() - changed_at_ms >= held_s[is_open] * 1000
            assert value == (50 if is_open else 97), "an unknown or a middling value changes nothing"
            is_open, changed_at_ms = not is_open, clock()
        clock.pass_seconds(STEP_S)


@given(st.lists(st.sampled_from(list(Verdict)), max_size=120), st.booleans())
def test_an_alert_needs_a_whole_run_of_verdicts_of_its_own(verdicts: list[Verdict], was_open: bool) -> None:
    """Unknown ones may stand in the run, but neither begin nor end it."""
    judge, clock = Judge(), Clock()
    wanted = Verdict.WELL if was_open else Verdict.BAD
    opened = {("host_memory", "box")} if was_open else set()
    run = 0
    for each in verdicts:
        changes = judge.step(Look((Observation("host_memory", "box", each),)), opened, clock())
        run = run + 1 if each is wanted else run if each is Verdict.UNKNOWN else 0
        if changes.raised or changes.cleared:
            assert each is wanted and run > 30 / STEP_S
            return
        assert not (each is wanted and run > 30 / STEP_S + verdicts.count(Verdict.UNKNOWN))
        clock.pass_seconds(STEP_S)


def test_what_is_unknown_neither_raises_nor_clears() -> None:
    unknown = seen(replace(CARD, used_bytes=None, temperature_celsius=None), host=HostReading())
    machine = Machine()
    machine.look(unknown, 600)
    assert machine.raised == []
    machine.look(full(97), 60)
    machine.look(unknown, 600)
    machine.look(seen(driver=DriverState(reason="the driver is not loaded")), 600)
    assert machine.cleared == [] and machine.open == {("gpu_memory", "GPU 0")}


def test_time_in_which_nothing_is_known_does_not_count() -> None:
    unknown = seen(replace(CARD, used_bytes=None))
    machine = Machine()
    machine.look(full(97), 12)
    machine.look(unknown, 600)
    machine.look(full(97), 12)
    assert machine.raised == []
    machine.look(full(97), 12)
    assert machine.raised == [("gpu_memory", "GPU 0")]


def test_a_snapshot_that_is_old_tells_nothing_but_that_sampling_is_silent() -> None:
    machine = Machine()
    machine.look(replace(full(97), snapshot_age_ms=70_000), 600)
    assert machine.raised == [("sampling_silent", "box")]
    machine.look(full(50), 60)
    assert machine.cleared == [("sampling_silent", "box")]


def test_a_worker_that_has_just_started_waits_for_its_first_snapshot() -> None:
    machine = Machine()
    machine.look(seen(age_ms=None), 24)
    machine.look(seen(CARD), 60)
    assert machine.raised == []
    machine.look(seen(age_ms=None), 60)
    assert machine.raised == [("sampling_silent", "box")]


def test_errors_of_memory_stay_until_the_counter_is_reset() -> None:
    machine = Machine()
    machine.look(seen(replace(CARD, ecc=Ecc(True, 0, 2))))
    assert machine.raised == [("gpu_memory_errors", "GPU 0")]
    machine.look(seen(replace(CARD, ecc=Ecc(True, 0, 1))), 3600)
    assert machine.cleared == []
    machine.look(seen(replace(CARD, ecc=Ecc(True, 0, 0))))
    assert machine.cleared == [("gpu_memory_errors", "GPU 0")]


def test_a_lost_gpu_is_raised_and_keeps_what_was_known_of_it() -> None:
    machine = Machine()
    machine.look(full(97), 60)
    machine.look(seen(GpuReading(0, error="the GPU is lost")), 30)
    assert machine.raised == [("gpu_memory", "GPU 0"), ("gpu_lost", "GPU 0")] and machine.cleared == []


def test_alerts_about_what_is_gone_clear_at_once() -> None:
    machine = Machine()
    machine.look(seen(CARD, replace(CARD, index=1, used_bytes=99 * GIB), servers=(server("failed"),)), 60)
    assert set(machine.raised) == {("gpu_memory", "GPU 1"), ("server_down", "qwen")}
    machine.look(seen(CARD))
    assert set(machine.cleared) == set(machine.raised)


def test_a_server_that_was_stopped_on_purpose_is_no_alert() -> None:
    machine = Machine()
    machine.look(seen(servers=(server("failed"),)), 60)
    machine.look(seen(servers=(server("failed", wish="stopped"),)))
    assert machine.cleared == [("server_down", "qwen")]


def test_a_server_that_fails_again_and_again_is_down() -> None:
    machine = Machine()
    for _ in range(20):
        machine.look(seen(servers=(server("failed"),)), 3)
        machine.look(seen(servers=(server("starting"),)), 6)
    assert machine.raised == [("server_down", "qwen")] and machine.cleared == []


def test_a_restart_of_the_worker_neither_repeats_nor_clears() -> None:
    machine = Machine()
    machine.look(full(97), 60)
    machine.restart()
    machine.look(full(97), 60)
    assert machine.raised == [("gpu_memory", "GPU 0")] and machine.cleared == []
    machine.restart()
    machine.look(full(50), 60)
    assert machine.cleared == [("gpu_memory", "GPU 0")]


def test_the_codes_that_a_silent_driver_leaves_open_are_those_of_gpus() -> None:
    assert {code for code in KINDS if code.startswith("gpu_")} == GPU_CODES
    assert look(seen(driver=DriverState()), LIMITS).blind == GPU_CODES
