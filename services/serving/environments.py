"""A virtual environment for each heavy engine, below LECTERN_HOME/engines, built when somebody asks for it.

The pins stand in requirements/engines/NAME.txt. A finished environment holds their hash: with other pins it is
said to be outdated. A build that was interrupted goes on where it was.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from services.core.errors import DiskFull, DownloadFailed, InvalidValue
from services.core.i18n import N_
from services.core.settings import inherited_environment
from services.serving.children import ROOT

PINS = ROOT / "requirements" / "engines"
STAMP = "built.sha256"
LOG = "build.log"
_REQUIREMENT = re.compile(r"^[A-Za-z0-9]", re.MULTILINE)
_STEP = re.compile(r"^(?:Collecting|Requirement already satisfied: |Processing )\s*(\S+)")

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

    def build(self, name: str, report: Report) -> Environment:
        """Make the environment, or bring it to the newest pins; blocks for minutes. pip's own index settings count.

        Raises: InvalidValue, DownloadFailed, DiskFull. What was installed before a failure is kept.
        """
        found = self.show(name)
        if found.state == "ready":
            return found
        pins = self._requirements(name)
        (found.path / STAMP).unlink(missing_ok=True)
        found.path.mkdir(parents=True, exist_ok=True)
        python = found.path / "bin" / "python"
        if not python.exists():
            self._run(name, [sys.executable, "-m", "venv", str(found.path)], lambda _: None)
        seen: set[str] = set()

        def hear(line: str) -> None:
            step = _STEP.match(line)
            if step:
                seen.add(step.group(1))
                report(min(len(seen), found.packages), found.packages, step.group(1))

        pip = [str(python), "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--progress-bar=off"]
        self._run(name, [*pip, "--requirement", str(pins)], hear)
        (found.path / STAMP).write_text(_hash(pins), "utf-8")
        report(found.packages, found.packages, "")
        return self.show(name)

    def remove(self, name: str) -> None:
        """Delete an engine's environment. Raises: InvalidValue."""
        shutil.rmtree(self.show(name).path, ignore_errors=True)

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

    def _run(self, name: str, argv: list[str], hear: Callable[[str], None]) -> None:
        """Run a step, its output kept in the environment's log."""
        tail = ""
        with (
            (self._folder / name / LOG).open("a", encoding="utf-8") as log,
            subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                env=inherited_environment({"PYTHONUNBUFFERED": "1"}),
            ) as process,
        ):
            for line in process.stdout or ():
                log.write(line)
                tail = line.strip().removeprefix("ERROR: ") or tail
                hear(line)
        if process.returncode:
            if "No space left" in tail:
                raise DiskFull(path=str(self._folder), needed="10 GiB")
            raise DownloadFailed(name=name, reason=tail[:300])


def _hash(pins: Path) -> str:
    return hashlib.sha256(sys.version.encode() + pins.read_bytes()).hexdigest()
