"""Whose processes hold GPU memory: a managed server's, somebody else's, or ones that cannot be seen from here.

A process of a server carries the launch token, is in the session of the server's runner, or descends from one that does
(the runner takes in orphans). Everything that is read of a process is read once; a process is known by pid and start
time. No more than the launch token is ever taken out of an environment.
"""

from __future__ import annotations

import os
import re
import select
import sys
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import psutil

from services.gpu.readings import Devices, GpuReading, Holder, Holding
from services.serving import children
from services.serving.engines.protocol import MASK
from services.serving.ledger import Ledger, holder_of
from services.store.servers import Launched, ServerRows

T = TypeVar("T")
INITIAL_PID_NAMESPACE = "pid:[4026531836]"
"""What Linux calls the namespace in which every process of a machine has a pid."""
COMMAND_LIMIT = 120
"""Characters of a command line that are shown."""
SECRET = re.compile(r"(?:^|[-_])(?:(?:api|access|auth)[-_]?key|key|token|secret|password|passwd)$", re.IGNORECASE)
"""Names of options and variables whose value nobody may see."""
URL_USER = re.compile(r"(?<=//)[^/@\s]+(?=@)")


@dataclass(frozen=True, slots=True)
class Sight:
    """What of the machine's processes can be seen from here.

    In a container the driver may name pids of the machine, which are other processes here or none.
    """

    whole: bool
    """Whether all processes of the machine can be seen."""
    holds_device: Callable[[int], bool | None]
    """Whether a process has a GPU open; None where that may not be read."""

    @staticmethod
    def here() -> Sight:
        """The sight of this process."""
        try:
            whole = str(Path("/proc/self/ns/pid").readlink()) == INITIAL_PID_NAMESPACE
        except OSError:  # a system without namespaces
            whole = True
        return Sight(whole, holds_nvidia_device)

    def believes(self, pid: int) -> bool:
        """Whether a pid that the driver has named means the process that has this pid here."""
        return self.whole or self.holds_device(pid) is not False


class _Pinned:
    """A process that is never taken for another one that has got its pid. Raises: psutil.Error where there is none."""

    def __init__(self, pid: int) -> None:
        self.process = psutil.Process(pid)
        self._ending = None
        if sys.platform == "linux" and (descriptor := _read(lambda: os.pidfd_open(pid))) is not None:
            weakref.finalize(self, os.close, descriptor)
            self._ending = select.poll()
            self._ending.register(descriptor, select.POLLIN)

    @property
    def alive(self) -> bool:
        """Whether it has not ended. A hundredth of the cost of comparing start times, where the system can tell."""
        return not self._ending.poll(0) if self._ending else self.process.is_running()


@dataclass(slots=True)
class _Seen:
    """What is known of a process."""

    pinned: _Pinned
    believed: bool
    token: str | None
    user: str | None
    command: str | None
    holder: Holder | None = None
    settled: bool = False
    """Whether the holder was found among the launches as they are now."""


