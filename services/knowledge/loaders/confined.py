"""Running one function in a child process of its own that may crash, hang or bloat, and harms only its own result."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerProcess
from typing import Any

from services.core.clock import ticks_ms

POLL_S = 0.2


class Cancelled(Exception):
    """The work was given up because nobody wants it any more."""


class OutOfTime(Exception):
    """The child took longer than it may; it was ended."""


class Confined:
    """Fresh children of a fork server that has `module` imported already. Thread-safe.

    One process has one fork server: the module of whoever starts a child first is what it imports.
    """

    def __init__(self, module: str) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([module])

    def run(
        self, target: Callable[..., None], arguments: tuple[Any, ...], timeout_s: float, given_up: Callable[[], bool]
    ) -> None:
        """Run `target` in a child and wait until it has ended, however it ended. Raises: OutOfTime, Cancelled."""
        process = self._context.Process(target=target, args=arguments, daemon=True, name="reader")
        process.start()
        try:
            _watch(process, timeout_s, given_up)
        finally:
            if process.is_alive():  # asked first, so that no other process of a used pid is meant
                process.kill()
            process.join()
        if process.exitcode == -signal.SIGXCPU:
            raise OutOfTime


def _watch(process: ForkServerProcess, timeout_s: float, given_up: Callable[[], bool]) -> None:
    deadline = ticks_ms() + timeout_s * 1000
    while not wait([process.sentinel], POLL_S):
        if given_up():
            raise Cancelled
        if ticks_ms() > deadline:
            raise OutOfTime
