"""What an engine is to Lectern: a program that can be started to serve a model."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

MASK = "•••"


@dataclass(frozen=True, slots=True)
class LaunchCommand:
    """A command line, and what is added to the environment. To be shown only as `command_text`."""

    argv: list[str] = field(repr=False)
    env: dict[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """Values in either that nobody may see."""


class Engine(Protocol):
    """One kind of server. Stateless."""

    key: str

    def launch(self, spec: Mapping[str, Any], port: int) -> LaunchCommand:
        """How a server with this spec is started on a port of the loopback address. Raises: InvalidValue."""
        ...


def command_text(command: LaunchCommand) -> str:
    """The command as it can be pasted into a shell, its secrets masked."""
    text = " ".join([*(f"{key}={shlex.quote(value)}" for key, value in command.env.items()), shlex.join(command.argv)])
    for secret in command.secrets:
        text = text.replace(shlex.quote(secret), MASK).replace(secret, MASK)
    return text
