"""An embedder in child processes: native code that crashes or bloats takes nobody with it.

Encoding and counting tokens have a child each, so that counting never waits for a batch. Requests and answers are JSON
and plain float32 bytes. Children are spawned, never forked: the parent runs threads and OpenMP.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

import numpy as np

from services.core.clock import ticks_ms
from services.core.errors import AppError, EncoderCrashed, from_row
from services.knowledge.embedders.protocol import Embedder, EncoderClosed, Vectors
from services.knowledge.embedders.registry import make_embedder

ATTEMPTS = 3
NICENESS = 5
LEAVE_S = 2.0
REST_AFTER_MS = 120_000
"""A child that encodes holds half a gigabyte."""

_context = multiprocessing.get_context("spawn")


class EncoderProcess:
    """Runs an embedder in child processes that start at first use. Thread-safe; one per process is enough.

    A child that dies is replaced and asked again. Raises: EncoderCrashed when three in a row die of the same request.
    """

    def __init__(
        self, make: Callable[[], Embedder] = make_embedder, make_encoder: Callable[[], Embedder] | None = None
    ) -> None:
        """Both must be importable by name.

        Args:
            make: the embedder that counts tokens; it is called here only for the spec.
            make_encoder: the embedder that encodes, where that is another engine with the same vectors.
        """
        self.spec = make().spec
        self._encoder = _Lane(make_encoder or make)
        self._counter = _Lane(make)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Vectors of questions. Raises: EncoderCrashed, PackageMissing."""
        return self._encode("encode_queries", texts)

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        """Vectors of passages. Raises: EncoderCrashed, PackageMissing."""
        return self._encode("encode_passages", texts)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of passages before any cut. Raises: EncoderCrashed, PackageMissing."""
        return [int(count) for count in np.frombuffer(self._counter.ask("count_tokens", list(texts)), np.int64)]

    def _encode(self, call: str, texts: Sequence[str]) -> Vectors:
        raw = self._encoder.ask(call, list(texts))
        return np.frombuffer(raw, np.float32).reshape(len(texts), self.spec.dimensions).copy()

    def rest(self) -> None:
        """End children that nobody has asked for a while: the next request starts them again."""
        self._encoder.rest()
        self._counter.rest()

    def close(self) -> None:
        """End the children; what is under way in other threads ends with `EncoderClosed`."""
        self._encoder.close()
        self._counter.close()


class _ChildDied(Exception): ...


class _Lane:
    """One child and the requests to it, one at a time."""

    def __init__(self, make: Callable[[], Embedder]) -> None:
        self._make = make
        self._asking = threading.Lock()
        self._changing = threading.Lock()
        self._child: _Child | None = None
        self._closed = False
        self._asked_ms = 0.0

    def ask(self, call: str, argument: Any) -> bytes:
        with self._asking:
            for _ in range(ATTEMPTS):
                child = self._started()
                try:
                    answer = child.ask(call, argument)
                    self._asked_ms = ticks_ms()
                    return answer
                except _ChildDied:
                    self._discard(child)
        raise EncoderCrashed(attempts=ATTEMPTS)

    def rest(self) -> None:
        if ticks_ms() - self._asked_ms < REST_AFTER_MS or not self._asking.acquire(blocking=False):
            return
        try:
            if self._child is not None:
                self._discard(self._child)
        finally:
            self._asking.release()

    def close(self) -> None:
        with self._changing:
            self._closed = True
            child, self._child = self._child, None
        if child:
            child.end()

    def _started(self) -> _Child:
        with self._changing:
            if self._closed:
                raise EncoderClosed
            if self._child is None:
                self._child = _Child(self._make)
            return self._child

    def _discard(self, child: _Child) -> None:
        with self._changing:
            if self._child is child:
                self._child = None
        child.end()


class _Child:
    def __init__(self, make: Callable[[], Embedder]) -> None:
        self._ours, theirs = _context.Pipe()
        self._process = _context.Process(target=_serve, args=(make, theirs), name="lectern-encoder", daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, call: str, argument: Any) -> bytes:
        try:
            self._ours.send_bytes(json.dumps([call, argument]).encode())
            outcome = json.loads(self._receive())
            if "error" in outcome:
                raise from_row(*outcome["error"])
            if "bug" in outcome:
                raise RuntimeError(outcome["bug"])
            return self._receive()
        except (OSError, EOFError) as error:
            raise _ChildDied from error

    def _receive(self) -> bytes:
        ready = wait([self._ours, self._process.sentinel])
        if self._ours not in ready:
            raise EOFError
        return self._ours.recv_bytes()

    def end(self) -> None:
        """Leave the connection open for whoever is waiting on it: the death of the process wakes them."""
        self._process.kill()
        self._process.join(LEAVE_S)


def _serve(make: Callable[[], Embedder], connection: Connection) -> None:
    """The child: answer until the parent has gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends its children
    os.nice(NICENESS)
    embedder = make()
    while True:
        try:
            call, argument = json.loads(connection.recv_bytes())
            outcome, payload = _outcome(embedder, call, argument)
            connection.send_bytes(json.dumps(outcome).encode())
            if payload is not None:
                connection.send_bytes(payload)
        except (EOFError, OSError):
            return


def _outcome(embedder: Embedder, call: str, argument: Any) -> tuple[dict[str, Any], bytes | None]:
    try:
        if call == "count_tokens":
            return {}, np.array(embedder.count_tokens(argument), np.int64).tobytes()
        encode = embedder.encode_queries if call == "encode_queries" else embedder.encode_passages
        return {}, np.ascontiguousarray(encode(argument), np.float32).tobytes()
    except AppError as error:
        return {"error": [error.code, error.params]}, None
    except Exception:  # noqa: BLE001 - the parent raises it again where it can be logged
        return {"bug": traceback.format_exc()}, None
