"""Small real documents, written when a test needs them."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import docx
import openpyxl  # type: ignore[import-untyped]
import pptx
from fpdf import FPDF
from PIL import Image
from pypdf import PdfReader, PdfWriter
from pypdf.generic import ArrayObject, DictionaryObject, FloatObject, NameObject, TextStringObject

from services.knowledge.loaders.record import Record

WORDS = "The pump of the north well starts at six in the morning."
HANZI = "北区水井的水泵每天早上六点启动，值班人员应在五点四十分之前检查阀门。"
TABLE = [["Part", "Price", "Delivery"], ["Seal", "16.50", "2 days"], ["Lamp", "64.00", "3 days"]]


def write_pdf(path: Path, pages: Sequence[str], *, bookmarks: Sequence[str] = ()) -> Path:
    """A PDF with these pages; a bookmark leads to the top of the page of the same index."""
    pdf = FPDF()
    for index, text in enumerate(pages):
        pdf.add_page()
        pdf.set_font("helvetica", size=12)
        if index < len(bookmarks):
            pdf.start_section(bookmarks[index])
        pdf.multi_cell(0, 6, text)
    pdf.output(str(path))
    return path


def write_raw_pdf(path: Path, contents: Sequence[bytes]) -> Path:
    """A PDF whose pages hold these content streams; /F1 is Helvetica."""
    kids = b" ".join(b"%d 0 R" % (4 + 2 * index) for index in range(len(contents)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [" + kids + b"] /Count %d >>" % len(contents),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for index, content in enumerate(contents):
        packed = zlib.compress(content)
        objects += [
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Resources << /Font << /F1 3 0 R >> >> "
            b"/Contents %d 0 R >>" % (5 + 2 * index),
            b"<< /Length %d /Filter /FlateDecode >> stream\n" % len(packed) + packed + b"\nendstream",
        ]
    body, offsets = bytearray(b"%PDF-1.7\n"), []
    for number, content in enumerate(objects, 1):
        offsets.append(len(body))
        body += b"%d 0 obj\n" % number + content + b"\nendobj\n"
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    body += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1) + table
    body += b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, body.index(b"xref\n0 "))
    path.write_bytes(body)
    return path


def write_chinese_pdf(path: Path, placed: Sequence[tuple[str, int, int]], drawn: str = "") -> Path:
    """A page of Chinese lines at these places, in a font that readers bring along, over what is drawn."""
    shown = drawn + "".join(
        f"BT /F1 12 Tf {x} {y} Td <{text.encode('utf-16-be').hex()}> Tj ET\n" for text, x, y in placed
    )
    writer = PdfWriter(clone_from=write_raw_pdf(path, [shown.encode()]))
    named, words = NameObject, TextStringObject
    system = {"/Registry": words("Adobe"), "/Ordering": words("GB1"), "/Supplement": FloatObject(2)}
    descendant = {
        "/Type": named("/Font"),
        "/Subtype": named("/CIDFontType0"),
        "/BaseFont": named("/STSong-Light"),
        "/CIDSystemInfo": DictionaryObject({named(key): value for key, value in system.items()}),
    }
    font = {
        "/Type": named("/Font"),
        "/Subtype": named("/Type0"),
        "/BaseFont": named("/STSong-Light"),
        "/Encoding": named("/UniGB-UCS2-H"),
        "/DescendantFonts": ArrayObject([DictionaryObject({named(key): value for key, value in descendant.items()})]),
    }
    fonts = writer.pages[0]["/Resources"]["/Font"]  # type: ignore[index]
    fonts[named("/F1")] = DictionaryObject({named(key): value for key, value in font.items()})
    writer.write(path)
    return path


def shown(text: bytes) -> bytes:
    """A content stream that shows one line."""
    return b"BT /F1 12 Tf 50 700 Td (" + text + b") Tj ET"


def drawn() -> bytes:
    """A content stream with a picture and no text."""
    return b"q 100 0 0 100 50 600 cm BI /W 2 /H 2 /BPC 8 /CS /G ID \x00\xff\xff\x00 EI Q"


def write_encrypted_pdf(path: Path, text: str, password: str) -> Path:
    """A PDF that opens with a password; an empty one opens by itself."""
    writer = PdfWriter(PdfReader(write_pdf(path, [text])))
    writer.encrypt(password, owner_password="owner", algorithm="RC4-128")
    with path.open("wb") as file:
        writer.write(file)
    return path


def write_docx(path: Path, fill: Callable[[Any], None]) -> Path:
    """A Word document that `fill` has written."""
    document = docx.Document()
    fill(document)
    document.save(str(path))
    return path


def fill_usual(document: Any) -> None:
    """Headings of two levels, paragraphs around a table, a list."""
    document.add_heading("Station", level=1)
    document.add_paragraph(WORDS)
    document.add_heading("Prices", level=2)
    add_table(document, TABLE)
    document.add_paragraph(HANZI)
    document.add_paragraph("Bring gloves", style="List Bullet")


def add_table(document: Any, rows: Sequence[Sequence[str]]) -> Any:
    """Add a table with these cells."""
    table = document.add_table(rows=0, cols=len(rows[0]))
    for row in rows:
        for cell, text in zip(table.add_row().cells, row, strict=True):
            cell.text = text
    return table


def write_pptx(path: Path, fill: Callable[[Any], None]) -> Path:
    """A presentation that `fill` has written."""
    slides = pptx.Presentation()
    fill(slides)
    slides.save(str(path))
    return path


def add_slide(slides: Any, title: str, body: str) -> Any:
    """Add a slide with a title and a text."""
    slide = slides.slides.add_slide(slides.slide_layouts[1])
    slide.shapes.title.text = title
    slide.placeholders[1].text = body
    return slide


def fill_usual_slides(slides: Any) -> None:
    """Two slides, one in each language."""
    add_slide(slides, "Station", WORDS)
    add_slide(slides, "Prices", HANZI)


def write_xlsx(path: Path, sheets: Mapping[str, Sequence[Sequence[Any]]]) -> Path:
    """A workbook with these sheets."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    book.save(path)
    return path


