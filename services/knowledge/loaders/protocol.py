"""What a loader is: one per format, a pure function from a file on disk to its text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol, runtime_checkable

from services.core.units import GIB
from services.knowledge.loaders.decoding import looks_like_text
from services.knowledge.positions import Piece
from services.knowledge.types import Extracted

PAGE_S = 0.2
"""What each page that was read adds to the time that a document may take in all."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What reading one document may cost."""

    pages: int
    characters: int
    timeout_s: int
    """Without getting a page further; in all as much and PAGE_S for each page."""
    memory_bytes: int
    unpacked_bytes: int = GIB
    """Of an archive's members together, before any of them is unpacked."""


def _unheard() -> None:
    """Nobody is told."""


@dataclass(frozen=True, slots=True)
class Aids:
    """What may help with one file, and what it turned out to need."""

    password: str | None = field(default=None, repr=False)
    recognised: Mapping[int, tuple[Piece, ...]] = field(default_factory=dict)
    """Lines that text recognition (OCR) has found on pages, from 1; in Office files: on the pictures within."""
    unread: list[int] = field(default_factory=list)
    """Filled by the loader: pages or pictures whose text only text recognition could give."""
    page_read: Callable[[], None] = field(default=_unheard, repr=False)
    """Called by the loader for each page: whoever gets on is not hanging."""


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


@runtime_checkable
class HelpedLoader(Protocol):
    """What a loader is besides, if its files may have a password, or pages that show text only as a picture."""

    def load_with(self, path: Path, name: str, limits: Limits, aids: Aids) -> Extracted:
        """See Loader.load; pages whose text only text recognition could give are added to `aids.unread`."""
        ...
