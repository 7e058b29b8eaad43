"""Knowledge: making a base, filling it, and what each file's row says."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from services.app import Services
from services.knowledge.index.local import rows
from services.knowledge.loaders.reader import Reader
from services.knowledge.types import DocumentRow, DocumentState, Original
from tests.app.pages import field, labels, opened, press, put, speak, words
from tests.fakes.documents import write_encrypted_pdf
from ui import wiring


def test_without_a_base_the_page_teaches_to_create_one(services: Services) -> None:
    app = opened("2_Knowledge")
    assert "No knowledge base yet" in words(app)
    press(app, "Create a knowledge base")
    field(app, "Name").set_value("Garden")
    field(app, "Characters of a chunk").set_value(400)
    press(app, "Create", within="Create a knowledge base")
    (summary,) = services.knowledge.bases()
    assert (summary.base.name, summary.base.chunk_size) == ("Garden", 400)
    assert "This knowledge base is empty" in words(app)
    assert field(app, "Knowledge base").value == summary.base.id


@pytest.mark.parametrize(("name", "said"), [("a/b", "slash"), ("", "name"), ("Garden", "Garden")])
def test_a_name_that_cannot_be_is_refused_in_the_dialog(services: Services, name: str, said: str) -> None:
    services.knowledge.create("Garden")
    app = press(opened("2_Knowledge"), "New")
    field(app, "Name").set_value(name)
    press(app, "Create", within="New")
    alert = words(app).partition('role="alert"')[2]
    assert said in alert and "<p></p>" not in alert
    assert len(services.knowledge.bases()) == 1


def test_chunks_that_overlap_wholly_are_refused(services: Services) -> None:
    services.knowledge.create("Garden")
    app = press(opened("2_Knowledge"), "New")
    field(app, "Name").set_value("Other")
    field(app, "Characters that neighbouring chunks share").set_value(5000)
    press(app, "Create", within="New")
    assert 'role="alert"' in words(app) and len(services.knowledge.bases()) == 1


def test_dropped_files_go_in_and_are_found(services: Services, reader: Reader) -> None:
    base = services.knowledge.create("Garden")
    app = opened("2_Knowledge")
    app.file_uploader[0].upload("pond.md", b"# Pond\n\nIt holds koi.").upload("a.txt", b"Apples.")
    app.run()
    assert not app.exception
    rows = services.knowledge.documents(base)
    assert [(row.name, row.state) for row in rows] == [
        ("a.txt", DocumentState.QUEUED),
        ("pond.md", DocumentState.QUEUED),
    ]
    assert "Working on your files" in words(app) and "0 / 2 files" in words(app)
    assert not app.file_uploader[0].value
    put(services, base, reader)
    app.run()
    assert words(app).count("</span>ready</span>") == 2 and "Working on your files" not in words(app)


def test_a_file_that_is_too_large_is_refused_by_name_and_the_others_go_in(monkeypatch: pytest.MonkeyPatch) -> None:
    wiring.close()
    monkeypatch.setenv("LECTERN_MAX_FILE_BYTES", "1000")
    services = wiring.services()
    base = services.knowledge.create("Garden")
    app = opened("2_Knowledge")
    app.file_uploader[0].upload("big.txt", b"x" * 1001).upload("small.txt", b"koi")
    app.run()
    assert "big.txt" in words(app).partition('role="alert"')[2]
    assert [row.name for row in services.knowledge.documents(base)] == ["small.txt"]


def test_files_that_cannot_be_read_tell_why_and_what_to_do(services: Services, reader: Reader) -> None:
    base = services.knowledge.create("Garden")
    put(services, base, reader, empty_txt=b"", sound_mp3=b"ID3\x03" + b"\0" * 50, pond_txt=b"Koi.")
    app = opened("2_Knowledge")
    html = words(app)
    assert html.count("</span>failed</span>") == 2 and html.count("</span>ready</span>") == 1
    assert "“empty.txt” is empty" in html and "Check the file on your computer" in html
    assert "“sound.mp3” is of a kind that cannot be read" in html and "Convert it to one of" in html
    assert html.index("sound.mp3") < html.index("pond.txt"), "what failed stands first"
    assert "2 failed" in html


def test_a_protected_file_is_tried_again_with_its_password(services: Services, reader: Reader, tmp_path: Path) -> None:
    base = services.knowledge.create("Garden")
    path = write_encrypted_pdf(tmp_path / "l.pdf", "The pump starts at six.", "sesame")
    with path.open("rb") as stream:
        services.knowledge.add(base, "l.pdf", stream)
    put(services, base, reader)
    app = opened("2_Knowledge")
    field(app, "Password").set_value("sesame")
    press(app, "Try again")
    put(services, base, reader)
    (row,) = services.knowledge.documents(base)
    assert row.state is DocumentState.READY and "Password" not in labels(opened("2_Knowledge"))


def test_a_failed_file_is_tried_again(services: Services, reader: Reader) -> None:
    base = services.knowledge.create("Garden")
    put(services, base, reader, empty_txt=b"")
    app = press(opened("2_Knowledge"), "Try again")
    (row,) = services.knowledge.documents(base)
    assert row.state is DocumentState.QUEUED and "Try again" not in labels(app)


def test_removing_a_document_asks_once_and_names_what_goes(services: Services, reader: Reader) -> None:
    base = services.knowledge.create("Garden")
    put(services, base, reader, pond_txt=b"The pond holds koi.")
    app = press(opened("2_Knowledge"), r"Remove pond\.txt")
    assert "1 chunk" in words(app) and len(services.knowledge.documents(base)) == 1
    press(app, "Remove", within=r"Remove pond\.txt")
    assert services.knowledge.documents(base) == [] and "This knowledge base is empty" in words(app)


def test_deleting_a_base_asks_once_and_shows_the_next_one(services: Services) -> None:
    services.knowledge.create("Attic")
    services.knowledge.create("Garden")
    app = press(opened("2_Knowledge"), "Delete")
    assert "This cannot be undone" in words(app) and len(services.knowledge.bases()) == 2
    press(app, "Delete", within="Delete")
    assert [summary.base.name for summary in services.knowledge.bases()] == ["Garden"]
    assert field(app, "Knowledge base").options == ["Garden"]


def test_many_documents_come_in_pages_and_are_found_by_a_part_of_their_name(services: Services, reader: Reader) -> None:
    base = services.knowledge.create("Garden")
    put(services, base, reader, **{f"note {number:02d}_txt": b"Koi %d." % number for number in range(45)})
    app = opened("2_Knowledge")
    assert ("note 00.txt" in words(app), "note 20.txt" in words(app)) == (True, False)
    app.pagination[0].set_value(3)
    app.run()
    assert ("note 00.txt" in words(app), "note 44.txt" in words(app)) == (False, True)
    field(app, "Find a document").set_value("TE 1")
    app.run()
    assert not app.exception and not app.pagination
    assert words(app).count("</span>ready</span>") == 10 and "note 44.txt" not in words(app)
    field(app, "Find a document").set_value("")
    app.run()
    assert not app.exception and "note 00.txt" in words(app)


def test_a_page_of_documents_is_all_that_is_read_of_a_large_base(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = services.knowledge.create("Garden")
    store = services.stores.of(base)
    for number in range(300):
        store.add(f"note {number:03d}.txt", Original(f"{number:064x}", 3))
    read, made = [], rows._document

    def counted(row: sqlite3.Row) -> DocumentRow:
        read.append(row["document_id"])
        return made(row)

    monkeypatch.setattr(rows, "_document", counted)
    app = opened("2_Knowledge")
    assert words(app).count("</span>queued</span>") == 20 and len(read) == 20
    field(app, "Find a document").set_value("29")
    read.clear()
    app.run()
    assert words(app).count("</span>queued</span>") == 13 and len(read) == 13


def test_a_page_that_is_gone_leads_back_to_the_first(services: Services) -> None:
    base = services.knowledge.create("Garden")
    store = services.stores.of(base)
    added = [store.add(f"note {number:02d}.txt", Original(f"{number:064x}", 3)) for number in range(45)]
    app = opened("2_Knowledge")
    app.pagination[0].set_value(3)
    app.run()
    for row in added[:10]:
        store.remove(row.document_id)
    app.run()
    assert "note 10.txt" in words(app) and words(app).count("</span>queued</span>") == 20


def test_the_base_in_the_address_is_the_one_that_is_shown(services: Services) -> None:
    services.knowledge.create("Attic")
    garden = services.knowledge.create("Garden")
    assert field(opened("2_Knowledge", base=garden.id), "Knowledge base").value == garden.id


def test_rows_and_remedies_are_told_in_chinese(services: Services, reader: Reader) -> None:
    base = services.knowledge.create("Garden")
    put(services, base, reader, empty_txt=b"", pond_txt=b"Koi.")
    app = speak(opened("2_Knowledge"), "zh_CN")
    html = words(app)
    assert app.title[0].value == "知识库"
    assert "失败" in html and "就绪" in html and "“empty.txt”是空文件" in html
    assert 'content: "添加文件"' in html
    assert "重试" in labels(app) and "Try again" not in labels(app)
