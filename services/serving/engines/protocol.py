"""What an engine is to Lectern: a program that can be started to serve a model."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from services.core.errors import EngineNotInstalled
from services.core.i18n import N_
from services.core.phrases import phrase
from services.serving.spec import ManagedSpec

MASK = "•••"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server is started: its port on loopback, a folder of its own, and the engines' environments."""

    port: int
    folder: Path
    engines: Path


@dataclass(frozen=True, slots=True)
class LaunchCommand:
    """A command line, and what is added to the environment. To be shown only as `command_text`."""

    argv: list[str] = field(repr=False)
    env: dict[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """Values in either that nobody may see."""
    kept_spec: Mapping[str, Any] | None = field(default=None, repr=False)
    """What is left of the spec once it was started: without what serves for one start. None: all of it."""


class Engine(Protocol):
    """One kind of server. Stateless."""

    key: str
    name: str
    """What people call it."""

    @property
    def spec(self) -> type[ManagedSpec]:
        """What can be chosen about it."""
        ...

    @property
    def environment(self) -> str | None:
        """The environment of `environments.Environments` that holds its program; None: it needs none."""
        ...

    def launch(self, spec: Mapping[str, Any], place: Place) -> LaunchCommand:
        """How a server with this spec is started. Raises: InvalidValue, EngineNotInstalled."""
        ...


def command_text(command: LaunchCommand) -> str:
    """The command as it can be pasted into a shell, its secrets masked."""
    text = " ".join([*(f"{key}={shlex.quote(value)}" for key, value in command.env.items()), shlex.join(command.argv)])
    for secret in command.secrets:
        text = text.replace(shlex.quote(secret), MASK).replace(secret, MASK)
    return text


def program_at(path: str, engine: str) -> str:
    """The program that a person has named. Raises: EngineNotInstalled where it is not there or cannot be run."""
    found = shutil.which(str(Path(path).expanduser()))
    if found is None:
        raise EngineNotInstalled(engine=engine, reason=phrase(N_("there is no program at {path}"), path=path))
    return found


def installed(engine: str, environment: str, name: str, place: Place) -> str:
    """A program of an engine's environment. Raises: EngineNotInstalled, with the command that installs it."""
    found = shutil.which(str(place.engines / environment / "bin" / name))
    if found is None:
        command = f"lectern engine install {environment}"
        raise EngineNotInstalled(engine=engine, reason=phrase(N_("run: {command}"), command=command))
    return found


def program_on_path(engine: str, chosen: str, name: str, install: str) -> str:
    """The program that a person has chosen, else the one of that name on PATH.

    Raises: EngineNotInstalled, with the command that installs it: to be copied, never run by Lectern.
    """
    if chosen:
        return program_at(chosen, engine)
    found = shutil.which(name)
    if found is None:
        raise EngineNotInstalled(engine=engine, reason=phrase(N_("run: {command}"), command=install))
    return found


def program_of(engine: str, chosen: str, environment: str, name: str, place: Place) -> str:
    """The program that a person has chosen, else that of the engine's environment. Raises: EngineNotInstalled."""
    return program_at(chosen, engine) if chosen else installed(engine, environment, name, place)


def flags(values: Mapping[str, object]) -> list[str]:
    """Options as on a command line: `max_model_len` becomes --max-model-len; what is empty or 0 is left out."""
    argv: list[str] = []
    for key, value in values.items():
        if value:
            argv += [f"--{key.replace('_', '-')}", *([] if value is True else [str(value)])]
    return argv
