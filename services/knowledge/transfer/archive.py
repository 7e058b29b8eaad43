"""A whole base in one zip file: its database, its originals by hash, and a sheet that says what it is.

What is derived from these, such as FAISS snapshots, stays out: it is built anew where the archive arrives.
"""

from __future__ import annotations

import errno
import hashlib
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from services.core.errors import DatabaseUnavailable, DiskFull, PathNotFound
from services.core.i18n import N_
from services.core.paths import Layout
from services.core.phrases import phrase
from services.core.transfer_errors import ArchiveRefused
from services.core.units import UNKNOWN, bytes_text
from services.knowledge.originals import Originals
from services.knowledge.stores import OpenStore, Stores
from services.knowledge.transfer.arrivals import arriving
from services.knowledge.types import BaseCounts
from services.store.bases import BaseRecord, BaseRows

SHEET = "lectern-base.json"
FORMAT = 1
SHEET_LIMIT_BYTES = 1_000_000
DATABASE = re.compile(r"[a-z]+\.sqlite3")
ORIGINAL = re.compile(r"originals/([0-9a-f]{64})")
BLOCK_BYTES = 1024 * 1024
SPARE_BYTES = 64 * 1024 * 1024
COLUMNS = ("embedder", "embedder_options", "chunker", "chunk_size", "chunk_overlap", "chunker_options")

Progress = Callable[[int, int], None]
"""Told of the bytes that are done, and of all."""
CheckBase = Callable[[Path], None]
"""Looks at an unpacked base before it is opened. Raises: DatabaseUnavailable."""


