"""What a loader is: one per format, a pure function from a file on disk to its text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from services.knowledge.types import Extracted


@dataclass(frozen=True, slots=True)
class Limits:
    """What reading one document may cost."""

    pages: int
    characters: int
    timeout_s: int
    memory_bytes: int


class Loader(Protocol):
    """Reads one format. Runs in a child process: it may crash, hang or bloat, and harms only its own file."""

    media_types: tuple[str, ...]

    def load(self, path: Path, name: str, limits: Limits) -> Extracted:
        """Read the file at `path`; `name` is what people call it and is used in messages only.

        Raises: a DocumentError (Encrypted, Damaged, NoExtractableText, TooLarge …).
        """
        ...