class Holders:
    """Tells whose processes hold the memory of the GPUs. Not thread-safe: one owner calls it.

    Cost: some tenths of a millisecond for two dozen processes that are known already.
    """

    def __init__(self, rows: ServerRows, ledger: Ledger, machine_id: str, sight: Sight | None = None) -> None:
        self._rows = rows
        self._ledger = ledger
        self._machine_id = machine_id
        self._sight = sight or Sight.here()
        self._launches: list[Launched] = []
        self._seen: dict[int, _Seen] = {}

    def __call__(self, devices: Devices) -> Devices:
        """The devices, with a holder for each process that can be told. Raises: DatabaseUnavailable, DiskFull."""
        if not devices.gpus:
            return devices
        launches = self._rows.launches(self._machine_id)
        if launches != self._launches:
            self._launches = launches
            for seen in self._seen.values():
                seen.settled = False
        pids = {each.pid for gpu in devices.gpus for each in gpu.holdings or () if each.pid is not None}
        self._seen = {pid: found for pid in pids if (found := self._look(pid))}
        gpus = [self._with_holders(gpu) for gpu in devices.gpus]
        return replace(devices, gpus=self._ledger.follow(gpus, launches, whole=self._sight.whole))

    def _with_holders(self, gpu: GpuReading) -> GpuReading:
        if not gpu.holdings:
            return gpu
        return replace(gpu, holdings=tuple(held_by(each, self._holder(each.pid)) for each in gpu.holdings))

    def _holder(self, pid: int | None) -> Holder | None:
        seen = self._seen.get(pid) if pid is not None else None
        if seen and not seen.settled:
            seen.holder, seen.settled = self._found(seen), True
        return seen.holder if seen else None

    def _look(self, pid: int) -> _Seen | None:
        """What is known of the process that has this pid now; None where there is none."""
        known = self._seen.get(pid)
        if known and known.pinned.alive:
            return known
        try:
            pinned = _Pinned(pid)
        except psutil.Error:
            return None
        process = pinned.process
        seen = _Seen(
            pinned,
            believed=self._sight.believes(pid),
            token=_token(process),
            user=printable(_read(process.username) or "") or None,
            command=command_text(_read(process.cmdline) or []) or printable(_read(process.name) or "") or None,
        )
        return seen if process.is_running() and pinned.alive else None

    def _found(self, seen: _Seen) -> Holder | None:
        if not seen.believed:
            return None
        launched, how = self._recognise(seen.pinned.process, seen.token)
        if launched is None:
            return Holder(seen.user, seen.command)
        return holder_of(launched, how, seen.user, seen.command)

    def _recognise(self, process: psutil.Process, token: str | None) -> tuple[Launched | None, str]:
        if launched := self._of_token(token):
            return launched, "token"
        if launched := self._of_session(process):
            return launched, "session"
        for parent in (_read(process.parents) or []) if self._launches else []:
            if launched := self._of_token(_token(parent)) or self._of_session(parent):
                return launched, "ancestry"
        return None, ""

    def _of_token(self, token: str | None) -> Launched | None:
        return next((launched for launched in self._launches if token and launched.token == token), None)

    def _of_session(self, process: psutil.Process) -> Launched | None:
        """The server whose runner leads the process's session. A pid that was given again leads another one."""
        leader = _read(lambda: os.getsid(process.pid))
        for launched in self._launches:
            if leader is not None and launched.pid == leader and _still_leads(launched):
                return launched
        return None


def _still_leads(launched: Launched) -> bool:
    """Whether a runner's pid was not given again; it never is while a dead runner's session has members."""
    now = children.identity(launched.pid or 0)
    return now is None or children.alive(launched.pid, launched.started_at)


def held_by(holding: Holding, holder: Holder | None) -> Holding:
    """The holding with its holder."""
    return Holding(holding.pid, holding.used_bytes, holding.kind, holding.gpu_instance, holder)


def holds_nvidia_device(pid: int) -> bool | None:
    """Whether a process has a file of the NVIDIA driver open; None where that may not be read."""
    folder = Path(f"/proc/{pid}/fd")
    try:
        names = list(folder.iterdir())
    except OSError:
        return None
    return any((_read(name.readlink) or Path()).as_posix().startswith("/dev/nvidia") for name in names)


def command_text(argv: Sequence[str]) -> str:
    """A command line as people know it: programs without their folders, secrets masked, one line, cut."""
    words = [word for word in argv if word]
    if len(words) > 1 and _is_python(words[0]) and "/" in words[1] and not words[1].startswith("-"):
        words = words[1:]
    shown, masking = [Path(word).name or word for word in words[:1]], False
    for word in words[1:]:
        name, equals, _ = word.partition("=")
        if not word.startswith("-") and masking:
            shown.append(MASK)
            continue
        masking = SECRET.search(name) is not None and not equals and word.startswith("-")
        shown.append(f"{name}={MASK}" if equals and SECRET.search(name) else URL_USER.sub(MASK, word))
    text = printable(" ".join(shown))
    return text if len(text) <= COMMAND_LIMIT else text[: COMMAND_LIMIT - 1] + "…"


def printable(text: str) -> str:
    """One line of characters that can be shown and stored."""
    return "".join(each if each.isprintable() else "�" for each in " ".join(text.split()))


def _is_python(word: str) -> bool:
    return Path(word).name.startswith("python")


def _token(process: psutil.Process) -> str | None:
    return (_read(process.environ) or {}).get(children.TOKEN)


def _read(read: Callable[[], T]) -> T | None:
    """What the system tells of a process; None where it has gone or may not be looked at."""
    try:
        return read()
    except (psutil.Error, OSError):
        return None
