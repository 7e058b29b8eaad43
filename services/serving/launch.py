"""What the supervisor and a server's runner tell each other, as files in the server's folder."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

LAUNCH, EXIT = "launch.json", "exit.json"


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start an engine. Its environment is the runner's own, so that keys in it are never on the disk."""

    argv: list[str]
    grace_s: float
    """How long the engine may take to end after SIGTERM, before SIGKILL."""

    def write(self, folder: Path) -> None:
        """Leave it for the runner; the ending of an earlier run is forgotten."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / EXIT).unlink(missing_ok=True)
        _write(folder / LAUNCH, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> Launch:
        """What the supervisor has left."""
        return cls(**json.loads((folder / LAUNCH).read_text("utf-8")))


@dataclass(frozen=True, slots=True)
class Exit:
    """How an engine ended: by itself with a code, or by a signal."""

    exit_code: int | None
    signal: str | None
    ended_at_ms: int

    def write(self, folder: Path) -> None:
        """Leave it for the supervisor."""
        _write(folder / EXIT, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> Exit | None:
        """What the runner has left; None where it was killed before it could."""
        try:
            return cls(**json.loads((folder / EXIT).read_text("utf-8")))
        except FileNotFoundError:
            return None


def _write(path: Path, content: dict[str, Any]) -> None:
    draft = path.with_suffix(".draft")
    # A command line may hold keys: only the owner reads it.
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(content, file)
    draft.replace(path)
