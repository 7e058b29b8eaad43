"""A process that is asked to end hears it, whatever it is doing just then."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from services.core.stopping import Stopping

ROOT = Path(__file__).resolve().parents[2]
BUSY = """
import signal
from services.core.stopping import Stopping
stopping = Stopping()
stopping.listen(signal.SIGTERM)
print("ready", flush=True)
while not stopping.wait(0.0002):
    pass
for _ in range(100):
    stopping.is_set()
print("ended", flush=True)
"""


def test_a_wait_ends_when_another_thread_asks() -> None:
    stopping = Stopping()
    assert not stopping.is_set() and not stopping.wait(0.01)
    threading.Timer(0.05, stopping.set).start()
    assert stopping.wait(30) and stopping.is_set() and stopping.wait(0)


@pytest.mark.parametrize("_", range(5))
def test_a_storm_of_signals_in_mid_wait_ends_the_process_instead_of_blocking_it(_: int) -> None:
    child = subprocess.Popen([sys.executable, "-c", BUSY], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None and child.stdout.readline() == "ready\n"
    for _ in range(200):
        os.kill(child.pid, signal.SIGTERM)
        time.sleep(0.0005)
        if child.poll() is not None:
            break
    assert child.communicate(timeout=20)[0] == "ended\n"
