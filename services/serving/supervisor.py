"""Makes true what was wished about this machine's servers. The worker ticks it; nobody else does."""

from __future__ import annotations

import logging
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import psutil

from services.core.clock import now_ms, ticks_ms
from services.core.errors import AppError, EngineExited, InvalidValue, PortTaken, Unexpected, from_row
from services.core.i18n import N_
from services.core.log import incident
from services.core.machine import Process
from services.core.paths import Layout
from services.serving import children, logs, readiness
from services.serving.engines.protocol import Engine, Place, command_text
from services.serving.engines.registry import ENGINES
from services.serving.launch import Exit, Launch
from services.serving.places import endpoint_of, folder_of
from services.serving.states import (
    FAILED,
    HOLDS_PORT,
    READY,
    REST,
    RUN,
    STARTING,
    STOPPED,
    STOPPING,
    UNREACHABLE,
    check_move,
)
from services.store.servers import ServerRecord, ServerRows

logger = logging.getLogger(__name__)

NO_PROCESS: dict[str, Any] = {"pid": None, "process_started_at": None, "launch_token": None, "url": None}
NO_ERROR: dict[str, Any] = {"error_code": None, "error_params": None}
SPT_NOENV = {"SPT_NOENV": "1"}
"""Keeps setproctitle, which vLLM uses, from overwriting the environment in which the launch token stands."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the supervisor waits, and for what."""

    grace_s: float = 10.0
    """From SIGTERM to SIGKILL."""
    readiness_s: float = 0.3
    """Between two looks at a starting server."""
    first_restart_s: float = 1.0
    longest_restart_s: float = 60.0
    quick_s: float = 60.0
    """A server that lived longer was not a failed start."""
    attempts: int = 5
    """Quick failures in a row after which it is left alone."""
    remote_s: float = 15.0
    """Between two looks at a server that is not ours."""


@dataclass(slots=True)
class Failures:
    """Quick failures in a row, and when the next start is due."""

    count: int = 0
    due_ms: float = 0.0


