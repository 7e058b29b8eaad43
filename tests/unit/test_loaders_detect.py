"""Content decides how a file is read; the name decides only among kinds of plain text."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from services.core.document_errors import Damaged
from services.core.errors import EmptyFile, Encrypted, UnsupportedFormat
from services.knowledge.loaders.detect import choose_loader
from tests.fakes.documents import write_usual


def chosen(path: Path, name: str) -> str:
    return choose_loader(path, name).extensions[0]


@pytest.mark.parametrize("suffix", [".pdf", ".docx", ".html"])
def test_a_wrong_extension_does_not_mislead(suffix, tmp_path):
    path = write_usual(tmp_path / f"usual{suffix}")
    assert chosen(path, "renamed.txt") == suffix


def test_a_file_without_extension_is_known_by_its_content(tmp_path):
    assert chosen(write_usual(tmp_path / "usual.pdf"), "minutes") == ".pdf"
    assert chosen(write_usual(tmp_path / "usual.txt"), "minutes") == ".txt"


def test_the_extension_counts_in_capitals_too(tmp_path):
    assert chosen(write_usual(tmp_path / "usual.md"), "NOTES.MD") == ".md"


def test_text_of_an_unknown_extension_is_plain_text(tmp_path):
    assert chosen(write_usual(tmp_path / "usual.txt"), "nginx.conf") == ".txt"


@pytest.mark.parametrize("content", [b"", b" \r\n\t \n", b"\xef\xbb\xbf\n", b"\xff\xfe \x00\n\x00"])
def test_nothing_but_white_space_is_an_empty_file(content, tmp_path):
    path = tmp_path / "empty"
    path.write_bytes(content)
    with pytest.raises(EmptyFile):
        choose_loader(path, "empty.txt")


def test_a_recording_is_unsupported_and_named(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"ID3\x03" + bytes(100))
    with pytest.raises(UnsupportedFormat) as caught:
        choose_loader(path, "plan.pdf.txt")
    assert caught.value.params["kind"] == "mp3"
    assert ".pdf" in caught.value.params["supported"]


def test_an_archive_is_unsupported(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "text")
    with pytest.raises(UnsupportedFormat):
        choose_loader(path, "x.zip")


@pytest.mark.parametrize("name", ["plan.pdf", "plan.docx"])
def test_other_content_under_a_known_name_is_damaged(name, tmp_path):
    path = tmp_path / "x"
    path.write_bytes(os.urandom(1000).replace(b"%PDF", b"").replace(b"PK", b""))
    with pytest.raises((Damaged, UnsupportedFormat)):
        choose_loader(path, name)
    path.write_text("This is not what the name says.")
    with pytest.raises(Damaged):
        choose_loader(path, name)


def test_an_office_file_with_a_password_is_encrypted(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(
        bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600) + "EncryptedPackage".encode("utf-16-le") + bytes(99)
    )
    with pytest.raises(Encrypted):
        choose_loader(path, "plan.docx")
