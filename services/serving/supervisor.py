"""Makes true what was wished about this machine's servers. The worker ticks it; nobody else does."""

from __future__ import annotations

import logging
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

from services.core.clock import now_ms
from services.core.errors import (
    AppError,
    EngineExited,
    InvalidValue,
    NameTaken,
    PortTaken,
    TrialFailed,
    Unexpected,
    from_row,
)
from services.core.i18n import N_
from services.core.log import incident
from services.core.machine import Process
from services.core.paths import Layout
from services.gpu.readings import Snapshot
from services.serving import children, gpu_turns, logs, readiness, trial
from services.serving.engines.protocol import Engine, Place, command_text
from services.serving.engines.registry import ENGINES
from services.serving.failures import diagnosed
from services.serving.launch import Exit, Launch
from services.serving.notes import TURN, UNLOADED, note
from services.serving.patience import USUAL, Backoff, Patience
from services.serving.places import endpoint_of, folder_of
from services.serving.states import (
    AGAIN,
    COMING,
    DEMAND,
    FAILED,
    READY,
    REST,
    RUN,
    STARTING,
    STOPPED,
    STOPPING,
    UNREACHABLE,
    WAITING,
    check_move,
)
from services.serving.stopping import Endings
from services.store.servers import ServerRecord, ServerRows

__all__ = ["Patience", "Supervisor"]

logger = logging.getLogger(__name__)

NO_PROCESS: dict[str, Any] = {"pid": None, "process_started_at": None, "launch_token": None, "url": None}
NO_ERROR: dict[str, Any] = {"error_code": None, "error_params": None, "diagnosis": None}
SPT_NOENV = {"SPT_NOENV": "1"}
"""Keeps setproctitle, which vLLM uses, from overwriting the environment in which the launch token stands."""
PORT_TRIES = 20
Step = Callable[[ServerRecord], None]


def _unseen() -> Snapshot | None:
    return None


def _unplanned(_: ServerRecord) -> None:
    return None