class Supervisor:
    """Brings the servers of one machine to where their rows wish them. Not thread-safe: one owner calls `tick`."""

    def __init__(
        self,
        rows: ServerRows,
        layout: Layout,
        *,
        machine_id: str,
        engines: Mapping[str, Engine] = ENGINES,
        patience: Patience = Patience(),
        clock: Callable[[], float] = ticks_ms,
    ) -> None:
        self._rows = rows
        self._layout = layout
        self._machine_id = machine_id
        self._engines = engines
        self._patience = patience
        self._clock = clock
        self._runners: list[subprocess.Popen[bytes]] = []
        self._failures: dict[str, Failures] = {}
        self._kill_due_ms: dict[str, float] = {}
        self._questions: readiness.Questions[bool] = readiness.Questions()
        self._steps: dict[tuple[str, str], Callable[[ServerRecord], None]] = {
            (STOPPED, RUN): self._start,
            (FAILED, RUN): self._start_again,
            (FAILED, REST): self._settle,
            (STARTING, RUN): self._await_ready,
            (READY, RUN): self._look_after,
            (STARTING, REST): self._begin_stop,
            (READY, REST): self._begin_stop,
            (STOPPING, RUN): self._go_on_stopping,
            (STOPPING, REST): self._go_on_stopping,
        }

    def tick(self) -> None:
        """Take each server one step further. Never waits for a server to answer."""
        self._runners = [runner for runner in self._runners if runner.poll() is None]
        for row in self._rows.list(self._machine_id):
            try:
                step = self._steps.get((row.state, row.wish)) if row.managed else self._watch
                if step:
                    step(row)
            except AppError as error:
                logger.warning("server %s: %s", row.name, error)
            except Exception as error:  # noqa: BLE001 - the other servers are looked after all the same
                incident(logger, error, f"server {row.name}")

    def close(self) -> None:
        """Let go; the servers go on."""
        self._questions.close()

    # Starting

    def _start(self, row: ServerRecord) -> None:
        port, token = self._port(row), secrets.token_hex(16)
        url = f"http://127.0.0.1:{port}/v1"
        started = self._move(row, STARTING, **{**NO_PROCESS, "port": port, "launch_token": token, "url": url})
        if not started:
            return
        try:
            process = self._launch(started)
        except AppError as error:
            self._fail(started, error)
        except Exception as error:  # noqa: BLE001 - whatever happens, the row must say so
            self._fail(started, Unexpected(incident=incident(logger, error, f"starting {row.name}")))
        else:
            if not self._rows.update(row.id, pid=process.pid, process_started_at=process.started_at):
                children.send(children.owned(process, token), signal.SIGKILL)  # removed at the same moment

    def _launch(self, row: ServerRecord) -> Process:
        engine = self._engines.get(row.engine)
        if engine is None:
            raise InvalidValue(field="engine", value=row.engine, reason=N_("there is no such engine"))
        folder = folder_of(self._layout, row)
        command = engine.launch(row.spec, Place(row.port or 0, folder, self._layout.engines))
        env = {**command.env, **SPT_NOENV, children.TOKEN: row.launch_token or ""}
        Launch(command.argv, self._patience.grace_s).write(folder)
        # -E: what PYTHON… variables say is meant for the engine, not for its runner.
        program = [sys.executable, "-E", "-m", "services.serving.runner", str(folder)]
        runner = children.spawn(program, env=env, new_session=True)
        self._runners.append(runner)
        logger.info("server %s: process %s runs %s", row.name, runner.pid, command_text(command))
        return children.identity(runner.pid) or Process(runner.pid, 0.0)

    def _port(self, row: ServerRecord) -> int:
        """The port of the last run where it is free, so that addresses which people have copied stay true."""
        others = [other for other in self._rows.list(self._machine_id) if other.id != row.id]
        taken = {other.port for other in others if other.port and other.state in HOLDS_PORT}
        if row.port and row.port not in taken and children.port_is_free(row.port):
            return row.port
        return children.free_port(taken)

    def _start_again(self, row: ServerRecord) -> None:
        if row.error_code is None:  # a new wish wipes the old error away
            self._failures.pop(row.id, None)
        if self._clock() >= self._failures.get(row.id, Failures()).due_ms:
            self._start(row)

    def _await_ready(self, row: ServerRecord) -> None:
        runner, token = self._runner(row), row.launch_token or ""
        if runner is None:
            self._note_end(row)
            return
        endpoint, port = endpoint_of(row), row.port or 0
        try:
            ready = self._questions.ask(
                token, lambda: readiness.is_ready(endpoint, port, runner, token), self._patience.readiness_s
            )
        except PortTaken as error:
            self._begin_stop(row, error)
            return
        if ready:
            self._questions.forget(token)
            self._move(row, READY, **NO_ERROR)

    # Running

    def _runner(self, row: ServerRecord) -> Process | None:
        """The living runner of a server, whoever has started it."""
        if row.pid is not None and row.process_started_at is not None:
            process = Process(row.pid, row.process_started_at)
            return process if process.alive else None
        # A worker that died between starting it and writing that down left only the token.
        runner = children.runner_of(row.launch_token) if row.launch_token else None
        if runner:
            self._rows.update(row.id, pid=runner.pid, process_started_at=runner.started_at)
        return runner

    def _look_after(self, row: ServerRecord) -> None:
        if self._runner(row) is None:
            self._note_end(row)

    def _note_end(self, row: ServerRecord) -> None:
        """The runner is gone: nothing of the server may be left, then it has failed."""
        left = children.owned(self._process(row), row.launch_token)
        if left:
            children.send(left, signal.SIGKILL)
            return
        folder = folder_of(self._layout, row)
        ending = Exit.read(folder)
        told = (ending.exit_code if ending.signal is None else ending.signal) if ending else "?"
        self._fail(row, EngineExited(name=row.name, exit_code=told, line=logs.last_meaningful(folder)))

    def _fail(self, row: ServerRecord, error: AppError) -> None:
        lived_s = now_ms() / 1000 - (row.process_started_at or now_ms() / 1000)
        before = self._failures.get(row.id, Failures()).count
        count = before + 1 if lived_s < self._patience.quick_s else 1
        wait_s = min(self._patience.first_restart_s * 2 ** (count - 1), self._patience.longest_restart_s)
        self._failures[row.id] = Failures(count, self._clock() + wait_s * 1000)
        gave_up = {"wish": REST} if count >= self._patience.attempts else {}
        logger.warning("server %s: failed %s times in a row: %s", row.name, count, error)
        self._questions.forget(row.launch_token or "")
        self._move(row, FAILED, **NO_PROCESS, error_code=error.code, error_params=error.params, **gave_up)

    # Stopping

    def _begin_stop(self, row: ServerRecord, error: AppError | None = None) -> None:
        told = {"error_code": error.code, "error_params": error.params} if error else NO_ERROR
        stopping = self._move(row, STOPPING, **told)
        self._questions.forget(row.launch_token or "")
        if stopping:
            self._go_on_stopping(stopping)

    def _go_on_stopping(self, row: ServerRecord) -> None:
        left = children.owned(self._runner(row) or self._process(row), row.launch_token)
        if left:
            self._end(row, left)
            return
        self._kill_due_ms.pop(row.id, None)
        holder = readiness.listener(row.port or 0)
        if row.error_code:
            self._fail(row, from_row(row.error_code, row.error_params))
        elif holder:
            self._fail(row, readiness.port_taken(row.name, row.port or 0, holder))
        else:
            self._move(row, STOPPED, **NO_PROCESS)

    def _end(self, row: ServerRecord, left: list[psutil.Process]) -> None:
        """Ask the runner once, which ends the engine and then itself; kill what is left when its time is over."""
        due_ms = self._kill_due_ms.get(row.id)
        if due_ms is None:
            # Twice the grace: the runner kills the engine after the first, and then writes how it ended.
            self._kill_due_ms[row.id] = self._clock() + 2000 * self._patience.grace_s
            runner = [process for process in left if process.pid == row.pid]
            children.send(runner or left, signal.SIGTERM)
        elif self._clock() > due_ms:
            logger.warning("server %s: killing what did not end: %s", row.name, [process.pid for process in left])
            children.send(left, signal.SIGKILL)

    def _settle(self, row: ServerRecord) -> None:
        if row.error_code is None:  # somebody asked for rest; a server that was given up keeps its error in view
            self._move(row, STOPPED)

    # Servers that are not ours

    def _watch(self, row: ServerRecord) -> None:
        endpoint = endpoint_of(row)
        try:
            answers = self._questions.ask(row.id, lambda: readiness.answers(endpoint), self._patience.remote_s)
        except AppError as error:
            told = {"error_code": error.code, "error_params": error.params}
            if row.state != UNREACHABLE:
                self._move(row, UNREACHABLE, **told)
            elif told != {"error_code": row.error_code, "error_params": row.error_params}:
                self._rows.update(row.id, **told)
            return
        if answers and row.state != READY:
            self._move(row, READY, **NO_ERROR)

    def _move(self, row: ServerRecord, wanted: str, **changes: Any) -> ServerRecord | None:
        """Write a new state; None where the row is gone. Raises: IllegalTransition."""
        check_move(row.name, row.state, wanted)
        logger.info("server %s: %s -> %s", row.name, row.state, wanted)
        if wanted == STOPPED:
            self._failures.pop(row.id, None)
        return self._rows.update(row.id, state=wanted, **changes)

    @staticmethod
    def _process(row: ServerRecord) -> Process | None:
        known = row.pid is not None and row.process_started_at is not None
        return Process(row.pid or 0, row.process_started_at or 0.0) if known else None
