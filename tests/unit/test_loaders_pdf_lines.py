"""Lines of a PDF's page: joined where they are one line, with their places, and what stands beside them."""

from __future__ import annotations

from pathlib import Path

import pytest
from pypdf import PdfWriter
from pypdf.annotations import FreeText
from pypdf.generic import ArrayObject, DictionaryObject, FloatObject, NameObject, TextStringObject

from services.core.document_errors import Garbled, PasswordWrong
from services.core.errors import Encrypted
from services.knowledge.loaders import pdf
from services.knowledge.loaders.protocol import Aids, Limits
from services.knowledge.types import Extracted
from tests.fakes.documents import WORDS, shown, write_chinese_pdf, write_encrypted_pdf, write_raw_pdf

LIMITS = Limits(pages=100, characters=1_000_000, timeout_s=30, memory_bytes=2 << 30)


def read(path: Path) -> Extracted:
    return pdf.LOADER.load(path, path.name, LIMITS)


def put(text: str, x: int, y: int, size: int = 12) -> bytes:
    return f"BT /F1 {size} Tf {x} {y} Td ({text}) Tj ET\n".encode()


def test_raised_letters_and_cells_stay_in_their_line(tmp_path):
    raised = put("Ghosh", 50, 700) + put("1", 83, 705, 7) + put(", Sergey", 88, 700)
    cells = put("Seal", 50, 600) + put("16.50", 200, 600) + put("2 days", 350, 600) + put("below", 50, 580)
    text = read(write_raw_pdf(tmp_path / "l.pdf", [raised, cells])).text
    assert text.split("\n\n")[0].replace(" ", "") == "Ghosh1,Sergey"
    assert [line.split() for line in text.split("\n\n")[1].splitlines()] == [["Seal", "16.50", "2", "days"], ["below"]]


def test_words_are_put_together_and_compounds_keep_their_hyphen(tmp_path):
    page = b"".join(
        put(line, 50, 700 - 14 * number)
        for number, line in enumerate(
            ["a dual-encoder and some infor-", "mation for the dual-", "encoder of Lucene-", "BM25"]
        )
    )
    text = read(write_raw_pdf(tmp_path / "h.pdf", [page])).text.replace("\n", " ")
    assert "information" in text and text.count("dual-encoder") == 2 and "Lucene-BM25" in text


def test_lines_of_chinese_that_were_full_are_one_sentence(tmp_path):
    page = [
        ("租约的主要条款如下", 50, 700),
        ("承租方应当在每月五日以前支付当月租", 50, 680),
        ("金，逾期按日收取滞纳金，并由出租方", 50, 662),
        ("书面通知。", 50, 644),
        ("押金在合同终止以后的三十日以内退还", 74, 626),
        ("三、其他约定", 50, 608),
    ]
    text = read(write_chinese_pdf(tmp_path / "z.pdf", page)).text
    assert text.strip().splitlines() == [
        "租约的主要条款如下",
        "承租方应当在每月五日以前支付当月租金，逾期按日收取滞纳金，并由出租方书面通知。",
        "押金在合同终止以后的三十日以内退还",
        "三、其他约定",
    ]


def test_lines_of_words_that_were_full_are_one_sentence(tmp_path):
    page = b"".join(
        put(line, x, y)
        for line, x, y in [
            ("The most important terms of this agreement", 50, 700),
            ("The tenant pays the rent of a month before its fifth", 62, 680),
            ("day; after that a fee is due for every day, of which the", 50, 666),
            ("USA branch sends a written notice.", 50, 652),
            ("Deposits are returned within thirty days after", 50, 638),
            ("Easter. This line is too short to have been full,", 50, 624),
            ("as they say", 50, 610),
            ("the next word would have had room in it, as we can all see here", 50, 596),
            ("an indented line is the first one of another paragraph", 80, 582),
            ("- E44: water in the housing. Switch off at once and send it to", 50, 550),
            ("the service, whose address is below.", 60, 536),
        ]
    )
    text = read(write_raw_pdf(tmp_path / "w.pdf", [page])).text
    assert text.strip().splitlines() == [
        "The most important terms of this agreement",
        "The tenant pays the rent of a month before its fifth day; after that a fee is due for every day, of which the "
        "USA branch sends a written notice.",
        "Deposits are returned within thirty days after",
        "Easter. This line is too short to have been full, as they say",
        "the next word would have had room in it, as we can all see here",
        "an indented line is the first one of another paragraph",
        "- E44: water in the housing. Switch off at once and send it to the service, whose address is below.",
    ]


