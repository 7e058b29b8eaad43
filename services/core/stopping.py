"""Being asked to end: a flag that a signal handler can raise at any moment."""

from __future__ import annotations

import os
import select
import signal


class Stopping:
    """Whether this process was asked to end, and a wait that ends with it.

    `threading.Event` cannot be set in a signal handler: the main thread may hold its lock just then, and waits for
    itself for ever. A byte in a pipe needs no lock.
    """

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)

    def listen(self, *numbers: signal.Signals) -> None:
        """Take these signals as the wish to end. Main thread only."""
        for number in numbers:
            signal.signal(number, lambda *_: self.set())

    def set(self) -> None:
        """Ask to end; safe in a signal handler and in any thread."""
        try:
            os.write(self._write, b".")
        except BlockingIOError:
            return  # it was asked often enough to fill the pipe

    def is_set(self) -> bool:
        """Whether the process was asked to end."""
        return self.wait(0)

    def wait(self, seconds: float) -> bool:
        """Wait so long, or until asked to end; True when asked."""
        return bool(select.select([self._read], [], [], seconds)[0])
