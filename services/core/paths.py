"""Where things lie below LECTERN_HOME. Ids, never names that people gave, become paths."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """The folders and files of one installation."""

    home: Path

    @property
    def state_db(self) -> Path:
        return self.home / "state.sqlite3"

    @property
    def jobs_db(self) -> Path:
        """DBOS's queue: losing it loses nothing."""
        return self.home / "jobs.sqlite3"

    @property
    def bases(self) -> Path:
        return self.home / "bases"

    def base(self, base_id: str) -> Path:
        """The folder of a knowledge base: its database and its originals."""
        return self.bases / base_id

    @property
    def models(self) -> Path:
        return self.home / "models"

    @property
    def vector_cache(self) -> Path:
        """Vectors of texts that were encoded before: derived, it may be deleted."""
        return self.home / "cache" / "vectors.sqlite3"

    @property
    def tokens(self) -> Path:
        """Access tokens for hubs; only the owner may read it."""
        return self.home / "tokens.json"

    @property
    def engines(self) -> Path:
        """One virtual environment for each heavy engine."""
        return self.home / "engines"

    @property
    def servers(self) -> Path:
        """One folder for each managed server: its log, its exit status."""
        return self.home / "servers"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def run(self) -> Path:
        """Locks and the address of the running web process."""
        return self.home / "run"

    @property
    def passwords(self) -> Path:
        """Passwords of files that wait to be read; only the owner may look into it."""
        return self.run / "passwords"

    def create(self) -> None:
        """Make the folders that every process expects; only the owner may look into them."""
        self.home.mkdir(parents=True, exist_ok=True)
        for folder in (self.bases, self.models, self.servers, self.logs, self.run):
            folder.mkdir(mode=0o700, exist_ok=True)
