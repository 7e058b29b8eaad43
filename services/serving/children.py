"""Child processes: started, known by pid and start time, found again, ended."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import psutil

from services.core.machine import Process

TOKEN = "LECTERN_LAUNCH_TOKEN"  # noqa: S105 - the name of a variable
"""Every process of a server has this variable in its environment."""
ROOT = Path(__file__).resolve().parents[2]
"""The folder that `python -m services…` is run in."""


def spawn(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    output: int | None = None,
    new_session: bool = False,
) -> subprocess.Popen[bytes]:
    """Start a process without standard input.

    Args:
        env: added to the environment of this process.
        output: file descriptor that takes stdout and stderr; None: they are thrown away.
        new_session: make it leader of a session of its own, which outlives this process and has no terminal.

    Raises: OSError where the program is missing or cannot be run.
    """
    whole = None
    if env:
        from services.core.settings import inherited_environment  # 24 MB that a runner does without

        whole = inherited_environment(env)
    sink = subprocess.DEVNULL if output is None else output
    return subprocess.Popen(
        list(argv),
        stdin=subprocess.DEVNULL,
        stdout=sink,
        stderr=sink,
        env=whole,
        cwd=ROOT,
        start_new_session=new_session,
    )


def identity(pid: int) -> Process | None:
    """The process that has this pid now; None where there is none."""
    try:
        return Process(pid, psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return None


def alive(pid: int | None, started_at: float | None) -> bool:
    """Whether exactly the process with this pid and start time runs."""
    return pid is not None and started_at is not None and Process(pid, started_at).alive


def owned(leader: Process | None, token: str | None) -> list[psutil.Process]:
    """Every living process of a server: its runner, the runner's descendants and session, who carries the token.

    Cost: reads the environment of every process of this user, some milliseconds for each hundred.
    """
    led = leader is not None and leader.alive
    found = {process.pid: process for process in _family(leader)} if leader and led else {}
    for process in psutil.process_iter():
        if process.pid not in found and _belongs(process, leader.pid if leader and led else None, token):
            found[process.pid] = process
    return [process for process in found.values() if _lives(process)]


def runner_of(token: str) -> Process | None:
    """The session leader among the processes that carry a token."""
    leaders = (process for process in owned(None, token) if _session(process.pid) == process.pid)
    return next((Process(process.pid, process.create_time()) for process in leaders), None)


def send(processes: Iterable[psutil.Process], number: int) -> None:
    """Send a signal to processes; those that have ended meanwhile are passed over."""
    for process in processes:
        try:
            process.send_signal(number)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue


def port_is_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port(taken: Iterable[int]) -> int:
    """A free port of the loopback address that is not among `taken`."""
    reserved = set(taken)
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port not in reserved:
            return port


def _family(leader: Process) -> list[psutil.Process]:
    try:
        process = psutil.Process(leader.pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _belongs(process: psutil.Process, session: int | None, token: str | None) -> bool:
    if session is not None and _session(process.pid) == session:
        return True
    try:
        return token is not None and process.environ().get(TOKEN) == token
    except (psutil.Error, OSError):
        return False


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
