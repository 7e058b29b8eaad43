"""Which machine and which process this is."""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

from services.core.clock import now_ms


@dataclass(frozen=True, slots=True)
class Process:
    """A process by pid *and* start time, so that a pid that was given again is not taken for it."""

    pid: int
    started_at: float

    @property
    def alive(self) -> bool:
        """Whether exactly this process still runs; one that has ended but was not yet reaped does not."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started_at) < 0.05
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


def this_process() -> Process:
    """The process that asks."""
    return Process(os.getpid(), psutil.Process().create_time())


def hostname() -> str:
    """What the machine calls itself."""
    return socket.gethostname()


@cache
def machine_id(home: Path) -> str:
    """The id of the installation on this machine, made once and kept in its home folder."""
    path = home / "machine_id"
    if not path.exists():
        draft = path.with_suffix(f".{secrets.token_hex(4)}")
        draft.write_text(f"{hostname()[:20]}-{now_ms():x}", "utf-8")
        try:
            os.link(draft, path)  # fails where another process was quicker: then that id counts
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text("utf-8").strip()