class Sheet(BaseModel):
    """What an archive says of itself."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: int
    name: str
    embedder: str
    embedder_options: dict[str, Any] = {}
    chunker: str
    chunk_size: int
    chunk_overlap: int
    chunker_options: dict[str, Any] = {}
    documents: int
    chunks: int


@dataclass(frozen=True, slots=True)
class Exported:
    """A written archive."""

    path: Path
    size_bytes: int
    documents: int
    chunks: int
    originals: int


class Archives:
    """Writes and reads archives."""

    def __init__(
        self,
        rows: BaseRows,
        stores: Stores,
        open_store: OpenStore,
        check_base: CheckBase,
        *,
        layout: Layout,
        machine_id: str,
    ) -> None:
        self._rows = rows
        self._stores = stores
        self._open_store = open_store
        self._check_base = check_base
        self._layout = layout
        self._machine_id = machine_id

    def write(self, base: BaseRecord, target: Path, progress: Progress = lambda done, total: None) -> Exported:
        """Write a base to a file, all or nothing; an older file of this name is replaced.

        Raises: DiskFull, ArchiveRefused where the file cannot be written or an original is lost.
        """
        try:
            with _disk(target), tempfile.TemporaryDirectory(dir=target.parent, prefix=".lectern-export-") as place:
                folder = Path(place)
                counts, originals = self._gather(base, folder)
                self._pack(base, counts, _members(folder, originals), folder / "archive.zip", progress)
                (folder / "archive.zip").replace(target)
        except FileNotFoundError as error:
            raise ArchiveRefused(
                name=target.name, reason=phrase(N_("{path} is missing"), path=error.filename)
            ) from error
        return Exported(target, target.stat().st_size, counts.documents, counts.chunks, len(originals))

    def _gather(self, base: BaseRecord, folder: Path) -> tuple[BaseCounts, dict[str, Path]]:
        """A copy of the database in a folder, and where the originals lie that this copy needs."""
        self._stores.of(base).copy_to(folder)
        copy = self._open_store(folder)
        try:
            counts, wanted = copy.counts(), sorted(copy.originals())
        finally:
            copy.close()
        return counts, {sha256: self._stores.originals(base).path(sha256) for sha256 in wanted}

    def _pack(
        self, base: BaseRecord, counts: BaseCounts, members: list[tuple[str, Path]], target: Path, progress: Progress
    ) -> None:
        columns = {name: getattr(base, name) for name in COLUMNS}
        sheet = Sheet(format=FORMAT, name=base.name, documents=counts.documents, chunks=counts.chunks, **columns)
        done, total = 0, sum(path.stat().st_size for _, path in members)
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.writestr(SHEET, sheet.model_dump_json(indent=1))
            for name, path in members:
                with path.open("rb") as source, archive.open(name, "w", force_zip64=True) as into:
                    while block := source.read(BLOCK_BYTES):
                        into.write(block)
                        done += len(block)
                        progress(done, total)

    def read(self, path: Path, name: str | None = None, progress: Progress = lambda done, total: None) -> BaseRecord:
        """Make a base of an archive; its name is the one that it had unless another is given.

        Raises: ArchiveRefused, InvalidName, NameTaken, DiskFull.
        """
        with _refusing(path), zipfile.ZipFile(path) as archive:
            sheet = _sheet(archive, path)
            with arriving(self._rows, self._layout, self._machine_id, name or sheet.name) as arrival:
                self._unpack(archive, path, arrival.folder, progress)
                self._check(path, sheet, arrival.folder)
                return arrival.settle(**{column: getattr(sheet, column) for column in COLUMNS})

    def _unpack(self, archive: zipfile.ZipFile, path: Path, folder: Path, progress: Progress) -> None:
        members = [member for member in archive.infolist() if member.filename != SHEET]
        strange = [member.filename for member in members if not _known(member.filename)]
        if strange or len({member.filename for member in members}) < len(members):
            reason = phrase(N_("it holds {name}, which no knowledge base has"), name=strange[0] if strange else "…")
            raise ArchiveRefused(name=path.name, reason=reason)
        done, total = 0, sum(member.file_size for member in members)
        if shutil.disk_usage(folder).free < total + SPARE_BYTES:
            raise DiskFull(path=str(folder.parent), needed=bytes_text(total + SPARE_BYTES))
        for member in members:
            original = ORIGINAL.fullmatch(member.filename)
            target = Originals(folder / "originals").path(original[1]) if original else folder / member.filename
            target.parent.mkdir(parents=True, exist_ok=True)
            digest = hashlib.sha256()
            with archive.open(member) as source, target.open("wb") as into:
                while block := source.read(BLOCK_BYTES):
                    into.write(block)
                    digest.update(block)
                    done += len(block)
                    progress(done, total)
            if original and digest.hexdigest() != original[1]:
                raise ArchiveRefused(name=path.name, reason=N_("one of its originals was changed"))

    def _check(self, path: Path, sheet: Sheet, folder: Path) -> None:
        """Believe nothing of an unpacked base before it was counted."""
        try:
            self._check_base(folder)
            store = self._open_store(folder)
            try:
                report = store.verify()
                lost = Originals(folder / "originals").missing_or_changed(store.originals())
            finally:
                store.close()
        except DatabaseUnavailable as error:
            raise ArchiveRefused(name=path.name, reason=error.params["reason"]) from error
        counted = (report.documents, report.chunks)
        if report.problems or lost or counted != (sheet.documents, sheet.chunks):
            raise ArchiveRefused(name=path.name, reason=N_("what it holds does not fit together"))


def _members(folder: Path, originals: dict[str, Path]) -> list[tuple[str, Path]]:
    copied = [(path.name, path) for path in sorted(folder.iterdir()) if DATABASE.fullmatch(path.name)]
    return [*copied, *((f"originals/{sha256}", path) for sha256, path in originals.items())]


def _known(name: str) -> bool:
    return bool(ORIGINAL.fullmatch(name) or DATABASE.fullmatch(name))


def _sheet(archive: zipfile.ZipFile, path: Path) -> Sheet:
    try:
        if archive.getinfo(SHEET).file_size > SHEET_LIMIT_BYTES:
            raise KeyError(SHEET)
        sheet = Sheet.model_validate_json(archive.read(SHEET))
    except (KeyError, ValidationError) as error:
        raise ArchiveRefused(name=path.name, reason=N_("it is no archive of a knowledge base")) from error
    if sheet.format > FORMAT:
        raise ArchiveRefused(name=path.name, reason=N_("it was written by a newer version of Lectern"))
    return sheet


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """What goes wrong with the file itself becomes a refusal."""
    try:
        with _disk(path):
            yield
    except FileNotFoundError as error:
        raise PathNotFound(path=str(path)) from error
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
        raise ArchiveRefused(name=path.name, reason=N_("it is damaged or no zip file")) from error


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(path=str(path.parent), needed=UNKNOWN) from error
        raise ArchiveRefused(name=path.name, reason=error.strerror or str(error)) from error
