"""Downloads as wishes: written down here by pages and commands, made true by the worker, whatever dies in between."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from services.core.errors import AppError, InvalidValue, from_row
from services.core.hub_errors import ModelNotFound
from services.core.i18n import DEFAULT_LANGUAGE, N_
from services.hub.downloads_child import Order, bytes_below
from services.hub.downloads_choice import choose, quantisations
from services.hub.sources.protocol import Address, Remote, RemoteFile
from services.hub.sources.registry import HUBS, PLACES, SOURCES
from services.hub.tokens import Tokens
from services.store.jobs import CANCELLED, DONE, FAILED, PAUSED, WISHED, WORKING, JobRecord, JobRows

KIND = "download_model"
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[\w.-]{1,96}")
OLLAMA_MODEL = re.compile(r"[A-Za-z0-9][\w./-]{0,150}(:[\w.-]{1,100})?")
REVISION = re.compile(r"[\w][\w./-]{0,200}")
SHOWN = {WISHED: "queued", WORKING: "downloading", PAUSED: "paused", CANCELLED: "cancelled", DONE: "ready"}
LOADING = ".loading"
"""The folder of what is not whole yet, beside the models."""


@dataclass(frozen=True, slots=True)
class DownloadWish:
    """What somebody wants: `hub` is a key of `registry.HUBS`; `files` are names or patterns, none: the usual choice."""

    hub: str
    repository: str
    revision: str | None = None
    files: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises: InvalidValue."""
        if self.hub not in HUBS:
            raise InvalidValue(field=N_("source"), value=self.hub, reason=N_("there is no such source"))
        form = OLLAMA_MODEL if self.hub == "ollama" else REPOSITORY
        if not form.fullmatch(self.repository) or ".." in self.repository:
            raise InvalidValue(field=N_("model"), value=self.repository, reason=N_("it is no name of a model"))
        if self.revision is not None and not REVISION.fullmatch(self.revision):
            raise InvalidValue(field=N_("revision"), value=self.revision, reason=N_("it is no name of a revision"))

    @property
    def subject(self) -> str:
        """As a job's subject: the same wish is the same job."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def of(cls, subject: str) -> DownloadWish:
        """The wish of a job."""
        row = json.loads(subject)
        return cls(row["hub"], row["repository"], row["revision"], tuple(row["files"]))

    @property
    def folder_name(self) -> str:
        """The name of its folder: readable, and no other wish's."""
        digest = hashlib.sha256(self.subject.encode()).hexdigest()[:8]
        return f"{self.hub}--{re.sub(r'[^A-Za-z0-9.-]+', '--', self.repository)}--{digest}"


@dataclass(frozen=True, slots=True)
class Step:
    """Where a load is: the file under way and its number, bytes a second. Kept as a job's note."""

    file: str = ""
    number: int = 0
    of: int = 0
    file_done: int | None = None
    file_total: int | None = None
    rate: float | None = None

    @classmethod
    def of_note(cls, note: str) -> Step:
        """As it was kept."""
        return cls(**json.loads(note)) if note else cls()

    @property
    def note(self) -> str:
        """To be kept."""
        return json.dumps(asdict(self))


@dataclass(frozen=True, slots=True)
class Download:
    """A wish and how far it is. `kept_bytes` are on the disk already, though the model is not whole."""

    id: str
    wish: DownloadWish
    state: str
    """queued, downloading, paused, cancelled, failed or ready."""
    done: int
    total: int | None
    step: Step
    kept_bytes: int
    error: AppError | None = None

    @property
    def remaining_ms(self) -> float | None:
        """At the present speed."""
        if self.state != "downloading" or not self.step.rate or self.total is None:
            return None
        return max(0, self.total - self.done) / self.step.rate * 1000

    def row(self, language: str = DEFAULT_LANGUAGE) -> dict[str, Any]:
        """As JSON values."""
        error = self.error.render(language) if self.error else None
        return {
            "id": self.id,
            "from": self.wish.hub,
            "repository": self.wish.repository,
            "revision": self.wish.revision,
            "files": list(self.wish.files),
            "state": self.state,
            "done_bytes": self.done,
            "total_bytes": self.total,
            "kept_bytes": self.kept_bytes,
            "file": self.step.file or None,
            "file_number": self.step.number or None,
            "files_total": self.step.of or None,
            "file_done_bytes": self.step.file_done,
            "file_total_bytes": self.step.file_total,
            "bytes_per_second": self.step.rate,
            "remaining_ms": self.remaining_ms,
            "error": {"code": error.code, "message": error.message, "remedy": error.remedy} if error else None,
        }