def write_epub(path: Path, chapters: Sequence[tuple[str, str]], title: str = "The station") -> Path:
    """A book whose spine runs against the order of its files."""
    items = [(f"c{len(chapters) - number}", html) for number, (_, html) in enumerate(chapters)]
    manifest = "".join(
        f'<item id="{name}" href="{name}.xhtml" media-type="application/xhtml+xml"/>' for name, _ in sorted(items)
    )
    spine = "".join(f'<itemref idref="{name}"/>' for name, _ in items)
    with zipfile.ZipFile(path, "w") as book:
        book.writestr("mimetype", "application/epub+zip")
        rootfile = '<rootfiles><rootfile full-path="text/book.opf"/></rootfiles>'
        book.writestr("META-INF/container.xml", f"<container>{rootfile}</container>")
        book.writestr(
            "text/book.opf",
            f"<package><metadata><title>{title}</title></metadata>"
            f"<manifest>{manifest}</manifest><spine>{spine}</spine></package>",
        )
        for (heading, body), (name, _) in zip(chapters, items, strict=True):
            book.writestr(
                f"text/{name}.xhtml",
                f'<html xmlns="http://www.w3.org/1999/xhtml"><body><h1>{heading}</h1><p>{body}</p></body></html>',
            )
    return path


def write_eml(path: Path, subject: str, body: str, attachments: Mapping[str, bytes] | None = None) -> Path:
    """A message as mail programs save it."""
    message = EmailMessage()
    message["From"], message["To"] = "王伟 <wang@example.org>", "team@example.org"
    message["Subject"], message["Date"] = subject, "Mon, 05 Feb 2024 06:00:00 +0000"
    message["Message-ID"] = "<1@example.org>"
    message.set_content(body)
    for name, content in (attachments or {}).items():
        message.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    path.write_bytes(message.as_bytes())
    return path


def write_usual(path: Path) -> Path:
    """A document in the format of the path's extension, with `WORDS` in it."""
    texts = {
        ".txt": f"Station\n\n{WORDS}\n{HANZI}\n",
        ".md": f"# Station\n\n{WORDS}\n\n## Prices\n\n{HANZI}\n",
        ".html": f"<!doctype html><html><h1>Station</h1><p>{WORDS}</p><h2>Prices</h2><p>{HANZI}</p></html>",
        ".record": Record("1", f"Station\n\n{WORDS}\n{HANZI}", {}).packed().decode(),
        ".csv": f"Part,Note\nSeal,{WORDS}\nLamp,{HANZI}\n",
    }
    if path.suffix == ".pdf":
        return write_pdf(path, [f"Station\n{WORDS}", "Prices\nSeal 16.50"], bookmarks=["Station", "Prices"])
    if path.suffix == ".docx":
        return write_docx(path, fill_usual)
    if path.suffix == ".pptx":
        return write_pptx(path, fill_usual_slides)
    if path.suffix == ".xlsx":
        return write_xlsx(path, {"Notes": [["Part", "Note"], ["Seal", WORDS], ["Lamp", HANZI]]})
    if path.suffix == ".png":
        Image.new("L", (60, 80), 255).save(path)
        return path
    if path.suffix == ".epub":
        return write_epub(path, [("Station", WORDS), ("Prices", HANZI)])
    if path.suffix == ".eml":
        return write_eml(path, "Station", f"{WORDS}\n\n{HANZI}\n")
    path.write_text(texts[path.suffix], "utf-8")
    return path
