"""Scanned pages and pictures are read where text recognition is there, and say what helps where it is not."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from services.core.errors import AppError, NoExtractableText
from services.knowledge.loaders.protocol import Limits
from services.knowledge.loaders.reader import Cancelled, Reader
from services.knowledge.loaders.recognition import Line, pieces
from services.serving.environments import Environments
from services.serving.text_recognition import TextRecognition
from tests.fakes.documents import HANZI, WORDS, drawn, shown, write_docx, write_pptx, write_raw_pdf

LIMITS = Limits(pages=100, characters=1_000_000, timeout_s=60, memory_bytes=2 << 30)
DOUBLE = """
class Found:
    def __init__(self, path):
        from PIL import Image
        width, height = Image.open(path).size
        lines = [("low", 0.7), (%r, 0.1), ("noise", 0.4)]
        self.img = __import__("types").SimpleNamespace(shape=(height, width, 3))
        self.txts = tuple(text for text, _ in lines)
        self.scores = (0.99, 0.9, 0.1)
        self.boxes = __import__("numpy").array([
            [[0.1 * width, top * height], [0.9 * width, top * height],
             [0.9 * width, (top + 0.05) * height], [0.1 * width, (top + 0.05) * height]] for _, top in lines])

class RapidOCR:
    def __init__(self, params):
        assert params
    def __call__(self, path):
        if "crash" in open(__file__ + ".mode").read():
            __import__("os")._exit(1)
        return Found(path)
