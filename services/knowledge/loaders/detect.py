"""Which loader reads a file: its content decides, its extension only among kinds of plain text."""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePath

import filetype  # type: ignore[import-untyped]

from services.core.document_errors import Damaged
from services.core.errors import AppError, EmptyFile, Encrypted, TooLarge, UnsupportedFormat
from services.core.i18n import N_
from services.core.phrases import phrase
from services.core.units import bytes_text
from services.knowledge.loaders.protocol import Limits, Loader, Sample
from services.knowledge.loaders.registry import all_loaders, supported_extensions

HEAD_BYTES = 65_536
OLE_HEAD = bytes.fromhex("d0cf11e0a1b11ae1")
ENCRYPTED_STREAM = "EncryptedPackage".encode("utf-16-le")
ARCHIVE_HEAD = b"PK\x03\x04"
PLAIN_TEXT = ".txt"


def choose_loader(path: Path, name: str) -> Loader:
    """The loader of the file at `path` that people call `name`.

    Raises: EmptyFile, UnsupportedFormat, Damaged (a known extension over other content), Encrypted (office files).
    """
    sample = take_sample(path, name)
    for loader in all_loaders():
        if loader.claims(sample):
            return loader
    if sample.textual and not _of(sample.suffix, textual=False):
        return (_of(sample.suffix, textual=True) or _of(PLAIN_TEXT, textual=True))[0]
    raise _unreadable(path, name, sample)


def take_sample(path: Path, name: str) -> Sample:
    """What can be told about a file without reading it.

    Raises: EmptyFile.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        if not head.strip(b" \t\r\n\x0b\x0c\xef\xbb\xbf\xff\xfe\x00") and not file.read(1):
            raise EmptyFile(name=name)
    suffix = PurePath(name).suffix.lower()
    return Sample(head, suffix, _members(path, head))


def check_archive(path: Path, name: str, limits: Limits) -> None:
    """Look at what an archive says of its members before anything is unpacked; zipfile then holds them to it.

    Raises: TooLarge beyond the limit of unpacked bytes, Encrypted where members have a password.
    """
    try:
        with path.open("rb") as file:
            if file.read(4) != ARCHIVE_HEAD:
                return
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return  # the loader says what is wrong with it
    size = sum(member.file_size for member in members)
    if size > limits.unpacked_bytes:
        limit = bytes_text(limits.unpacked_bytes)
        raise TooLarge(name=name, size=bytes_text(size), limit=limit, setting="max_unpacked_bytes")
    if any(member.flag_bits & 1 for member in members):
        raise Encrypted(name=name)


def _members(path: Path, head: bytes) -> frozenset[str]:
    if not head.startswith(ARCHIVE_HEAD):
        return frozenset()
    try:
        with zipfile.ZipFile(path) as archive:
            return frozenset(archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError):
        return frozenset()


def _of(suffix: str, *, textual: bool) -> list[Loader]:
    return [loader for loader in all_loaders() if loader.textual is textual and suffix in loader.extensions]


def _unreadable(path: Path, name: str, sample: Sample) -> AppError:
    if sample.head.startswith(OLE_HEAD) and ENCRYPTED_STREAM in path.read_bytes():
        return Encrypted(name=name)
    known = filetype.guess(sample.head)
    if _of(sample.suffix, textual=False) and (known is None or f".{known.extension}" in (sample.suffix, ".zip")):
        reason = phrase(N_("its content is not that of a {suffix} file"), suffix=sample.suffix)
        return Damaged(name=name, reason=reason)
    text_name = not sample.suffix or _of(sample.suffix, textual=True)
    kind = known.extension if known else phrase(N_("binary")) if text_name else sample.suffix.lstrip(".")
    return UnsupportedFormat(name=name, kind=kind, supported=", ".join(supported_extensions()))
