"""What a hub is to Lectern: it tells what a model consists of, and loads its files."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Address:
    """Where a hub answers, and who asks. `token` belongs to this hub alone; empty: nobody in particular."""

    place: str
    """What people call it."""
    url: str
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a model: its path within it, and what proves that it arrived whole. None: the hub does not say."""

    path: str
    bytes: int | None
    sha256: str | None = None
    git_sha1: str | None = None
    """Of git's blob: for small files, which hubs keep in git itself."""


@dataclass(frozen=True, slots=True)
class Remote:
    """A model as its hub has it. `revision` is the commit where the hub tells it."""

    repository: str
    revision: str
    files: tuple[RemoteFile, ...]
    licence: str | None = None


class Source(Protocol):
    """A kind of hub. Stateless."""

    def look(self, address: Address, repository: str, revision: str | None) -> Remote:
        """What a model consists of.

        Raises: ModelNotFound, TokenRefused, ModelGated, HubUnreachable, LoadingFailed, InvalidValue.
        """
        ...

    def load(self, address: Address, remote: Remote, file: RemoteFile, into: Path) -> None:
        """Load one file to its path below a folder, going on where an earlier try was. It appears there when whole.

        Raises: as `look`, and HashMismatch, DiskFull.
        """
        ...
