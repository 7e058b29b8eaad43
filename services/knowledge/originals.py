"""Stored originals: each file once, by its SHA-256, below the base's folder. Names from people never become paths."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
import time
import unicodedata
from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO

from services.core.errors import DiskFull, InvalidName, TooLarge
from services.core.i18n import N_
from services.core.units import bytes_text
from services.knowledge.types import Original

BLOCK_BYTES = 1024 * 1024
NAME_LIMIT = 240


class Originals:
    """The originals of one knowledge base."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, sha256: str) -> Path:
        """Where an original lies."""
        return self.folder / sha256[:2] / sha256

    def store(self, name: str, stream: BinaryIO, limit_bytes: int) -> Original:
        """Copy a stream, all or nothing. Raises: TooLarge, DiskFull."""
        try:
            return self._store(name, stream, limit_bytes)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFull(path=str(self.folder), needed=bytes_text(limit_bytes)) from error
            raise

    def _store(self, name: str, stream: BinaryIO, limit_bytes: int) -> Original:
        self.folder.mkdir(parents=True, exist_ok=True)
        digest, size = hashlib.sha256(), 0
        handle, draft = tempfile.mkstemp(dir=self.folder, prefix="incoming-")
        try:
            with os.fdopen(handle, "wb") as file:
                while block := stream.read(BLOCK_BYTES):
                    size += len(block)
                    if size > limit_bytes:
                        limit = bytes_text(limit_bytes)
                        raise TooLarge(name=name, size=f"> {limit}", limit=limit, setting="max_file_bytes")
                    digest.update(block)
                    file.write(block)
                file.flush()
                os.fsync(file.fileno())
            target = self.path(digest.hexdigest())
            target.parent.mkdir(exist_ok=True)
            Path(draft).replace(target)
        finally:
            Path(draft).unlink(missing_ok=True)
        return Original(digest.hexdigest(), size)

    def missing_or_changed(self, wanted: Collection[str]) -> list[str]:
        """Which of these are not there, or do not hash to their name any more."""
        return [sha256 for sha256 in wanted if self._hash(self.path(sha256)) != sha256]

    def sweep(self, wanted: Collection[str], older_than_s: float) -> int:
        """Delete what nobody needs; fresh files stay, for a file is stored before its row is written."""
        if not self.folder.exists():
            return 0
        swept = 0
        for path in [path for path in self.folder.rglob("*") if path.is_file() and path.name not in wanted]:
            if time.time() - path.stat().st_mtime > older_than_s:
                path.unlink(missing_ok=True)
                swept += 1
        return swept

    @staticmethod
    def _hash(path: Path) -> str | None:
        if not path.exists():
            return None
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def clean_name(name: str) -> str:
    """The name of a document as it is kept: NFC, relative, with "/" between folders.

    Raises: InvalidName for control characters, "..", absolute paths, and names that are empty or too long.
    """
    kept = unicodedata.normalize("NFC", name.replace("\\", "/")).strip()
    reason = _fault(kept)
    if reason:
        shown = "".join(character if character.isprintable() else "�" for character in kept)[:80]
        raise InvalidName(name=shown, reason=reason, limit=NAME_LIMIT)
    return kept


def _fault(name: str) -> str | None:
    parts = name.split("/")
    if not name:
        return N_("it is empty")
    if len(name) > NAME_LIMIT:
        return N_("it is too long")
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in name):
        return N_("it contains control characters")
    if ".." in parts:
        return N_("it points to a folder above")
    if "" in parts or name.startswith("~"):
        return N_("it is not a relative path")
    return None
