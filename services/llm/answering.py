"""An answer on its way, which any thread may end at any moment."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Generator, Iterator
from typing import Any

import httpx2

from services.core.errors import AppError
from services.llm.protocol import Event


class Line:
    """The connection of one request. Cutting it wakes up whoever waits for its next byte, which closing would not."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._cut = False

    def watch(self, request: httpx2.Request) -> None:
        """Learn of the connection that a request is going to make: an event hook of the HTTP client."""
        request.extensions["trace"] = self._traced

    def cut(self) -> None:
        """End the connection now, or as soon as there is one."""
        with self._lock:
            self._cut = True
            self._shut()

    def _traced(self, event: str, details: dict[str, Any]) -> None:
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            with self._lock:
                self._socket = details["return_value"].get_extra_info("socket")
                if self._cut:
                    self._shut()

    def _shut(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


class StreamedAnswer(Iterator[Event]):
    """The events of one answer. Closed, it ends without an error, whatever it was waiting for."""

    def __init__(self, line: Line, events: Generator[Event]) -> None:
        self._line = line
        self._events = events
        self._reading = threading.Lock()
        self._closed = False

    def __next__(self) -> Event:
        with self._reading:
            if self._closed:
                self._events.close()
                raise StopIteration
            try:
                return next(self._events)
            except AppError:
                if self._closed:
                    raise StopIteration from None
                raise

    def close(self) -> None:
        """End the request at the server. Returns at once; may be called from any thread, and again."""
        self._closed = True
        self._line.cut()
        if self._reading.acquire(blocking=False):
            try:
                self._events.close()
            finally:
                self._reading.release()