"""


@pytest.fixture
def recognition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TextRecognition:
    """The real program in a process of its own, over a package that finds the same lines on every picture."""
    folder = tmp_path / "packages"
    folder.mkdir()
    (folder / "rapidocr.py").write_text(DOUBLE % HANZI, "utf-8")
    (folder / "rapidocr.py.mode").write_text("", "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return TextRecognition(Environments(tmp_path / "engines"), Path(sys.executable))


@contextmanager
def reading(recognition: TextRecognition | None) -> Iterator[Reader]:
    reader = Reader(LIMITS, recogniser=recognition)
    yield reader
    reader.close()


def wanted() -> bool:
    return False


def test_pages_without_text_are_recognised_and_the_others_left_alone(recognition, tmp_path):
    path = write_raw_pdf(tmp_path / "scan.pdf", [shown(WORDS.encode()), drawn()])
    with reading(recognition) as reader:
        document = reader.read(path, "scan.pdf", wanted)
    first, second = (document.text[page.start : page.end] for page in document.pages)
    assert (first, second) == (WORDS, f"{HANZI}\n\nlow")
    assert [(notice.code, notice.params) for notice in document.notices] == [
        ("pages_recognised", {"pages": "2", "total": 2})
    ]
    box = next(box for box in document.boxes if box.page == 2)
    assert document.text[box.start : box.end] == HANZI
    assert box[3:] == pytest.approx((0.1, 0.1, 0.9, 0.15), abs=0.001)


def test_a_picture_is_read_frame_by_frame(recognition, tmp_path):
    frames = [Image.new("L", (300, 400), shade) for shade in (255, 200)]
    frames[0].save(tmp_path / "scan.tiff", save_all=True, append_images=frames[1:])
    with reading(recognition) as reader:
        document = reader.read(tmp_path / "scan.tiff", "scan.tiff", wanted)
    assert (document.media_type, len(document.pages)) == ("image/tiff", 2)
    assert document.text == f"{HANZI}\n\nlow\n\n{HANZI}\n\nlow"


def picture(size: tuple[int, int] = (400, 300), shade: int = 200) -> BytesIO:
    file = BytesIO()
    Image.new("L", size, shade).save(file, "PNG")
    return BytesIO(file.getvalue())


def test_pictures_in_a_word_file_are_read_where_they_stand_and_icons_left_alone(recognition, tmp_path):
    def fill(word):
        word.add_picture(picture((20, 20)))
        word.add_paragraph(WORDS)
        word.add_picture(picture())
        word.add_paragraph("after")
        word.add_picture(picture())  # the same one again
        word.add_table(1, 1).cell(0, 0).paragraphs[0].add_run().add_picture(picture(shade=90))

    path = write_docx(tmp_path / "manual.docx", fill)
    with reading(recognition) as reader:
        document = reader.read(path, "manual.docx", wanted)
    seen = f"{HANZI}\n\nlow"
    assert document.text == f"{WORDS}\n\n{seen}\n\nafter\n\n{seen}"
    assert [(notice.code, notice.params) for notice in document.notices] == [("pictures_recognised", {"count": 2})]


def test_a_slide_that_is_a_picture_is_read(recognition, tmp_path):
    def fill(slides):
        for number, shade in enumerate((200, 100), 1):
            slide = slides.slides.add_slide(slides.slide_layouts[5])
            slide.shapes.title.text = f"Slide {number}"
            slide.shapes.add_picture(picture(shade=shade), 0, 0)

    path = write_pptx(tmp_path / "talk.pptx", fill)
    with reading(recognition) as reader:
        document = reader.read(path, "talk.pptx", wanted)
    pages = [document.text[page.start : page.end] for page in document.pages]
    assert pages == [f"Slide {number}\n\n{HANZI}\n\nlow" for number in (1, 2)]


def test_pictures_that_nobody_looked_at_are_counted(tmp_path):
    def fill(word):
        word.add_paragraph(WORDS)
        word.add_picture(picture())

    path = write_docx(tmp_path / "manual.docx", fill)
    with reading(None) as reader:
        document = reader.read(path, "manual.docx", wanted)
    assert document.text == WORDS
    assert [(notice.code, notice.params) for notice in document.notices] == [("pictures_unread", {"count": 1})]


def test_without_it_the_pages_are_named_with_what_helps(tmp_path):
    mixed = write_raw_pdf(tmp_path / "mixed.pdf", [shown(WORDS.encode()), drawn()])
    scan = write_raw_pdf(tmp_path / "scan.pdf", [drawn()])
    with reading(None) as reader:
        (notice,) = reader.read(mixed, "mixed.pdf", wanted).notices
        assert (notice.code, notice.params) == ("pages_without_text", {"pages": "2", "total": 2})
        with pytest.raises(NoExtractableText) as caught:
            reader.read(scan, "scan.pdf", wanted)
    assert "lectern engine install ocr" in caught.value.render().remedy


def test_a_program_that_dies_costs_only_its_pages(recognition, tmp_path):
    (tmp_path / "packages" / "rapidocr.py.mode").write_text("crash", "utf-8")
    path = write_raw_pdf(tmp_path / "mixed.pdf", [shown(WORDS.encode()), drawn(), drawn()])
    with reading(recognition) as reader:
        document = reader.read(path, "mixed.pdf", wanted)
    assert document.text.strip() == WORDS
    assert [notice.code for notice in document.notices] == ["pages_without_text"]


def test_nobody_waits_for_a_reading_that_was_given_up(recognition: TextRecognition, tmp_path: Path) -> None:
    path = write_raw_pdf(tmp_path / "scan.pdf", [drawn()] * 3)
    asked: list[Path] = []

    class Counting:
        def ready(self) -> bool:
            return True

        @contextmanager
        def session(self, given_up: Callable[[], bool]) -> Iterator[Callable[[Path], list[Line] | None]]:
            with recognition.session(given_up) as read:

                def counted(picture: Path) -> list[Line] | None:
                    asked.append(picture)
                    return read(picture)

                yield counted

    reader = Reader(LIMITS, recogniser=Counting())
    with pytest.raises(Cancelled):
        reader.read(path, "scan.pdf", lambda: bool(asked))
    assert len(asked) == 1


def test_it_is_ready_when_its_environment_is_built(tmp_path):
    recognition = TextRecognition(Environments(tmp_path))
    assert not recognition.ready()
    with pytest.raises((AppError, OSError)), recognition.session(wanted):
        pytest.fail("there is no program to start")


def line(text: str, left: float, top: float, right: float) -> Line:
    return (text, left, top, right, top + 0.02)


def test_what_stands_in_one_row_is_read_from_left_to_right():
    found = pieces(
        [line("b", 0.5, 0.101, 0.6), line("a", 0.1, 0.1, 0.2), line("c", 0.1, 0.13, 0.2), line("d", 0.1, 0.5, 1)]
    )
    assert "".join(piece.text for piece in found) == "a\tb\nc\n\nd"


def test_two_columns_of_prose_are_read_one_after_the_other():
    rows = [0.2 + 0.03 * number for number in range(10)]
    left = [line(f"l{number}", 0.1, top, 0.48) for number, top in enumerate(rows)]
    right = [line(f"r{number}", 0.52, top, 0.9) for number, top in enumerate(rows)]
    text = "".join(piece.text for piece in pieces([line("title", 0.1, 0.1, 0.9), *right, *left]))
    assert text.split() == ["title", *(f"l{number}" for number in range(10)), *(f"r{number}" for number in range(10))]
