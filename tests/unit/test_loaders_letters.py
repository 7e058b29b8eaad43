"""Messages with what is attached to them, and books in the order of their spine."""

from __future__ import annotations

import zipfile
from email.message import EmailMessage
from pathlib import Path

import pytest

from services.core.document_errors import Damaged
from services.core.errors import Encrypted
from services.knowledge.loaders import eml, epub
from services.knowledge.loaders.child import read_here
from services.knowledge.loaders.detect import choose_loader
from services.knowledge.loaders.protocol import Limits
from tests.fakes.documents import HANZI, WORDS, write_docx, write_eml, write_epub

LIMITS = Limits(pages=100, characters=1_000_000, timeout_s=30, memory_bytes=2 << 30)


def test_a_message_keeps_who_when_and_what(tmp_path):
    path = write_eml(tmp_path / "m.eml", "水泵 report", f"{WORDS}\n\n{HANZI}\n")
    document = eml.LOADER.load(path, "m.eml", LIMITS)
    assert document.text == (
        "水泵 report\n\nFrom: 王伟 <wang@example.org>\nTo: team@example.org\nDate: Mon, 05 Feb 2024 06:00:00 +0000\n\n"
        f"{WORDS}\n\n{HANZI}"
    )
    assert [heading.title for heading in document.headings] == ["水泵 report"]


def test_attachments_are_read_by_their_own_loaders_or_named(tmp_path):
    def fill(word):
        word.add_heading("Inside", level=1)
        word.add_paragraph(WORDS)

    word = write_docx(tmp_path / "w.docx", fill).read_bytes()
    files = {"报告.docx": word, "list.csv": b"Part,Price\nSeal,16.50\n", "noise.bin": bytes(range(256)) * 9}
    document = eml.LOADER.load(write_eml(tmp_path / "m.eml", "Files", "See below.", files), "m.eml", LIMITS)
    assert [(heading.title, heading.level) for heading in document.headings] == [
        ("Files", 1), ("报告.docx", 2), ("Inside", 3), ("list.csv", 2), ("noise.bin", 2)
    ]  # fmt: skip
    assert WORDS in document.text and "Part: Seal; Price: 16.50" in document.text
    assert [(notice.code, notice.params) for notice in document.notices] == [
        ("attachments_unread", {"names": "noise.bin"})
    ]


def test_messages_within_messages_are_read_to_a_depth(tmp_path):
    message = EmailMessage()
    message["From"], message["Subject"], message["Date"] = "a@x", "depth 9", "Mon, 05 Feb 2024 06:00:00 +0000"
    message.set_content("innermost")
    for depth in range(8, 0, -1):
        outer = EmailMessage()
        outer["From"], outer["Subject"], outer["Date"] = "a@x", f"depth {depth}", "Mon, 05 Feb 2024 06:00:00 +0000"
        outer.set_content(f"body {depth}")
        outer.add_attachment(message)
        message = outer
    path = tmp_path / "deep.eml"
    path.write_bytes(message.as_bytes())
    text = eml.LOADER.load(path, "deep.eml", LIMITS).text
    assert "body 3" in text and "body 4" not in text


def test_html_bodies_in_chinese_charsets_are_read(tmp_path):
    message = EmailMessage()
    message["From"], message["Subject"], message["Date"] = "a@x", "通知", "Mon, 05 Feb 2024 06:00:00 +0000"
    message.set_content(f"<p>{HANZI}</p><script>x()</script><img src='http://127.0.0.1:9/x.png'>", "html", "gb18030")
    path = tmp_path / "h.eml"
    path.write_bytes(message.as_bytes())
    text = eml.LOADER.load(path, "h.eml", LIMITS).text
    assert HANZI in text and "x()" not in text and "127.0.0.1" not in text


@pytest.mark.parametrize("name", ["m.eml", "m", "m.txt"])
def test_a_message_is_known_by_its_headers(name, tmp_path):
    path = write_eml(tmp_path / "m", "Station", WORDS)
    assert isinstance(choose_loader(path, name), eml.EmlLoader)


def test_a_text_that_begins_like_a_letter_is_no_message(tmp_path):
    path = tmp_path / "note.txt"
    path.write_text(f"Subject: pumps\n\n{WORDS}\n", "utf-8")
    assert not isinstance(choose_loader(path, path.name), eml.EmlLoader)


def test_a_book_is_read_along_its_spine(tmp_path):
    path = write_epub(tmp_path / "b.epub", [("第一章", HANZI), ("Second", WORDS)], title="泵站 book")
    document = epub.LOADER.load(path, "b.epub", LIMITS)
    assert document.text == f"泵站 book\n\n第一章\n\n{HANZI}\n\nSecond\n\n{WORDS}"
    assert [heading.title for heading in document.headings] == ["泵站 book", "第一章", "Second"]


def rewritten(path: Path, changed: dict[str, str]) -> Path:
    """The archive with other contents for some members; an empty one leaves its member out."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name).decode() for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**members, **changed}.items():
            if content:
                archive.writestr(name, content)
    return path


def test_a_chapter_that_is_not_in_the_file_is_said(tmp_path):
    path = write_epub(tmp_path / "b.epub", [("One", WORDS), ("Two", HANZI)])
    document = epub.LOADER.load(rewritten(path, {"text/c1.xhtml": ""}), "b.epub", LIMITS)
    assert [(notice.code, notice.params) for notice in document.notices] == [
        ("chapters_missing", {"names": "text/c1.xhtml"})
    ]


def test_protected_and_damaged_books_are_refused_by_name(tmp_path):
    method = '<x><EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/></x>'
    locked = rewritten(write_epub(tmp_path / "l.epub", [("One", WORDS)]), {"META-INF/encryption.xml": method})
    with pytest.raises(Encrypted):
        epub.LOADER.load(locked, "l.epub", LIMITS)
    broken = rewritten(write_epub(tmp_path / "d.epub", [("One", WORDS)]), {"text/book.opf": "<package"})
    with pytest.raises(Damaged):
        epub.LOADER.load(broken, "d.epub", LIMITS)


def test_no_entity_of_a_book_is_resolved(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("TOP SECRET", "utf-8")
    entity = f'<!DOCTYPE x [<!ENTITY e SYSTEM "{secret.as_uri()}">]>'
    page = f"{entity}<html><body><p>&e; {WORDS}</p></body></html>"
    package = f"{entity}<package><metadata><title>&e;</title></metadata><manifest>" + (
        '<item id="c1" href="c1.xhtml" media-type="application/xhtml+xml"/></manifest>'
        '<spine><itemref idref="c1"/></spine></package>'
    )
    path = write_epub(tmp_path / "x.epub", [("One", WORDS)])
    outcome = read_here(rewritten(path, {"text/c1.xhtml": page, "text/book.opf": package}), "x.epub", LIMITS)
    assert outcome.document is not None and WORDS in outcome.document.text
    assert "SECRET" not in outcome.document.text
