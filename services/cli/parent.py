"""The parent of worker and web: starts both, restarts either when it dies, adopts what still runs from before."""

from __future__ import annotations

import json
import logging
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

import services
from services import health
from services.core.errors import PortInUse
from services.core.machine import Process, machine_id, this_process
from services.core.settings import Settings
from services.core.stopping import Stopping
from services.serving.duty import Duty
from services.store import StateStore

logger = logging.getLogger(__name__)

TICK_S = 0.5
PORTS_TRIED = 50
ROOT = Path(services.__file__).resolve().parent.parent


class Parent:
    """Keeps the two processes of this machine alive. Not thread-safe."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._run = settings.layout.run
        self._store = StateStore(settings.state_url)
        web = health.web_status(settings)
        self._port = int(web.url.rsplit(":", 1)[1]) if web.url else free_port(settings.host, settings.port)
        # What `up` was told counts for both: pages do not wait for a model that no worker fetches.
        environment = {"LECTERN_HOME": str(settings.home), "LECTERN_EMBEDDED": str(settings.embedded).lower()}
        self._worker = Duty(
            "worker",
            lambda: [sys.executable, "-m", "services", "worker"],
            settings.layout.logs / "worker.out",
            adopt=self._living_worker,
            environment=environment,
        )
        self._web = Duty(
            "web",
            self._web_command,
            settings.layout.logs / "web.out",
            adopt=lambda: health.web_status(settings).process,
            environment=environment,
        )

    @property
    def url(self) -> str:
        """Where the pages are."""
        return f"http://{self._settings.host}:{self._port}"

    def run(self, stopping: Stopping, ready: Callable[[], None]) -> None:
        """Keep both alive until told to stop; `ready` is called once, when the pages answer."""
        _write(self._run / "up.json", _row(this_process()))
        said = False
        while not stopping.is_set():
            self._worker.tick()
            if self._web.tick() and self._web.process:
                _write(self._run / "web.json", {**_row(self._web.process), "url": self.url})
            if not said and self._answers():
                said = True
                ready()
            stopping.wait(TICK_S)

    def stop(self) -> None:
        """End both."""
        self._web.stop()
        self._worker.stop()
        self._store.close()
        for name in ("web.json", "up.json"):
            (self._run / name).unlink(missing_ok=True)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz", timeout=2, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def _living_worker(self) -> Process | None:
        row = self._store.workers.of(machine_id(self._settings.home))
        process = Process(row.pid, row.process_started_at) if row else None
        return process if process and process.alive else None

    def _web_command(self) -> list[str]:
        options = {"server.port": self._port, "server.address": self._settings.host, "server.headless": "true"}
        return [
            sys.executable,
            "-m",
            "streamlit",
            "run",
            str(ROOT / "web.py"),
            *(f"--{name}={value}" for name, value in options.items()),
        ]


def parent_process(settings: Settings) -> Process | None:
    """The living `up`, if there is one."""
    path = settings.layout.run / "up.json"
    if not path.exists():
        return None
    row = json.loads(path.read_text("utf-8"))
    process = Process(row["pid"], row["started_at"])
    return process if process.alive else None


def free_port(host: str, first: int) -> int:
    """The first port from `first` on that nobody listens on. Raises: PortInUse."""
    for port in range(first, min(first + PORTS_TRIED, 65536)):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise PortInUse(port=first, host=host)


def _row(process: Process) -> dict[str, Any]:
    return {"pid": process.pid, "started_at": process.started_at}


def _write(path: Path, row: dict[str, Any]) -> None:
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(row), "utf-8")
    draft.replace(path)
