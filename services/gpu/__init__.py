"""GPUs: the one gate to NVML, what it told at one instant, and the history of that.

Always true here: a value that cannot be read is None, never zero; no process is started; a machine without a driver is
an ordinary answer, not an error; the driver is asked by the worker's sampler, by others only where no worker runs.
"""
