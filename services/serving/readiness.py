"""Whether a server answers: its own API is asked, and the port must belong to it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

import httpx2
import psutil

from services.core.clock import ticks_ms
from services.core.errors import PortTaken, UnavailableError, UpstreamError
from services.core.machine import Process
from services.llm.addresses import root_url
from services.llm.client import OpenAIChatModel
from services.llm.ollama import KEY as OLLAMA
from services.llm.protocol import Endpoint
from services.serving import children

TIMEOUT_S = 2.0
REMOTE_TIMEOUT_S = 4.0
LOOK_AGAIN_S = 1.0
A = TypeVar("A")


def is_ready(endpoint: Endpoint, port: int, runner: Process, token: str) -> bool:
    """Whether the server of this runner answers on its port; False while it is still starting.

    Raises: PortTaken, naming the program, where somebody else listens there.
    """
    if not _somebody_listens(port):
        return False
    if not _listen(children.owned(runner, token), port):
        stranger = _stranger(port, runner, token)
        if stranger is None:
            return False
        raise port_taken(endpoint.name, port, stranger)
    # Ollama is there before any model is: that is how one can be pulled.
    return _healthy(endpoint) and (endpoint.engine == OLLAMA or _lists_models(endpoint))


def answers(endpoint: Endpoint) -> bool:
    """Whether a server that is not ours lists its models. Raises: as `ChatModel.models`."""
    OpenAIChatModel(endpoint, timeout_s=REMOTE_TIMEOUT_S).models()
    return True


@dataclass(frozen=True, slots=True)
class Listener:
    """Who listens on a port; what the system does not tell is None or "?"."""

    pid: int | None
    name: str


def listener(port: int) -> Listener | None:
    """Who listens on a port of this machine; None where nobody does."""
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        return Listener(None, "?") if _somebody_listens(port) else None
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
            return Listener(connection.pid, _name(connection.pid))
    return None


def port_taken(server: str, port: int, holder: Listener) -> PortTaken:
    """The error that names who holds a server's port."""
    return PortTaken(name=server, port=port, program=holder.name, pid=holder.pid or "?")


class Questions(Generic[A]):
    """Slow questions, asked beside the loop that wants their answers. One owner calls it."""

    def __init__(self, threads: int = 4) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="probe")
        self._asked: dict[str, Future[A]] = {}
        self._due_ms: dict[str, float] = {}

    def ask(self, key: str, question: Callable[[], A], pause_s: float) -> A | None:
        """The answer to the question asked earlier under this key, once; None while there is none.

        Args:
            pause_s: the next question under this key is asked so long after an answer.

        Raises: what the question has raised.
        """
        asked = self._asked.get(key)
        if asked is None:
            if ticks_ms() >= self._due_ms.get(key, 0.0):
                self._asked[key] = self._threads.submit(question)
            return None
        if not asked.done():
            return None
        del self._asked[key]
        self._due_ms[key] = ticks_ms() + pause_s * 1000
        return asked.result()

    def forget(self, key: str) -> None:
        """Nobody wants this answer any more."""
        self._asked.pop(key, None)
        self._due_ms.pop(key, None)

    def close(self) -> None:
        """End the threads; each question ends by its own time limit."""
        self._threads.shutdown(wait=True, cancel_futures=True)


def _stranger(port: int, runner: Process, token: str) -> Listener | None:
    """Who listens there and is none of the server's processes; None where nobody does.

    Somebody without a pid is looked at twice: the socket of a server that is just ending has no owner for a moment.
    """
    seen = None
    for pause_s in (LOOK_AGAIN_S, 0):
        seen = listener(port)
        if seen is None or _listen(children.owned(runner, token), port):
            return None
        if seen.pid:
            return seen
        time.sleep(pause_s)
    return seen


def _somebody_listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(TIMEOUT_S)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _listen(processes: list[psutil.Process], port: int) -> bool:
    return any(_listens(process, port) for process in processes)


def _listens(process: psutil.Process, port: int) -> bool:
    try:
        connections = process.net_connections("tcp")
    except psutil.Error:
        return False
    return any(each.status == psutil.CONN_LISTEN and each.laddr[1:] == (port,) for each in connections)


def _name(pid: int | None) -> str:
    try:
        return psutil.Process(pid).name() if pid else "?"
    except psutil.Error:
        return "?"


def _healthy(endpoint: Endpoint) -> bool:
    """Whether /health says so; a server without that address may be ready all the same."""
    try:
        reply = httpx2.get(root_url(endpoint.url) + "/health", timeout=TIMEOUT_S, trust_env=False)
    except httpx2.HTTPError:
        return False
    return reply.status_code in (200, 404)


def _lists_models(endpoint: Endpoint) -> bool:
    try:
        return bool(OpenAIChatModel(endpoint, timeout_s=TIMEOUT_S).models())
    except (UnavailableError, UpstreamError):
        return False