def test_boxes_follow_the_page_as_it_is_shown(tmp_path):
    path = write_raw_pdf(tmp_path / "t.pdf", [shown(WORDS.encode())])
    writer = PdfWriter(clone_from=path)
    writer.pages[0].rotate(90)
    writer.write(path)
    (box,) = read(path).boxes
    assert box.bottom - box.top > 4 * (box.right - box.left), "it runs downwards now"
    assert box.left > 0.8, "what was the top is the right side now"


def test_fields_and_notes_are_read_and_a_broken_page_is_left_alone(tmp_path):
    path = write_raw_pdf(tmp_path / "f.pdf", [shown(b"Form")])
    writer = PdfWriter(clone_from=path)
    corners = ArrayObject([FloatObject(edge) for edge in (50, 500, 200, 520)])
    field = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Annot"),
            NameObject("/Subtype"): NameObject("/Widget"),
            NameObject("/FT"): NameObject("/Tx"),
            NameObject("/T"): TextStringObject("name"),
            NameObject("/V"): TextStringObject("王伟"),
            NameObject("/Rect"): corners,
        }
    )
    reference = writer._add_object(field)
    writer.pages[0][NameObject("/Annots")] = ArrayObject([reference])
    form = DictionaryObject({NameObject("/Fields"): ArrayObject([reference])})
    writer._root_object[NameObject("/AcroForm")] = writer._add_object(form)
    writer.add_annotation(0, FreeText(text="check the seal", rect=(50, 400, 200, 420)))
    writer.write(path)
    assert read(path).text == "Form\nname: 王伟\ncheck the seal"


def test_a_garbled_page_is_left_out_and_named_and_asked_for(tmp_path):
    noise = shown(rb"\001\002\003\004 \005\006\007" * 9)
    aids = Aids()
    path = write_raw_pdf(tmp_path / "g.pdf", [shown(WORDS.encode()), noise])
    document = pdf.LOADER.load_with(path, "g.pdf", LIMITS, aids)
    assert document.text.strip() == WORDS and aids.unread == [2]
    assert [(notice.code, notice.params) for notice in document.notices] == [
        ("pages_unreadable", {"pages": "2", "total": 2})
    ]
    with pytest.raises(Garbled):
        read(write_raw_pdf(tmp_path / "all.pdf", [noise]))


def test_a_password_opens_and_a_wrong_one_says_so(tmp_path):
    path = write_encrypted_pdf(tmp_path / "p.pdf", WORDS, "secret")
    with pytest.raises(Encrypted):
        read(path)
    with pytest.raises(PasswordWrong):
        pdf.LOADER.load_with(path, "p.pdf", LIMITS, Aids("wrong"))
    assert WORDS in pdf.LOADER.load_with(path, "p.pdf", LIMITS, Aids("secret")).text
    assert "secret" not in repr(Aids("secret"))


def test_a_page_of_drawn_letters_is_asked_for_and_a_blank_one_is_not(tmp_path):
    strokes = b"".join(b"%d 700 m %d 712 l S\n" % (50 + 9 * n, 52 + 9 * n) for n in range(40))
    aids = Aids()
    path = write_raw_pdf(tmp_path / "s.pdf", [shown(WORDS.encode()), strokes, b""])
    document = pdf.LOADER.load_with(path, "s.pdf", LIMITS, aids)
    assert aids.unread == [2] and [notice.code for notice in document.notices] == ["pages_without_text"]
