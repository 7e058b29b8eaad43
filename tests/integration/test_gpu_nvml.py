"""What the gate to NVML reads of each card, through nvidia-ml-py and a compiled double of the library."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pynvml
import pytest

from services.gpu.nvml import Nvml
from services.gpu.readings import Ecc, GpuReading, Holding, MigInstance, Pcie
from tests.fakes.clock import Clock
from tests.fakes.nvml import (
    GIB,
    UNAVAILABLE,
    Double,
    Failure,
    Gpu,
    Mig,
    Process,
    Scenario,
    ScenarioFile,
    build,
    eight_gpus,
)

ALL_KNOWN = Gpu(
    number=3,
    used=30 * GIB,
    reserved=GIB // 2,
    utilization=87,
    memory_utilization=41,
    temperature=66,
    fan=55,
    power=412_345,
    sm_clock=1755,
    performance_state=2,
    throttle=0x4 | 0x20,
    corrected=7,
    uncorrected=1,
    lifetime_uncorrected=4,
    pcie_generation=4,
    pcie_width=8,
    processes=(Process(4242, 29 * GIB),),
)
NOTHING_KNOWN = Gpu(
    total=None,
    utilization=None,
    memory_utilization=None,
    temperature=None,
    slowdown_temperature=None,
    power=None,
    power_limit=None,
    sm_clock=None,
    max_sm_clock=None,
    memory_clock=None,
    max_memory_clock=None,
    performance_state=None,
    throttle=None,
    ecc_enabled=None,
    pcie_generation=None,
    max_pcie_generation=None,
    pcie_width=None,
    max_pcie_width=None,
    mig_mode=None,
)
DIVIDED = Gpu(
    used=12 * GIB,
    mig_mode=1,
    migs=(
        Mig(7, "MIG-aaaa", used=8 * GIB, total=10 * GIB, reserved=GIB // 8),
        Mig(9, "MIG-bbbb", "NVIDIA H100 80GB HBM3 MIG 3g.40gb", total=40 * GIB, used=4 * GIB),
    ),
    processes=(Process(100, 8 * GIB, gpu_instance=7), Process(200, 4 * GIB, gpu_instance=9)),
)
PROCESS_CALLS = ("nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetGraphicsRunningProcesses_v3")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def nvml(scenario: ScenarioFile, clock: Clock) -> Iterator[Nvml]:
    opened = Nvml(clock)
    yield opened
    opened.close()


def only(nvml: Nvml) -> GpuReading:
    (gpu,) = nvml.read().gpus
    return gpu


def pids(gpu: GpuReading) -> list[int | None]:
    assert gpu.holdings is not None
    return [holding.pid for holding in gpu.holdings]


def test_every_value_arrives_in_its_place_and_unit(scenario: ScenarioFile, nvml: Nvml) -> None:
    scenario.write(Scenario(gpus=(ALL_KNOWN,)))

    devices = nvml.read()

    assert (devices.driver.version, devices.driver.cuda_version, devices.driver.reason) == ("580.65.06", "13.0", None)
    assert devices.gpus == (
        GpuReading(
            index=0,
            uuid="GPU-00000000-0000-0000-0000-000000000003",
            name="NVIDIA H100 80GB HBM3",
            total_bytes=80 * GIB,
            used_bytes=30 * GIB,
            free_bytes=80 * GIB - 30 * GIB - GIB // 2,
            reserved_bytes=GIB // 2,
            utilization_percent=87,
            memory_utilization_percent=41,
            temperature_celsius=66,
            temperature_limit_celsius=92,
            fan_percent=55,
            power_watts=412.345,
            power_limit_watts=700.0,
            sm_clock_mhz=1755,
            max_sm_clock_mhz=1980,
            memory_clock_mhz=2619,
            max_memory_clock_mhz=2619,
            performance_state=2,
            throttle_reasons=("sw_power_cap", "sw_thermal"),
            ecc=Ecc(True, 7, 1, 4),
            pcie=Pcie(4, 5, 8, 16),
            mig_enabled=False,
            holdings=(Holding(4242, 29 * GIB),),
        ),
    )
    assert devices.gpus[0].unattributed_bytes == GIB


def test_what_a_card_cannot_tell_is_unknown_and_never_zero(scenario: ScenarioFile, nvml: Nvml) -> None:
    scenario.write(Scenario(gpus=(NOTHING_KNOWN,)))

    assert only(nvml) == GpuReading(
        index=0,
        uuid="GPU-00000000-0000-0000-0000-000000000000",
        name="NVIDIA H100 80GB HBM3",
        holdings=(),
    )


def test_an_unknown_performance_state_is_none(scenario: ScenarioFile, nvml: Nvml) -> None:
    scenario.write(Scenario(gpus=(Gpu(performance_state=pynvml.NVML_PSTATE_UNKNOWN),)))

    assert only(nvml).performance_state is None


def test_a_name_that_is_no_text_spoils_nothing_else(scenario: ScenarioFile, nvml: Nvml) -> None:
    scenario.write(Scenario(gpus=(Gpu(name="H100 \udcff", temperature=50),)))

    assert (only(nvml).name, only(nvml).temperature_celsius) == (None, 50)


def test_cards_that_tell_only_their_distance_from_slowing_down(scenario: ScenarioFile, nvml: Nvml) -> None:
    scenario.write(Scenario(gpus=(Gpu(temperature=45, slowdown_temperature=None, margin_temperature=42),)))

    assert only(nvml).temperature_limit_celsius == 87


def test_no_card_is_an_answer(scenario: ScenarioFile, nvml: Nvml) -> None:
    scenario.write(Scenario())

    assert (nvml.read().gpus, nvml.read().driver.reason) == ((), None)


def test_eight_cards(scenario: ScenarioFile, nvml: Nvml) -> None:
    scenario.write(Scenario(gpus=eight_gpus()))

    gpus = nvml.read().gpus

    assert [gpu.index for gpu in gpus] == list(range(8))
    assert [gpu.power_watts for gpu in gpus] == [280.0 + 41 * number for number in range(8)]
    assert len({pid for gpu in gpus for pid in pids(gpu)}) == 24


def test_processes_come_and_go(scenario: ScenarioFile, nvml: Nvml) -> None:
    scenario.write(Scenario(gpus=(Gpu(used=3 * GIB),)))
    assert pids(only(nvml)) == []
    for number in (1, 40, 150, 2):
        held = tuple(Process(1000 + place, GIB // 64) for place in range(number))
        scenario.write(Scenario(gpus=(Gpu(used=3 * GIB, processes=held),)))
        assert pids(only(nvml)) == [process.pid for process in held]


def test_a_process_in_both_lists_and_one_of_unknown_size(scenario: ScenarioFile, nvml: Nvml) -> None:
    held = (Process(7, GIB, "CG"), Process(8, UNAVAILABLE), Process(9, GIB // 2, "G"))
    scenario.write(Scenario(gpus=(Gpu(used=2 * GIB, processes=held),)))

    assert only(nvml).holdings == (
        Holding(7, GIB, "both"),
        Holding(8, None, "compute"),
        Holding(9, GIB // 2, "graphics"),
    )
    assert only(nvml).unattributed_bytes == GIB // 2


def test_counters_that_go_backwards_are_shown_as_they_are(scenario: ScenarioFile, nvml: Nvml, clock: Clock) -> None:
    scenario.write(Scenario(gpus=(replace(ALL_KNOWN, corrected=900, used=60 * GIB),)))
    assert (only(nvml).ecc.corrected, only(nvml).used_bytes) == (900, 60 * GIB)
    scenario.write(Scenario(gpus=(replace(ALL_KNOWN, corrected=2, used=GIB),)))
    clock.pass_seconds(31)

    assert (only(nvml).ecc.corrected, only(nvml).used_bytes) == (2, GIB)
    assert only(nvml).unattributed_bytes == 0, "the process still holds more than the card now says is used"


@pytest.mark.parametrize("branch", [430, 470, 510, 535, 580])
def test_drivers_old_and_new(branch: int, nvml_folder: Path, scenario: ScenarioFile, nvml: Nvml) -> None:
    build(nvml_folder, branch).bind(scenario.path)
    held = (Process(11, 20 * GIB), Process(12, 5 * GIB), Process(13, GIB, "G"))
    scenario.write(Scenario(gpus=(replace(ALL_KNOWN, used=27 * GIB, processes=held),)))

    gpu = only(nvml)

    assert gpu.holdings == (Holding(11, 20 * GIB), Holding(12, 5 * GIB), Holding(13, GIB, "graphics"))
    told_apart = branch >= 510
    assert gpu.reserved_bytes == (GIB // 2 if told_apart else None)
    assert gpu.used_bytes == (27 * GIB if told_apart else 27 * GIB + GIB // 2)
    assert gpu.free_bytes == 80 * GIB - 27 * GIB - GIB // 2
    assert (gpu.temperature_celsius, gpu.throttle_reasons) == (66, ("sw_power_cap", "sw_thermal"))
    assert gpu.mig_enabled is (None if branch < 450 else False)


@pytest.mark.parametrize("branch", [470, 580])
def test_mig_instances(branch: int, nvml_folder: Path, scenario: ScenarioFile, nvml: Nvml) -> None:
    build(nvml_folder, branch).bind(scenario.path)
    scenario.write(Scenario(gpus=(DIVIDED,)))

    gpu = only(nvml)

    assert (gpu.mig_enabled, gpu.utilization_percent) == (True, None)
    reserved = 0 if branch >= 510 else GIB // 8
    free = 10 * GIB - 8 * GIB - GIB // 8
    assert gpu.mig == (
        MigInstance(7, 0, "MIG-aaaa", "1g.10gb", 10 * GIB, 8 * GIB + reserved, free),
        MigInstance(9, 0, "MIG-bbbb", "3g.40gb", 40 * GIB, 4 * GIB, 36 * GIB),
    )
    assert gpu.holdings == (Holding(100, 8 * GIB, "compute", 7), Holding(200, 4 * GIB, "compute", 9))


def test_who_may_not_ask_a_divided_card_asks_its_instances(scenario: ScenarioFile, nvml: Nvml) -> None:
    refused = ("nvmlDeviceGetMemoryInfo_v2", *PROCESS_CALLS)
    failures = tuple(Failure(function, pynvml.NVML_ERROR_NO_PERMISSION, gpu=0) for function in refused)
    scenario.write(Scenario(gpus=(DIVIDED,), failures=failures))

    gpu = only(nvml)

    assert gpu.used_bytes is None
    assert [instance.used_bytes for instance in gpu.mig] == [8 * GIB, 4 * GIB]
    assert gpu.holdings == (Holding(100, 8 * GIB, "compute", 7), Holding(200, 4 * GIB, "compute", 9))


def test_who_may_ask_neither_card_nor_instances_knows_no_process(scenario: ScenarioFile, nvml: Nvml) -> None:
    failures = tuple(Failure(function, pynvml.NVML_ERROR_NO_PERMISSION) for function in PROCESS_CALLS)
    scenario.write(Scenario(gpus=(DIVIDED,), failures=failures))

    assert only(nvml).holdings is None
    assert only(nvml).unattributed_bytes is None


def test_instances_that_are_destroyed_and_made(scenario: ScenarioFile, nvml: Nvml, clock: Clock) -> None:
    scenario.write(Scenario(gpus=(DIVIDED,)))
    assert len(only(nvml).mig) == 2
    scenario.write(Scenario(gpus=(replace(DIVIDED, migs=DIVIDED.migs[:1]),)))

    assert [instance.used_bytes for instance in only(nvml).mig] == [8 * GIB, None], "no value that is no longer true"
    clock.pass_seconds(31)
    assert [instance.uuid for instance in only(nvml).mig] == ["MIG-aaaa"]

    scenario.write(Scenario(gpus=(DIVIDED,)))
    clock.pass_seconds(31)
    assert [instance.uuid for instance in only(nvml).mig] == ["MIG-aaaa", "MIG-bbbb"]


def test_what_is_refused_is_asked_again_only_after_a_while(
    scenario: ScenarioFile, nvml: Nvml, nvml_double: Double, clock: Clock
) -> None:
    refusals = (
        Failure("nvmlDeviceGetPowerUsage", pynvml.NVML_ERROR_NOT_SUPPORTED),
        *(Failure(function, pynvml.NVML_ERROR_NO_PERMISSION) for function in PROCESS_CALLS),
    )
    functions = [refusal.function for refusal in refusals]
    scenario.write(Scenario(gpus=(ALL_KNOWN,), failures=refusals))
    gpu = only(nvml)
    assert (gpu.power_watts, gpu.holdings, gpu.unattributed_bytes, gpu.temperature_celsius) == (None, None, None, 66)
    asked = [nvml_double.calls(function) for function in functions]

    scenario.write(Scenario(gpus=(ALL_KNOWN,)))
    assert only(nvml).power_watts is None
    assert [nvml_double.calls(function) for function in functions] == asked

    clock.pass_seconds(31)
    assert (only(nvml).power_watts, pids(only(nvml))) == (412.345, [4242])


@pytest.mark.parametrize("code", [pynvml.NVML_ERROR_UNKNOWN, pynvml.NVML_ERROR_TIMEOUT, pynvml.NVML_ERROR_NOT_READY])
def test_what_fails_for_a_moment_is_asked_the_next_time(code: int, scenario: ScenarioFile, nvml: Nvml) -> None:
    scenario.write(Scenario(gpus=(ALL_KNOWN,), failures=(Failure("nvmlDeviceGetPowerUsage", code),)))
    assert only(nvml).power_watts is None
    scenario.write(Scenario(gpus=(ALL_KNOWN,)))

    assert only(nvml).power_watts == 412.345


def test_what_lasts_is_kept_and_links_are_measured_one_at_a_time(
    scenario: ScenarioFile, nvml: Nvml, nvml_double: Double, clock: Clock
) -> None:
    scenario.write(Scenario(gpus=eight_gpus()))
    measured = [nvml_double.calls("nvmlDeviceGetPcieThroughput")]
    named = nvml_double.calls("nvmlDeviceGetName")
    assert nvml.read().gpus[0].pcie.rx_bytes_per_s is None
    for _ in range(31):
        clock.pass_seconds(1)
        gpus = nvml.read().gpus
        measured.append(nvml_double.calls("nvmlDeviceGetPcieThroughput"))

    steps = [after - before for before, after in pairwise(measured)]
    assert (max(steps), sum(steps)) == (2, 16), "both directions of eight links, never two links in one reading"
    assert gpus[7].pcie.rx_bytes_per_s == 120_000 * 8 * 1024
    assert nvml_double.calls("nvmlDeviceGetName") - named == 16, "at the beginning and once more"
