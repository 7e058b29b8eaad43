"""`lectern up`, `down` and `worker`: the life of the processes on this machine."""

from __future__ import annotations

import signal
import time
from typing import Annotated

import psutil
import typer
from filelock import FileLock, Timeout

from services import health
from services.cli.output import failing_well, speaker
from services.cli.parent import Parent, parent_process
from services.core import log
from services.core.clock import ticks_ms
from services.core.errors import AppError
from services.core.i18n import N_
from services.core.machine import Process
from services.core.settings import Settings, under_ssh
from services.core.stopping import Stopping

ANSWER_S = 90.0
STOP_S = 30.0


def up(
    port: Annotated[int | None, typer.Option(help="first port that is tried for the pages")] = None,
    embedded: Annotated[bool, typer.Option(help="fetch and run the embedded chat model")] = True,
) -> None:
    """Start what is missing and stay in the foreground; Ctrl-C ends it."""
    with failing_well():
        settings = speaker.settings(port=port, embedded=embedded if not embedded else None)
        settings.layout.create()
        lock = FileLock(settings.layout.run / "up.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            _already_up(settings)
            return
        with lock:
            log.configure(settings.layout.logs, "up")
            _stay_up(settings)


def _stay_up(settings: Settings) -> None:
    stopping = Stopping()
    stopping.listen(signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    parent = Parent(settings)
    parent.run(stopping, ready=lambda: _say_up(settings))
    speaker.line(N_("Ending …"))
    _stop_servers(everything=False)
    parent.stop()


def _already_up(settings: Settings) -> None:
    deadline = ticks_ms() + ANSWER_S * 1000
    while not (web := health.web_status(settings)).running and ticks_ms() < deadline:
        time.sleep(0.3)
    row = {"url": web.url, "already_running": True}
    speaker.emit(row, lambda: speaker.line(N_("Lectern is already running: {url}"), url=web.url))


def _say_up(settings: Settings) -> None:
    web = health.web_status(settings)

    def text() -> None:
        speaker.line(N_("Lectern is running: {url}"), url=web.url)
        shell = under_ssh()
        if shell and web.url:
            number = web.url.rsplit(":", 1)[1]
            speaker.line(N_("On your own computer, open a tunnel to it and then the same address:"))
            typer.echo(f"    ssh -L {number}:127.0.0.1:{number} {shell[0]}@{shell[1]}")
        speaker.line(N_("Ctrl-C ends it."))

    speaker.emit({"url": web.url, "already_running": False}, text)


def down(
    everything: Annotated[
        bool, typer.Option("--all", help="end every managed server, not only the embedded one")
    ] = False,
) -> None:
    """End the pages, the worker and the embedded server."""
    with failing_well():
        settings = speaker.settings()
        settings.layout.create()
        _stop_servers(everything=everything)
        ended = [name for name, process in _processes(settings) if _end(process)]
        speaker.emit({"ended": ended}, lambda: speaker.line(N_("Ended: {names}"), names=", ".join(ended) or "–"))


def _stop_servers(*, everything: bool) -> None:
    """Wish managed servers away and wait until the worker has ended them; without a worker, end nothing half."""
    services = speaker.services()
    if not health.worker_status(services).running:
        return
    wanted = [
        record.id for record in services.servers.list() if record.managed and (everything or record.name == "embedded")
    ]
    for reference in wanted:
        try:
            services.servers.stop(reference)
        except AppError as error:
            typer.echo(error.render(speaker.language).message, err=True)
    deadline = ticks_ms() + STOP_S * 1000
    while ticks_ms() < deadline:
        if all(services.servers.show(reference).state in ("stopped", "failed") for reference in wanted):
            return
        time.sleep(0.2)


def _processes(settings: Settings) -> list[tuple[str, Process]]:
    """What runs, the parent first: it ends its children itself."""
    services = speaker.services()
    row, web = services.store.workers.of(services.machine_id), health.web_status(settings)
    found = [("up", parent_process(settings))]
    if row:
        found.append(("worker", Process(row.pid, row.process_started_at)))
    if web.process:
        found.append(("web", web.process))
    return [(name, process) for name, process in found if process]


def _end(process: Process) -> bool:
    if not process.alive:
        return False
    running = psutil.Process(process.pid)
    running.terminate()
    try:
        running.wait(STOP_S)
    except psutil.TimeoutExpired:
        running.kill()
    return True
