"""The gate to NVML through the driver's troubles: absent, restarted, broken, and GPUs that are lost or come back."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pynvml
import pytest

from services.gpu.nvml import Nvml
from services.gpu.readings import Devices
from tests.fakes.clock import Clock
from tests.fakes.nvml import (
    GIB,
    GPU_IS_LOST,
    Double,
    Failure,
    Gpu,
    Process,
    Scenario,
    ScenarioFile,
    build,
    eight_gpus,
)

TWO = (Gpu(0, temperature=40, used=GIB), Gpu(1, temperature=50, used=2 * GIB))
LOST = "the GPU is lost: it no longer answers on the bus"
READ = """
from services.gpu.nvml import Nvml
devices = Nvml().read()
print(devices.driver.reason)
for gpu in devices.gpus:
    print(gpu.index, gpu.used_bytes, [(holding.pid, holding.used_bytes) for holding in gpu.holdings])
"""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def nvml(scenario: ScenarioFile, clock: Clock) -> Iterator[Nvml]:
    opened = Nvml(clock)
    yield opened
    opened.close()


def temperatures(devices: Devices) -> list[int | None]:
    return [gpu.temperature_celsius for gpu in devices.gpus]


def errors(devices: Devices) -> list[str | None]:
    return [gpu.error for gpu in devices.gpus]


def read_in_a_child(environment: dict[str, str]) -> list[str]:
    """What a process prints that reads once."""
    done = subprocess.run(
        [sys.executable, "-c", READ], env={**os.environ, **environment}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_machine_without_a_driver_is_asked_seldom(
    scenario: ScenarioFile, nvml: Nvml, nvml_double: Double, clock: Clock
) -> None:
    scenario.write(Scenario(init=pynvml.NVML_ERROR_DRIVER_NOT_LOADED))
    asked = nvml_double.calls("nvmlInitWithFlags")
    for _ in range(60):
        devices = nvml.read()
        assert (devices.driver.version, devices.driver.reason, devices.gpus) == (None, "the driver is not loaded", ())
        clock.pass_seconds(1)

    assert nvml_double.calls("nvmlInitWithFlags") - asked == 12


def test_a_driver_that_is_loaded_later_is_found(scenario: ScenarioFile, nvml: Nvml, clock: Clock) -> None:
    scenario.write(Scenario(init=pynvml.NVML_ERROR_DRIVER_NOT_LOADED))
    assert nvml.read().gpus == ()
    scenario.write(Scenario(gpus=TWO))
    assert nvml.read().gpus == ()
    clock.pass_seconds(5)

    assert temperatures(nvml.read()) == [40, 50]
    assert nvml.read().driver.reason is None


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH, "different versions"),
        (pynvml.NVML_ERROR_NO_PERMISSION, "this user may not use the driver"),
        (pynvml.NVML_ERROR_UNKNOWN, "the driver answers with an error"),
    ],
)
def test_a_driver_that_refuses_has_a_reason(code: int, words: str, scenario: ScenarioFile, nvml: Nvml) -> None:
    scenario.write(Scenario(init=code))

    assert words in (nvml.read().driver.reason or "")


def test_a_restarted_driver_answers_in_the_same_reading(scenario: ScenarioFile, nvml: Nvml) -> None:
    scenario.write(Scenario(gpus=TWO, driver="580.65.06"))
    nvml.read()
    scenario.write(Scenario(gpus=TWO, driver="580.95.05", epoch=2))

    devices = nvml.read()

    assert (devices.driver.version, temperatures(devices)) == ("580.95.05", [40, 50])


def test_a_driver_that_is_away_for_a_while(scenario: ScenarioFile, nvml: Nvml, clock: Clock) -> None:
    scenario.write(Scenario(gpus=TWO))
    nvml.read()
    scenario.write(Scenario(init=pynvml.NVML_ERROR_DRIVER_NOT_LOADED))
    assert nvml.read() == nvml.read()
    assert nvml.read().driver.reason == "the driver is not loaded"
    scenario.write(Scenario(gpus=TWO, epoch=2))
    clock.pass_seconds(5)

    assert temperatures(nvml.read()) == [40, 50]


def test_handles_that_another_session_of_the_process_made_void(scenario: ScenarioFile, nvml: Nvml) -> None:
    scenario.write(Scenario(gpus=TWO))
    nvml.read()
    scenario.write(Scenario(gpus=TWO, epoch=2))
    other = Nvml()
    other.read()

    assert temperatures(nvml.read()) == [40, 50]
    other.close()


def test_a_lost_gpu_keeps_its_name_and_the_others_go_on(
    scenario: ScenarioFile, nvml: Nvml, nvml_double: Double, clock: Clock
) -> None:
    scenario.write(Scenario(gpus=TWO))
    nvml.read()
    scenario.write(Scenario(gpus=(replace(TWO[0], temperature=41), replace(TWO[1], error=GPU_IS_LOST))))

    first, second = nvml.read().gpus

    assert (first.error, first.temperature_celsius) == (None, 41)
    assert (second.error, second.index, second.name, second.uuid) == (LOST, 1, TWO[1].name, TWO[1].own_uuid)
    assert (second.used_bytes, second.total_bytes, second.holdings) == (None, None, None)

    asked = nvml_double.calls("nvmlDeviceGetMemoryInfo_v2")
    nvml.read()
    assert nvml_double.calls("nvmlDeviceGetMemoryInfo_v2") - asked == 1, "only the other one is asked"

    scenario.write(Scenario(gpus=TWO))
    assert errors(nvml.read()) == [None, LOST]
    clock.pass_seconds(30)
    assert (errors(nvml.read()), temperatures(nvml.read())) == ([None, None], [40, 50])


def test_a_gpu_that_is_still_lost_when_it_is_looked_for_keeps_its_name(
    scenario: ScenarioFile, nvml: Nvml, clock: Clock
) -> None:
    lost = (TWO[0], replace(TWO[1], error=GPU_IS_LOST))
    scenario.write(Scenario(gpus=TWO))
    nvml.read()
    for epoch in (1, 1, 2):
        scenario.write(Scenario(gpus=lost, epoch=epoch))
        clock.pass_seconds(31)
        second = nvml.read().gpus[1]
        assert (second.error, second.name, second.uuid) == (LOST, TWO[1].name, TWO[1].own_uuid)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (pynvml.NVML_ERROR_RESET_REQUIRED, "the GPU must be reset before it can be used again"),
        (pynvml.NVML_ERROR_NOT_FOUND, "the driver no longer finds the GPU"),
    ],
)
def test_other_ways_to_lose_a_gpu(code: int, words: str, scenario: ScenarioFile, nvml: Nvml) -> None:
    scenario.write(Scenario(gpus=TWO))
    nvml.read()
    scenario.write(Scenario(gpus=(TWO[0], replace(TWO[1], error=code))))

    assert errors(nvml.read()) == [None, words]


@pytest.mark.parametrize("code", [pynvml.NVML_ERROR_NO_PERMISSION, pynvml.NVML_ERROR_UNKNOWN])
def test_a_gpu_that_gives_no_handle_leaves_the_others_alone(code: int, scenario: ScenarioFile, nvml: Nvml) -> None:
    failure = Failure("nvmlDeviceGetHandleByIndex_v2", code, gpu=0)
    scenario.write(Scenario(gpus=TWO, failures=(failure,)))

    first, second = nvml.read().gpus

    assert first.error is not None
    assert (first.name, second.error, second.temperature_celsius) == (None, None, 50)


def test_cards_that_are_added_and_taken_away(scenario: ScenarioFile, nvml: Nvml, clock: Clock) -> None:
    scenario.write(Scenario(gpus=TWO))
    nvml.read()
    scenario.write(Scenario(gpus=eight_gpus()))
    clock.pass_seconds(30)
    assert len(nvml.read().gpus) == 8

    scenario.write(Scenario(gpus=TWO[1:]))
    (left,) = nvml.read().gpus
    assert (left.uuid, left.temperature_celsius) == (TWO[1].own_uuid, 50)


def test_a_lost_gpu_gets_no_name_of_another_when_the_number_of_cards_changed(
    scenario: ScenarioFile, nvml: Nvml, clock: Clock
) -> None:
    scenario.write(Scenario(gpus=TWO))
    nvml.read()
    scenario.write(Scenario(gpus=(replace(TWO[1], error=GPU_IS_LOST),)))

    (left,) = nvml.read().gpus

    assert (left.error, left.name, left.uuid) == (LOST, None, None)


def test_a_closed_session_opens_again(scenario: ScenarioFile, nvml: Nvml) -> None:
    scenario.write(Scenario(gpus=TWO))
    nvml.read()
    nvml.close()
    nvml.close()

    assert temperatures(nvml.read()) == [40, 50]


def test_threads_share_a_session(scenario: ScenarioFile, nvml: Nvml) -> None:
    scenario.write(Scenario(gpus=eight_gpus()))
    expected = nvml.read()
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: nvml.read(), range(200)))

    assert all(devices == expected for devices in found)


@pytest.mark.parametrize("branch", [430, 580])
def test_a_process_that_finds_the_library_on_its_own(branch: int, nvml_folder: Path, scenario: ScenarioFile) -> None:
    gpus = (replace(TWO[0], reserved=0, processes=(Process(11, GIB // 2), Process(12, GIB // 4))),)
    scenario.write(Scenario(gpus=gpus))

    printed = read_in_a_child(build(nvml_folder, branch).environment(scenario.path))

    assert printed == ["None", f"0 {GIB} [(11, {GIB // 2}), (12, {GIB // 4})]"]


def test_a_file_that_is_no_library(tmp_path: Path) -> None:
    if Path("/proc/driver/nvidia/version").exists():
        pytest.skip("this machine has a driver library of its own")
    (tmp_path / "libnvidia-ml.so.1").write_bytes(b"not a library")

    assert read_in_a_child({"LD_LIBRARY_PATH": str(tmp_path)}) == ["there is no driver library"]


def test_a_library_that_lacks_everything(tmp_path: Path, nvml_double: Double) -> None:
    command = ["cc", "-shared", "-fPIC", "-x", "c", os.devnull, "-o", str(tmp_path / "libnvidia-ml.so.1")]
    subprocess.run(command, check=True)

    assert read_in_a_child({"LD_LIBRARY_PATH": str(tmp_path)}) == ["the driver answers with an error"]
