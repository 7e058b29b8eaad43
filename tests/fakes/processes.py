"""What processes say of themselves, where one may end between being listed and being asked."""

from __future__ import annotations

from collections.abc import Iterable

import psutil


def command_lines(processes: Iterable[psutil.Process]) -> dict[psutil.Process, list[str]]:
    """The command of each process that still runs; one that has ended, reaped or not, is left out."""
    found = {}
    for process in processes:
        try:
            found[process] = process.cmdline()
        except psutil.NoSuchProcess:  # ZombieProcess is one
            continue
    return found
