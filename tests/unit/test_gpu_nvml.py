"""What NVML's answers mean, without a library."""

from __future__ import annotations

import pynvml
import pytest

from services.gpu.nvml_calls import Process
from services.gpu.nvml_codes import THROTTLE_REASONS, driver_reason, gpu_reason, throttle_codes
from services.gpu.nvml_gpu import merged
from services.gpu.readings import Holding


@pytest.mark.parametrize(
    ("code", "bit"),
    [
        ("idle", pynvml.nvmlClocksEventReasonGpuIdle),
        ("application_clocks", pynvml.nvmlClocksEventReasonApplicationsClocksSetting),
        ("sw_power_cap", pynvml.nvmlClocksEventReasonSwPowerCap),
        ("hw_slowdown", pynvml.nvmlClocksEventReasonHwSlowdown),
        ("sync_boost", pynvml.nvmlClocksEventReasonSyncBoost),
        ("sw_thermal", pynvml.nvmlClocksEventReasonSwThermalSlowdown),
        ("hw_thermal", pynvml.nvmlClocksEventReasonHwThermalSlowdown),
        ("hw_power_brake", pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown),
        ("display", pynvml.nvmlClocksEventReasonDisplayClockSetting),
    ],
)
def test_each_reason_has_its_code_and_words(code: str, bit: int) -> None:
    assert throttle_codes(bit) == (code,)
    assert THROTTLE_REASONS[code]


def test_reasons_add_up_and_unknown_ones_are_left_out() -> None:
    assert throttle_codes(0) == ()
    assert throttle_codes(0x4 | 0x20 | 0x8000) == ("sw_power_cap", "sw_thermal")


def test_an_error_without_words_of_its_own_has_general_ones() -> None:
    assert driver_reason(pynvml.NVML_ERROR_DRIVER_NOT_LOADED) == "the driver is not loaded"
    assert driver_reason(777) == "the driver answers with an error"
    assert gpu_reason(777) == "the GPU answers with an error"


def test_a_process_that_computes_and_draws_is_counted_once() -> None:
    both = merged([Process(7, 100, None), Process(8, 5, None)], [Process(7, 100, None), Process(9, None, None)])

    assert both == (Holding(7, 100, "both"), Holding(8, 5, "compute"), Holding(9, None, "graphics"))


def test_a_size_that_only_one_list_knows_is_kept() -> None:
    assert merged([Process(7, None, None)], [Process(7, 100, None)]) == (Holding(7, 100, "both"),)
    assert merged([Process(7, 100, None)], [Process(7, None, None)]) == (Holding(7, 100, "both"),)


def test_a_process_on_two_mig_instances_holds_memory_on_each() -> None:
    found = merged([Process(7, 100, 1), Process(7, 30, 2)], [])

    assert [(holding.gpu_instance, holding.used_bytes) for holding in found] == [(1, 100), (2, 30)]
