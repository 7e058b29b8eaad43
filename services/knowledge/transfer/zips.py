"""The files in a zip, each one a document named by its path in it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import IO, BinaryIO, cast

from services.core.errors import AppError, Encrypted
from services.core.i18n import N_
from services.core.phrases import phrase
from services.core.transfer_errors import ZipRefused
from services.core.units import GIB, bytes_text
from services.knowledge.loaders.decoding import decode
from services.knowledge.types import DocumentRow

MOST_FILES = 10_000
MOST_BYTES = 8 * GIB
UTF8_NAMES = 0x800
ENCRYPTED = 0x1

Add = Callable[[str, BinaryIO], DocumentRow]
Outcome = tuple[str, DocumentRow | AppError]


def is_zip(name: str) -> bool:
    """Whether a file is to be taken apart: office files are zips as well, and are not."""
    return PurePosixPath(name).suffix.lower() == ".zip"


def add_zip(name: str, stream: BinaryIO, add: Add) -> Iterator[Outcome]:
    """Add every file in a zip; what is wrong with one harms no other. Folders and hidden files are left out.

    Args:
        add: takes a document's name and its content. What it raises as an AppError becomes that file's outcome.

    Raises: ZipRefused, before anything was added.
    """
    try:
        archive = zipfile.ZipFile(stream)
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise ZipRefused(name=name, reason=N_("it is damaged or no zip file")) from error
    with archive:
        members = _members(name, archive)
        for label, member in members:
            yield label, _added(archive, label, member, add)


def _members(name: str, archive: zipfile.ZipFile) -> list[tuple[str, zipfile.ZipInfo]]:
    infos = [member for member in archive.infolist() if not member.is_dir()]
    labels = _labels(infos)
    members = [(label, member) for label, member in zip(labels, infos, strict=True) if not _hidden(label)]
    unpacked = sum(member.file_size for _, member in members)
    if len(members) > MOST_FILES:
        reason = phrase(N_("it holds {count} files; the most is {limit}"), count=len(members), limit=MOST_FILES)
        raise ZipRefused(name=name, reason=reason)
    if unpacked > MOST_BYTES:
        size, limit = bytes_text(unpacked), bytes_text(MOST_BYTES)
        raise ZipRefused(
            name=name, reason=phrase(N_("unpacked it has {size}; the most is {limit}"), size=size, limit=limit)
        )
    if not members:
        raise ZipRefused(name=name, reason=N_("it holds no files"))
    return members


def _labels(members: list[zipfile.ZipInfo]) -> list[str]:
    """The names as people gave them: packers that set no mark for UTF-8 write those of their system, often GBK."""
    old = [member for member in members if not member.flag_bits & UTF8_NAMES]
    raw = [member.filename.encode("cp437", "replace") for member in old]
    if all(name.isascii() for name in raw):
        return [member.filename for member in members]
    decoded = dict(zip(map(id, old), decode(b"\n".join(raw)).text.split("\n"), strict=False))
    return [decoded.get(id(member), member.filename) for member in members]


def _hidden(label: str) -> bool:
    parts = PurePosixPath(label.replace("\\", "/")).parts
    return (
        any(part.startswith(".") and part != ".." for part in parts) or "__MACOSX" in parts or parts[-1] == "Thumbs.db"
    )


def _added(archive: zipfile.ZipFile, label: str, member: zipfile.ZipInfo, add: Add) -> DocumentRow | AppError:
    if member.flag_bits & ENCRYPTED:
        return Encrypted(name=label)
    try:
        with archive.open(member) as content:
            return add(label, cast(BinaryIO, _Whole(content, label)))
    except AppError as error:
        return error
    except (zipfile.BadZipFile, NotImplementedError) as error:
        return ZipRefused(name=label, reason=str(error))


class _Whole(io.RawIOBase):
    """A member's content; damage that shows only while it is read is told as such."""

    def __init__(self, content: IO[bytes], label: str) -> None:
        self._content = content
        self._label = label

    def read(self, size: int = -1) -> bytes:
        try:
            return self._content.read(size)
        except (zipfile.BadZipFile, EOFError, OSError, ValueError, RuntimeError) as error:
            raise ZipRefused(name=self._label, reason=N_("it is damaged")) from error
        except Exception as error:
            if type(error).__module__ in ("zlib", "_lzma", "lzma"):
                raise ZipRefused(name=self._label, reason=N_("it is damaged")) from error
            raise
