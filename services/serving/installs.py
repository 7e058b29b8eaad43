"""Installing engines as wishes: written down by pages, made true by the worker, whatever dies in between."""

from __future__ import annotations

import builtins
from dataclasses import dataclass

from services.core.errors import AppError, from_row
from services.serving.environments import Environment, Environments
from services.store.jobs import CANCELLED, DONE, FAILED, WISHED, WORKING, JobRecord, JobRows

KIND = "install_engine"
ABSENT = "not_installed"
STATES = {WISHED: "queued", WORKING: "installing", FAILED: "failed"}


@dataclass(frozen=True, slots=True)
class Install:
    """An engine's environment, and how far its installing is."""

    environment: Environment
    state: str
    """ready, outdated, unfinished, not_installed, queued, installing or failed."""
    done: int = 0
    total: int | None = None
    package: str = ""
    """The one under way; empty once all were looked up and are being installed."""
    error: AppError | None = None

    @property
    def active(self) -> bool:
        """Whether it is on its way."""
        return self.state in ("queued", "installing")


class Installs:
    """The installing of engines on this machine. Thread-safe."""

    def __init__(self, rows: JobRows, environments: Environments, machine_id: str) -> None:
        self.rows = rows
        self.environments = environments
        self.machine_id = machine_id

    def list(self) -> builtins.list[Install]:
        """Every engine that has an environment of its own, by name."""
        return [self._of(environment) for environment in self.environments.all()]

    def show(self, name: str) -> Install:
        """One of them. Raises: InvalidValue where there is no such engine."""
        return self._of(self.environments.show(name))

    def wish(self, name: str) -> Install:
        """Ask for an engine; what failed or was cancelled goes on where it was. Raises: InvalidValue."""
        self.environments.show(name)
        self.rows.ask(self.machine_id, KIND, name, "packages")
        return self.show(name)

    def cancel(self, name: str) -> Install:
        """End its installing; what is there is kept. Raises: InvalidValue."""
        job = self._job(name)
        if job:
            self.rows.move(job.id, CANCELLED, WISHED, WORKING, FAILED)
        return self.show(name)

    def _job(self, name: str) -> JobRecord | None:
        return self.rows.find(self.machine_id, KIND, name)

    def _of(self, environment: Environment) -> Install:
        job = self._job(environment.name)
        if environment.state == "ready" or job is None or job.state in (DONE, CANCELLED):
            return Install(environment, ABSENT if environment.state == "absent" else environment.state)
        error = from_row(job.error_code, job.error_params) if job.error_code else None
        return Install(environment, STATES.get(job.state, job.state), job.done, job.total, job.note, error)
