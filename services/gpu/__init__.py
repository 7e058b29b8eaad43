"""The one gate to NVML: which cards there are and what their memory holds.

Always true here: a value that cannot be read is None, never zero; no process is started; a machine without a driver
is an ordinary answer, not an error.
"""

from services.gpu.nvml import Card, Driver, cards, driver

__all__ = ["Card", "Driver", "cards", "driver"]
