"""A virtual environment for each heavy engine, below LECTERN_HOME/engines, built when somebody asks for it.

The pins stand in requirements/engines/NAME.txt. A finished environment holds their hash: with other pins it is
said to be outdated. A build that was interrupted goes on where it was.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from services.core.errors import DiskFull, DownloadFailed, EngineBusy, InvalidValue
from services.core.i18n import N_
from services.serving import children, pip

PINS = children.ROOT / "requirements" / "engines"
STAMP = "built.sha256"
LOG = "build.log"
_REQUIREMENT = re.compile(r"^[A-Za-z0-9]", re.MULTILINE)
_LAST_STEP = "Installing collected packages"
_STEP = re.compile(r"^(?:Collecting|Requirement already satisfied: |Processing )\s*(\S+)")

LOOK_EVERY_S = 0.2
Report = Callable[[int, int, str], None]
"""Is told packages looked up, packages in all, and the last one's name."""
State = Literal["absent", "unfinished", "outdated", "ready"]


@dataclass(frozen=True, slots=True)
class Environment:
    """An engine's environment: where it is or will be, and how far."""

    name: str
    state: State
    path: Path
    packages: int


class Environments:
    """The engines' environments of one installation. One build of an engine at a time."""

    def __init__(self, folder: Path, pins: Path = PINS) -> None:
        self._folder = folder
        self._pins = pins

    def all(self) -> list[Environment]:
        """Every engine that has pins, by name."""
        return [self.show(path.stem) for path in sorted(self._pins.glob("*.txt"))]

    def show(self, name: str) -> Environment:
        """One engine's environment. Raises: InvalidValue where there is no such engine."""
        pins, path = self._requirements(name), self._folder / name
        packages = len(_REQUIREMENT.findall(pins.read_text("utf-8")))
        return Environment(name, self._state(pins, path), path, packages)

    def build(self, name: str, report: Report, cancelled: Callable[[], bool] = lambda: False) -> Environment:
        """Make the environment, or bring it to the newest pins; blocks for minutes. pip's own index settings count.

        Args:
            cancelled: asked several times a second; then what was installed is kept, and it is unfinished.

        Raises: InvalidValue, EngineBusy, DownloadFailed, DiskFull. What was installed before a failure is kept.
        """
        pins = self._requirements(name)
        with self._alone(name):
            found = self.show(name)
            if found.state == "ready":
                return found
            (found.path / STAMP).unlink(missing_ok=True)
            found.path.mkdir(parents=True, exist_ok=True)
            if self._made(found, pins, report, cancelled):
                (found.path / STAMP).write_text(_hash(pins), "utf-8")
                report(found.packages, found.packages, "")
        return self.show(name)

    def remove(self, name: str) -> None:
        """Delete an engine's environment. Raises: InvalidValue, EngineBusy."""
        path = self.show(name).path
        with self._alone(name):
            shutil.rmtree(path, ignore_errors=True)

    @contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        """Be the only one, of all processes, that changes an environment. Raises: EngineBusy."""
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self._folder / f"{name}.lock", timeout=0):
                yield
        except Timeout:
            raise EngineBusy(name=name) from None

    def _made(self, found: Environment, pins: Path, report: Report, cancelled: Callable[[], bool]) -> bool:
        """Whether all was installed; False where it was cancelled."""
        python = found.path / "bin" / "python"
        if not python.exists():
            made = self._run(found.name, [sys.executable, "-m", "venv", str(found.path)], lambda _: None, cancelled)
            if not made:
                shutil.rmtree(found.path, ignore_errors=True)
                return False
        seen: set[str] = set()

        def hear(line: str) -> None:
            step = _STEP.match(line)
            if step:
                seen.add(step.group(1))
                report(min(len(seen), found.packages), found.packages, step.group(1))
            elif line.startswith(_LAST_STEP):
                report(found.packages, found.packages, "")

        install = ["install", "--no-input", "--disable-pip-version-check", "--progress-bar=off"]
        argv = [str(python), "-P", "-c", pip.PIP, *install, "--requirement", str(pins)]
        return self._run(found.name, argv, hear, cancelled)

    def _requirements(self, name: str) -> Path:
        path = self._pins / f"{name}.txt"
        if not name.isidentifier() or not path.is_file():
            raise InvalidValue(field="engine", value=name, reason=N_("there is no such engine"))
        return path

    @staticmethod
    def _state(pins: Path, path: Path) -> State:
        if not path.exists():
            return "absent"
        stamp = path / STAMP
        if not stamp.exists():
            return "unfinished"
        return "ready" if stamp.read_text("utf-8") == _hash(pins) else "outdated"

    def _run(self, name: str, argv: list[str], hear: Callable[[str], None], cancelled: Callable[[], bool]) -> bool:
        """Run a step, its output kept in the environment's log; False where it was cancelled."""
        path, tail, begun = self._folder / name / LOG, "", ""
        with path.open("ab") as log, path.open(encoding="utf-8", errors="replace") as told:
            told.seek(0, 2)
            step = children.spawn(argv, env={"PYTHONUNBUFFERED": "1"}, output=log.fileno(), new_session=True)
            try:
                while True:
                    ended = step.poll() is not None
                    *lines, begun = (begun + told.read()).split("\n")
                    for line in lines:
                        tail = line.strip().removeprefix("ERROR: ") or tail
                        hear(line)
                    if ended:
                        break
                    if cancelled():
                        return False
                    time.sleep(LOOK_EVERY_S)
            finally:
                pip.end(step)
        if step.returncode:
            if "No space left" in tail:
                raise DiskFull(path=str(self._folder), needed="10 GiB")
            raise DownloadFailed(name=name, reason=tail[:300])
        return True


def _hash(pins: Path) -> str:
    return hashlib.sha256(sys.version.encode() + pins.read_bytes()).hexdigest()
