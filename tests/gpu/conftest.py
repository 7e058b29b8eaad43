"""What tests of a real card need; they are skipped where no driver answers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.gpu.nvml import Nvml


@pytest.fixture(scope="module")
def nvml() -> Iterator[Nvml]:
    """The gate to the real driver of this machine."""
    opened = Nvml()
    devices = opened.read()
    if not devices.gpus:
        pytest.skip(f"no NVIDIA card: {devices.driver.reason or 'the driver finds none'}")
    yield opened
    opened.close()