@dataclass(frozen=True, slots=True)
class Offer:
    """What a hub has of a model: what would be loaded, what else there is, and the room for it."""

    remote: Remote
    chosen: tuple[RemoteFile, ...]
    quantisations: dict[str, int]
    """Bytes by quantisation, in a repository of GGUF files."""
    free_bytes: int

    @property
    def bytes(self) -> int:
        """What would be loaded."""
        return sum(file.bytes or 0 for file in self.chosen)


class Downloads:
    """The downloads of this machine. Thread-safe."""

    def __init__(
        self, rows: JobRows, folder: Path, tokens: Tokens, url_of: Callable[[str], str], *, machine_id: str
    ) -> None:
        """
        Args:
            folder: where models lie.
            url_of: the address of a hub as it is chosen now.
        """
        self.rows, self._folder, self.tokens, self._url_of = rows, folder, tokens, url_of
        self._machine_id = machine_id

    def offer(self, wish: DownloadWish) -> Offer | None:
        """Ask the hub what the wish would bring; None where only the loading itself can tell (Ollama).

        Raises: InvalidValue, and as `Source.look`.
        """
        source = SOURCES.get(wish.hub)
        if source is None:
            return None
        remote = source.look(self.address(wish.hub), wish.repository, wish.revision)
        sizes = {name: sum(part.bytes or 0 for part in parts) for name, parts in quantisations(remote.files).items()}
        free = shutil.disk_usage(self._folder).free
        return Offer(remote, tuple(choose(remote.files, wish.files)), sizes, free)

    def wish(self, wish: DownloadWish) -> Download:
        """Write a wish down; one that has failed or was stopped goes on where it was."""
        return self._shown(self.rows.ask(self._machine_id, KIND, wish.subject, "bytes"))

    def list(self) -> list[Download]:
        """All of them, newest first."""
        return [self._shown(row) for row in self.rows.of_kind(self._machine_id, KIND)]

    def find(self, reference: str) -> Download:
        """The newest download with this id, or of this model. Raises: ModelNotFound."""
        for download in self.list():
            if reference in (download.id, download.wish.repository):
                return download
        raise ModelNotFound(place=N_("The list of downloads"), name=reference)

    def pause(self, reference: str) -> Download:
        """Let it rest; what was loaded is kept. Raises: ModelNotFound."""
        return self._move(reference, PAUSED, WISHED, WORKING)

    def resume(self, reference: str) -> Download:
        """Go on where it was. Raises: ModelNotFound."""
        return self._move(reference, WISHED, PAUSED, FAILED, CANCELLED)

    def cancel(self, reference: str) -> Download:
        """End it; what was loaded is kept until it is forgotten. Raises: ModelNotFound."""
        return self._move(reference, CANCELLED, WISHED, WORKING, PAUSED, FAILED)

    def forget(self, reference: str) -> int:
        """Take it off the list and delete what is not whole; returns the bytes of that. Raises: ModelNotFound."""
        found = self.find(reference)
        if found.state in ("queued", "downloading"):
            found = self.cancel(found.id)
        self.rows.remove(found.id)
        shutil.rmtree(self._draft(found.wish), ignore_errors=True)
        return found.kept_bytes

    def address(self, hub: str) -> Address:
        """Where a hub answers, with the token that was stored for it."""
        return Address(PLACES[hub], self._url_of(hub), self.tokens.get(hub))

    def order(self, wish: DownloadWish) -> Order:
        """What the worker gives to a child process."""
        return Order(
            hub=wish.hub,
            address=self.address(wish.hub),
            repository=wish.repository,
            revision=wish.revision,
            patterns=wish.files,
            draft=self._draft(wish),
            folder=self._folder / wish.folder_name,
        )

    def _draft(self, wish: DownloadWish) -> Path:
        return self._folder / LOADING / wish.folder_name

    def _move(self, reference: str, state: str, *among: str) -> Download:
        found = self.find(reference)
        moved = self.rows.move(found.id, state, *among)
        return self._shown(moved) if moved else self.find(found.id)

    def _shown(self, row: JobRecord) -> Download:
        wish = DownloadWish.of(row.subject)
        return Download(
            id=row.id,
            wish=wish,
            state=SHOWN.get(row.state, row.state),
            done=row.done,
            total=row.total,
            step=Step.of_note(row.note),
            kept_bytes=bytes_below(self._draft(wish)) if row.state != DONE else 0,
            error=from_row(row.error_code, row.error_params) if row.error_code else None,
        )


def active(downloads: Sequence[Download]) -> bool:
    """Whether any of them is on its way."""
    return any(download.state in ("queued", "downloading") for download in downloads)
