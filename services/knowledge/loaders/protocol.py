"""What a loader is: one per format, a pure function from a file on disk to its text."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from services.knowledge.loaders.decoding import looks_like_text
from services.knowledge.types import Extracted


@dataclass(frozen=True, slots=True)
class Limits:
    """What reading one document may cost."""

    pages: int
    characters: int
    timeout_s: int
    memory_bytes: int


@dataclass(frozen=True)
class Sample:
    """What is known of a file before it is read."""

    head: bytes
    suffix: str
    """Of the name people gave it, lower case, with its dot."""
    members: frozenset[str]
    """Names in the archive, where it is one."""

    @cached_property
    def textual(self) -> bool:
        """The first bytes read as text in some encoding. Cost: half a second where they are binary, at first asking."""
        return looks_like_text(self.head)


class Loader(Protocol):
    """Reads one format. Runs in a child process: it may crash, hang or bloat, and harms only its own file."""

    media_types: tuple[str, ...]
    extensions: tuple[str, ...]
    """Lower case, with their dot; the first one is the usual one."""
    textual: bool
    """Plain text files of these extensions are its own; other formats are known by `claims` alone."""

    def claims(self, sample: Sample) -> bool:
        """Whether the content, not the name, says that the file is of this format."""
        ...

    def load(self, path: Path, name: str, limits: Limits) -> Extracted:
        """Read the file at `path`; `name` is what people call it and is used in messages only.

        Raises: a DocumentError (Encrypted, Damaged, NoExtractableText, TooLarge …).
        """
        ...
