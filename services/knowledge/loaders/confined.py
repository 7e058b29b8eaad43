"""Running one function in a child process of its own that may crash, hang or bloat, and harms only its own result."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerProcess
from typing import Any

from services.core.clock import ticks_ms

POLL_S = 0.2


class Cancelled(Exception):
    """The work was given up because nobody wants it any more."""


class OutOfTime(Exception):
    """The child took longer than it may; it was ended."""


def _no_steps() -> int:
    return 0


@dataclass(frozen=True, slots=True)
class Allowance:
    """How long a child may take: `timeout_s` without a step, and in all as long and `step_s` for each step."""

    timeout_s: float
    step_s: float = 0.0
    steps: Callable[[], int] = _no_steps
    """How many steps there were so far."""


class Confined:
    """Fresh children of a fork server that has `module` imported already. Thread-safe.

    One process has one fork server: the module of whoever starts a child first is what it imports.
    """

    def __init__(self, module: str) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([module])

    def run(
        self,
        target: Callable[..., None],
        arguments: tuple[Any, ...],
        allowance: Allowance,
        given_up: Callable[[], bool],
    ) -> None:
        """Run `target` in a child and wait until it has ended, however it ended. Raises: OutOfTime, Cancelled."""
        process = self._context.Process(target=target, args=arguments, daemon=True, name="reader")
        process.start()
        try:
            _watch(process, allowance, given_up)
        finally:
            if process.is_alive():  # asked first, so that no other process of a used pid is meant
                process.kill()
            process.join()
        if process.exitcode == -signal.SIGXCPU:
            raise OutOfTime


def _watch(process: ForkServerProcess, allowance: Allowance, given_up: Callable[[], bool]) -> None:
    patience = Patience(allowance, ticks_ms())
    while not wait([process.sentinel], POLL_S):
        if given_up():
            raise Cancelled
        if patience.ends(ticks_ms(), allowance.steps()):
            raise OutOfTime


class Patience:
    """Whether a child has had its time: it stands still for too long, or takes too long for what it has done."""

    def __init__(self, allowance: Allowance, now_ms: float) -> None:
        self._allowance = allowance
        self._begun_ms = self._moved_ms = now_ms
        self._steps = 0

    def ends(self, now_ms: float, steps: int) -> bool:
        """Whether it is over, at this time and after so many steps."""
        if steps > self._steps:
            self._steps, self._moved_ms = steps, now_ms
        still_s, whole_s = (now_ms - self._moved_ms) / 1000, (now_ms - self._begun_ms) / 1000
        most_s = self._allowance.timeout_s + steps * self._allowance.step_s
        return still_s > self._allowance.timeout_s or whole_s > most_s
