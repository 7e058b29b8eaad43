"""Passwords of files that wait to be read: one small file each, which only the owner may read, until the reader had it.

They are kept apart from the bases, so that no export or backup of a base holds one.
"""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path


class Passwords:
    """What was given for originals of any base. Several processes may share the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, base_id: str, sha256: str, password: str) -> None:
        """Keep a password until the file has been read, in place of an earlier one."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = self._folder / f"{secrets.token_hex(8)}.part"
        handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(password)
        unfinished.replace(self._path(base_id, sha256))

    def of(self, base_id: str, sha256: str) -> str | None:
        """The password that was given for an original."""
        try:
            return self._path(base_id, sha256).read_text("utf-8")
        except FileNotFoundError:
            return None

    def forget(self, base_id: str, sha256: str) -> None:
        """Forget it: the file was read, or cannot be."""
        self._path(base_id, sha256).unlink(missing_ok=True)

    def sweep(self, older_than_s: float) -> None:
        """Forget what nobody has come for."""
        for path in self._folder.glob("*"):
            if time.time() - path.stat().st_mtime > older_than_s:
                path.unlink(missing_ok=True)

    def _path(self, base_id: str, sha256: str) -> Path:
        return self._folder / f"{base_id}-{sha256}"
