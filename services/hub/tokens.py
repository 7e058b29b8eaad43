"""Access tokens for hubs: in one file that only its owner may read; never in a row, a log or a command line."""

from __future__ import annotations

import json
import os
from pathlib import Path

from services.core.errors import InvalidValue
from services.core.i18n import N_


class Tokens:
    """The tokens of one installation, by hub."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, hub: str) -> str:
        """The token for a hub; empty where there is none."""
        return self._all().get(hub, "")

    def keep(self, hub: str, token: str) -> None:
        """Store a token; an empty one forgets what was stored. Raises: InvalidValue."""
        token = token.strip()
        if not token.isascii() or not token.isprintable() or " " in token:
            raise InvalidValue(field=N_("token"), value="•••", reason=N_("it holds characters that no token has"))
        kept = {**self._all(), hub: token}
        draft = self._path.with_suffix(".draft")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump({name: value for name, value in kept.items() if value}, file)
        draft.replace(self._path)

    def _all(self) -> dict[str, str]:
        try:
            found = json.loads(self._path.read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}
