"""A process of ours that should always run: started when it is missing, again with back-off when it has died."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from services.core.clock import ticks_ms
from services.core.machine import Process
from services.core.settings import inherited_environment

logger = logging.getLogger(__name__)

BACK_OFF_S = (1, 2, 4, 8, 16, 30)
SETTLED_MS = 60_000
"""A process that has lived so long was not a failed start: the next wait is the shortest again."""


class Duty:
    """Keeps one process alive. Not thread-safe: one owner calls `tick`."""

    def __init__(
        self,
        name: str,
        command: Callable[[], Sequence[str]],
        log: Path,
        *,
        adopt: Callable[[], Process | None] = lambda: None,
        environment: dict[str, str] | None = None,
    ) -> None:
        """
        Args:
            command: the arguments to start it with, asked for at each start.
            adopt: a process that an earlier owner has started and that still runs.
        """
        self.name = name
        self._command = command
        self._log = log
        self._adopt = adopt
        self._environment = environment or {}
        self._child: subprocess.Popen[bytes] | None = None
        self._process: Process | None = None
        self._failures = 0
        self._started_ms = self._due_ms = ticks_ms()

    @property
    def process(self) -> Process | None:
        """The process, while it lives."""
        return self._process if self._process and self._alive() else None

    def tick(self) -> bool:
        """Start the process if it is missing and due; True when it was started or adopted just now."""
        if self._process and self._alive():
            return False
        if self._process:
            self._note_end()
        if ticks_ms() < self._due_ms:
            return False
        self._process = self._adopt()
        if self._process is None:
            self._start()
        return True

    def stop(self, grace_s: float = 15.0) -> None:
        """Ask it to end, then make it."""
        if not self._process or not self._alive():
            return
        process = psutil.Process(self._process.pid)
        process.terminate()
        try:
            self._child.wait(grace_s) if self._child else process.wait(grace_s)
        except (subprocess.TimeoutExpired, psutil.TimeoutExpired):
            logger.warning("%s ignored the request to end and was killed", self.name)
            process.kill()
            self._child.wait() if self._child else process.wait(5)

    def _start(self) -> None:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(
                list(self._command()),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=inherited_environment(self._environment),
                start_new_session=True,  # so that Ctrl-C reaches only the parent, which ends its duties in order
            )
        self._process = Process(self._child.pid, psutil.Process(self._child.pid).create_time())
        self._started_ms = ticks_ms()
        logger.info("%s started (process %s)", self.name, self._child.pid)

    def _alive(self) -> bool:
        if self._child is not None:
            return self._child.poll() is None
        return self._process is not None and self._process.alive

    def _note_end(self) -> None:
        self._failures = 0 if ticks_ms() - self._started_ms > SETTLED_MS else self._failures + 1
        wait_s = BACK_OFF_S[min(self._failures, len(BACK_OFF_S)) - 1] if self._failures else BACK_OFF_S[0]
        self._due_ms = ticks_ms() + wait_s * 1000
        logger.warning("%s has ended; it is started again in %s s", self.name, wait_s)
        self._process, self._child = None, None
