"""The parent of one model server: `python -m services.serving.runner <folder>`.

It outlives the worker, takes in every process that the engine leaves behind (child subreaper), owns the log, and writes
how the engine ended. SIGTERM ends the engine with all its descendants; only then does the runner end.
"""

from __future__ import annotations

import ctypes
import os
import selectors
import signal
import sys
from pathlib import Path
from types import FrameType

import psutil

from services.core.clock import now_ms, ticks_ms
from services.serving import children
from services.serving.launch import Exit, Launch
from services.serving.logs import RotatingLog

PR_SET_CHILD_SUBREAPER = 36
CHUNK = 65_536
KILL_EVERY_MS = 100.0
NOT_STARTED = 127
"""The shell's exit code for a program that cannot be run."""


class Runner:
    """Starts the engine that a folder's launch file describes, and stays until nothing of it is left."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._launch = Launch.read(folder)
        self._log = RotatingLog(folder)
        self._stopping = False
        self._status: int | None = None
        self._engine = -1
        self._output, self._engine_output = os.pipe()
        self._selector = selectors.DefaultSelector()

    def run(self) -> None:
        """Run the engine to its end."""
        become_subreaper()
        self._listen_to_signals()
        self._start()
        self._work_until_ended()
        self._end_the_rest()
        self._drain()
        self._exit().write(self._folder)

    def _start(self) -> None:
        os.set_blocking(self._output, False)
        self._selector.register(self._output, selectors.EVENT_READ)
        try:
            engine = children.spawn(self._launch.argv, output=self._engine_output)
            self._engine = engine.pid
            engine.returncode = 0  # reaped below with all others, not by the object
        except OSError as error:
            self._log.write(f"error: {self._launch.argv[0]} cannot be run: {error.strerror}\n".encode())
            self._status = NOT_STARTED << 8
        os.close(self._engine_output)

    def _work_until_ended(self) -> None:
        while self._status is None and not self._stopping:
            self._wait(1000)
            self._reap()

    def _end_the_rest(self) -> None:
        deadline = ticks_ms() + self._launch.grace_s * 1000
        children.send(self._descendants(), signal.SIGTERM)
        while self._reap():
            self._wait(KILL_EVERY_MS)
            if ticks_ms() > deadline:
                children.send(self._descendants(), signal.SIGKILL)

    def _descendants(self) -> list[psutil.Process]:
        return psutil.Process().children(recursive=True)

    def _reap(self) -> bool:
        """Take in the children that have ended; False when there is none left, and so no descendant either."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self._engine:
                self._status = status

    def _wait(self, longest_ms: float) -> None:
        for key, _ in self._selector.select(longest_ms / 1000):
            if key.fd == self._output:
                self._copy()
            else:
                os.read(key.fd, CHUNK)

    def _copy(self) -> bool:
        """Bring a piece of output to the log; False when there is none at the moment."""
        try:
            output = os.read(self._output, CHUNK)
        except BlockingIOError:
            return False
        if output:
            self._log.write(output)
        else:
            self._selector.unregister(self._output)
        return bool(output)

    def _drain(self) -> None:
        while self._output in self._selector.get_map() and self._copy():
            pass

    def _exit(self) -> Exit:
        status = self._status or 0
        if os.WIFSIGNALED(status):
            return Exit(None, signal.Signals(os.WTERMSIG(status)).name, now_ms())
        return Exit(os.waitstatus_to_exitcode(status), None, now_ms())

    def _listen_to_signals(self) -> None:
        wake, woken = os.pipe()
        for end in (wake, woken):
            os.set_blocking(end, False)
        self._selector.register(wake, selectors.EVENT_READ)
        signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        # Handlers, not SIG_IGN: that would be inherited by the engine.
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: None)
        signal.signal(signal.SIGTERM, self._stop)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True


def become_subreaper() -> None:
    """Be the parent of every orphan below this process, where the system knows that."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


if __name__ == "__main__":
    Runner(Path(sys.argv[1])).run()
