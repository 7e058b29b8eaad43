"""What NVML's answers mean: which of them end a session, which lose a GPU, which last; and their words."""

from __future__ import annotations

import pynvml

from services.core.i18n import N_

SESSION_OVER = frozenset(
    {
        pynvml.NVML_ERROR_UNINITIALIZED,
        pynvml.NVML_ERROR_DRIVER_NOT_LOADED,
        pynvml.NVML_ERROR_LIBRARY_NOT_FOUND,
        pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH,
    }
)
"""The driver went away or was restarted: every handle is void."""

GPU_GONE = frozenset(
    {
        pynvml.NVML_ERROR_GPU_IS_LOST,
        pynvml.NVML_ERROR_RESET_REQUIRED,
        pynvml.NVML_ERROR_GPU_NOT_FOUND,
        pynvml.NVML_ERROR_NOT_FOUND,
    }
)
"""This GPU answers nothing more until it is reset or the session is opened anew."""

REFUSED = frozenset(
    {
        pynvml.NVML_ERROR_NOT_SUPPORTED,
        pynvml.NVML_ERROR_NO_PERMISSION,
        pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
        pynvml.NVML_ERROR_VGPU_ECC_NOT_SUPPORTED,
        pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH,
        pynvml.NVML_ERROR_DEPRECATED,
    }
)
"""The same question gets the same answer for a while. Not for ever: permissions and the MIG mode can change under an
open session. Every other error (a timeout, unknown, not ready) is of the moment."""

NO_LIBRARY = N_("there is no driver library")
DRIVER_REASONS = {
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: NO_LIBRARY,
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: N_("the driver is not loaded"),
    pynvml.NVML_ERROR_UNINITIALIZED: N_("the driver was restarted and does not answer yet"),
    # The library that a process has loaded stays the old one: only a restart of the process finds the new one.
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: N_(
        "the driver and its library have different versions, as after an update: restart Lectern, or the machine"
    ),
    pynvml.NVML_ERROR_NO_PERMISSION: N_("this user may not use the driver"),
}
GPU_REASONS = {
    pynvml.NVML_ERROR_GPU_IS_LOST: N_("the GPU is lost: it no longer answers on the bus"),
    pynvml.NVML_ERROR_RESET_REQUIRED: N_("the GPU must be reset before it can be used again"),
    pynvml.NVML_ERROR_GPU_NOT_FOUND: N_("the driver no longer finds the GPU"),
    pynvml.NVML_ERROR_NOT_FOUND: N_("the driver no longer finds the GPU"),
    pynvml.NVML_ERROR_NO_PERMISSION: N_("this user may not use the GPU"),
    pynvml.NVML_ERROR_INSUFFICIENT_POWER: N_("the GPU's power cables are not connected properly"),
    pynvml.NVML_ERROR_IRQ_ISSUE: N_("the GPU's interrupts do not reach the driver"),
}

THROTTLE_REASONS = {
    "idle": N_("nothing to do"),
    "application_clocks": N_("clocks set by an administrator"),
    "sw_power_cap": N_("power limit"),
    "hw_slowdown": N_("slowed down by the hardware"),
    "sync_boost": N_("kept in step with other GPUs"),
    "sw_thermal": N_("too warm, slowed down by the driver"),
    "hw_thermal": N_("too hot, slowed down by the hardware"),
    "hw_power_brake": N_("slowed down by the power supply"),
    "display": N_("clocks set for a display"),
}
"""Words for each code, in the order of NVML's bits. `idle` holds clocks back too, and is nothing to worry about."""


def driver_reason(code: int) -> str:
    """Why the driver does not answer."""
    return DRIVER_REASONS.get(code) or N_("the driver answers with an error")


def gpu_reason(code: int) -> str:
    """Why a GPU does not answer."""
    return GPU_REASONS.get(code) or N_("the GPU answers with an error")


def throttle_codes(bits: int) -> tuple[str, ...]:
    """The codes of NVML's bits; bits that have no code here are left out."""
    return tuple(code for place, code in enumerate(THROTTLE_REASONS) if bits >> place & 1)