class Supervisor:
    """Brings the servers of one machine to where their rows wish them. Not thread-safe: one owner calls `tick`."""

    def __init__(
        self,
        rows: ServerRows,
        layout: Layout,
        *,
        machine_id: str,
        engines: Mapping[str, Engine] = ENGINES,
        patience: Patience = USUAL,
        snapshot: Callable[[], Snapshot | None] = _unseen,
        reserve: Callable[[ServerRecord], None] = _unplanned,
    ) -> None:
        """
        Args:
            snapshot: the newest look at the GPUs.
            reserve: notes what a launch is planned to take of them; called before its process is started.
        """
        self._rows = rows
        self._layout = layout
        self._machine_id = machine_id
        self._engines = engines
        self._patience = patience
        self._snapshot = snapshot
        self._reserve = reserve
        self._runners: list[subprocess.Popen[bytes]] = []
        self._backoff = Backoff(patience)
        self._endings = Endings(patience, snapshot)
        self._questions: readiness.Questions[bool] = readiness.Questions()
        self._steps: dict[str, tuple[Step | None, Step | None]] = {
            # towards running, towards rest
            STOPPED: (self._start, None),
            WAITING: (self._start, self._settle),
            FAILED: (self._start_again, self._settle),
            STARTING: (self._await_ready, self._begin_stop),
            READY: (self._look_after, self._begin_stop),
            STOPPING: (self._go_on_stopping, self._go_on_stopping),
        }

    def tick(self) -> None:
        """Take each server one step further. Never waits for a server to answer."""
        self._runners = [runner for runner in self._runners if runner.poll() is None]
        for row in self._rows.list(self._machine_id):
            try:
                step = self._step(row) if row.managed else self._watch
                if step:
                    step(row)
            except AppError as error:
                logger.warning("server %s: %s", row.name, error)
            except Exception as error:  # noqa: BLE001 - the other servers are looked after all the same
                incident(logger, error, f"server {row.name}")

    def close(self) -> None:
        """Let go; the servers go on."""
        self._questions.close()

    def _step(self, row: ServerRecord) -> Step | None:
        forward, back = self._steps.get(row.state, (None, None))
        if row.wish == AGAIN and row.state in (STARTING, READY):
            return back
        return forward if row.wish in COMING else back

    # Starting

    def _start(self, row: ServerRecord) -> None:
        others = self._rows.list(self._machine_id)
        first = gpu_turns.ahead(row, others, self._snapshot())
        if first:
            self._wait(row, first)
            return
        token = secrets.token_hex(16)
        started = self._begin(row, others, token)
        if not started:
            return
        try:
            self._plan(started)
            process = self._launch(started)
        except AppError as error:
            self._fail(started, error)
        except Exception as error:  # noqa: BLE001 - whatever happens, the row must say so
            self._fail(started, Unexpected(incident=incident(logger, error, f"starting {row.name}")))
        else:
            if not self._rows.update(row.id, pid=process.pid, process_started_at=process.started_at):
                children.send(children.owned(process, token), signal.SIGKILL)  # removed at the same moment

    def _plan(self, row: ServerRecord) -> None:
        try:
            self._reserve(row)
        except Exception as error:  # noqa: BLE001 - a start without a plan is a start
            incident(logger, error, f"planning the memory of {row.name}")

    def _wait(self, row: ServerRecord, first: ServerRecord) -> None:
        said = note(TURN, name=first.name)
        if row.state != WAITING:
            self._move(row, WAITING, note=said)
        elif row.note != said:
            self._rows.move(row, note=said)

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
        if command.kept_spec is not None:
            self._rows.update(row.id, spec=dict(command.kept_spec))
        logger.info("server %s: process %s runs %s", row.name, runner.pid, command_text(command))
        return children.identity(runner.pid) or Process(runner.pid, 0.0)

    def _begin(self, row: ServerRecord, others: list[ServerRecord], token: str) -> ServerRecord | None:
        """The row in its new run, on a port of its own; None where the row has changed meanwhile.

        It is the port of the last run where it is free, so that addresses which people have copied stay true. Every
        server's port stays its own, also while it rests: the database holds no port twice. Port and run are written in
        one step: a port alone could land in the run that somebody else has begun meanwhile.
        """
        wished = {"wish": RUN} if row.wish == AGAIN else {}
        taken = {other.port for other in others if other.port}
        kept = row.port if row.port and children.port_is_free(row.port) else None
        for _ in range(PORT_TRIES):
            port = kept or children.free_port(taken)
            run = {**NO_PROCESS, "port": port, "launch_token": token, "url": f"http://127.0.0.1:{port}/v1"}
            try:
                return self._move(row, STARTING, **run, **wished, note=None)
            except NameTaken:  # another server has got it meanwhile
                kept, taken = None, {*taken, port}
        raise InvalidValue(field="port", value="?", reason=N_("no free port was found"))

    def _start_again(self, row: ServerRecord) -> None:
        if row.error_code is None:  # a new wish wipes the old error away
            self._backoff.forget(row.id)
        if self._backoff.due(row.id):
            self._start(row)

    def _await_ready(self, row: ServerRecord) -> None:
        runner, token = self._runner(row), row.launch_token or ""
        if runner is None:
            self._note_end(row)
            return
        endpoint, port = endpoint_of(row), row.port or 0

        def up() -> bool:
            ready = readiness.is_ready(endpoint, port, runner, token)
            return ready and trial.passes(endpoint, self._patience.trial_s, lambda: runner.alive)

        try:
            ready = self._questions.ask(token, up, self._patience.readiness_s)
        except (PortTaken, TrialFailed) as error:
            self._begin_stop(row, error)
            return
        if ready:
            self._questions.forget(token)
            self._move(row, READY, **NO_ERROR, used_at_ms=now_ms())

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
        elif self._idle(row):
            said = note(UNLOADED, minutes=row.spec["idle_minutes"])
            self._begin_stop(row, wish=DEMAND, note=said)

    def _idle(self, row: ServerRecord) -> bool:
        minutes = row.spec.get("idle_minutes") or 0
        unused_ms = now_ms() - (row.used_at_ms or row.updated_at_ms)
        if not minutes or unused_ms <= minutes * 60_000:
            return False
        if self._rows.answering(row.name):  # its time begins when the answer has ended
            self._rows.note_use(row)
            return False
        return True

    def _note_end(self, row: ServerRecord) -> None:
        """The runner is gone: nothing of the server may be left, then it has failed."""
        left = children.owned(self._process(row), row.launch_token)
        if left:
            children.send(left, signal.SIGKILL)
            return
        folder = folder_of(self._layout, row)
        ending = Exit.read(folder)
        told = (ending.exit_code if ending.signal is None else ending.signal) if ending else "?"
        self._fail(row, EngineExited(name=row.name, exit_code=told, line=logs.last_meaningful(folder)), ending)

    def _fail(self, row: ServerRecord, error: AppError, ending: Exit | None = None) -> None:
        count = self._backoff.note(row.id, row.process_started_at)
        logger.warning("server %s: failed %s times in a row: %s", row.name, count, error)
        self._questions.forget(row.launch_token or "")
        self._endings.forget(row)
        stays = row.spec.get("restart") is False and not isinstance(error, PortTaken)
        gave_up = {"wish": REST} if row.wish == RUN and (stays or count >= self._patience.attempts) else {}
        told = {"error_code": error.code, "error_params": error.params, "diagnosis": self._causes(row, error, ending)}
        self._move(row, FAILED, **NO_PROCESS, **told, **gave_up, note=None)

    def _causes(self, row: ServerRecord, error: AppError, ending: Exit | None) -> list[dict[str, Any]] | None:
        """What the log tells of a run that failed by itself."""
        engine = self._engines.get(row.engine)
        if engine is None or not isinstance(error, EngineExited | TrialFailed):
            return None
        causes = diagnosed(row, engine, folder_of(self._layout, row), ending, self._snapshot())
        return [cause.row() for cause in causes] or None

    # Stopping

    def _begin_stop(self, row: ServerRecord, error: AppError | None = None, **changes: Any) -> None:
        told = {"error_code": error.code, "error_params": error.params} if error else NO_ERROR
        self._endings.begin(row)
        stopping = self._move(row, STOPPING, **told, **changes)
        self._questions.forget(row.launch_token or "")
        if stopping:
            self._go_on_stopping(stopping)

    def _go_on_stopping(self, row: ServerRecord) -> None:
        left = children.owned(self._runner(row) or self._process(row), row.launch_token)
        if left:
            self._endings.press(row, left)
            return
        holder = readiness.listener(row.port or 0)
        try:
            if not self._endings.memory_is_back(row):
                return
            if holder and not row.error_code:
                raise readiness.port_taken(row.name, row.port or 0, holder)
        except AppError as error:
            self._fail(row, from_row(row.error_code, row.error_params) if row.error_code else error)
            return
        if row.error_code:
            self._fail(row, from_row(row.error_code, row.error_params))
        else:
            self._endings.forget(row)
            self._move(row, STOPPED, **NO_PROCESS)

    def _settle(self, row: ServerRecord) -> None:
        if row.error_code is None:  # somebody asked for rest; a server that was given up keeps its error in view
            self._move(row, STOPPED, note=None)

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
        """Write a new state; None where the row has changed meanwhile or is gone. Raises: IllegalTransition."""
        check_move(row.name, row.state, wanted)
        logger.info("server %s: %s -> %s", row.name, row.state, wanted)
        if wanted == STOPPED:
            self._backoff.forget(row.id)
        return self._rows.move(row, state=wanted, **changes)

    @staticmethod
    def _process(row: ServerRecord) -> Process | None:
        known = row.pid is not None and row.process_started_at is not None
        return Process(row.pid or 0, row.process_started_at or 0.0) if known else None
