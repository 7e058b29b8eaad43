"""Pages are drawn in children, where text stands is known, and what is kept stays small."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from PIL import Image

from services.core.document_errors import Damaged
from services.core.errors import Encrypted, InvalidValue, UnsupportedFormat
from services.knowledge.loaders.drawing import MOST_PIXELS, Wanted, drawn
from services.knowledge.loaders.protocol import Limits
from services.knowledge.page_images import PageImages
from tests.fakes.documents import WORDS, shown, write_encrypted_pdf, write_raw_pdf
from tests.fakes.documents import drawn as filled

WIDTH_PX = 200


@pytest.fixture
def images() -> PageImages:
    return PageImages()


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return write_raw_pdf(tmp_path / "one.pdf", [filled(), shown(b"second")])


def opened(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png))


def test_a_page_is_drawn_as_wide_as_asked_and_kept(images, page, tmp_path):
    folder = tmp_path / "kept"
    png = images.png(folder, page, "one.pdf", 1, WIDTH_PX)
    picture = opened(png)
    assert (picture.format, picture.size) == ("PNG", (200, 267))
    assert picture.convert("L").getextrema() == (0, 255), "the drawing is there"
    page.unlink()
    assert images.png(folder, page, "one.pdf", 1, WIDTH_PX) == png, "the second look draws nothing"


def test_what_was_not_looked_at_for_longest_makes_room(page, tmp_path):
    images, folder = PageImages(kept_bytes=1), tmp_path / "kept"
    for number in (1, 2):
        images.png(folder, page, "one.pdf", number, WIDTH_PX)
    assert list(folder.iterdir()) == []


def test_what_cannot_be_drawn_says_why(images, page, tmp_path):
    folder, text = tmp_path / "kept", tmp_path / "a.txt"
    text.write_text(WORDS, "utf-8")
    locked = write_encrypted_pdf(tmp_path / "locked.pdf", WORDS, "secret")
    cut = tmp_path / "cut.pdf"
    cut.write_bytes(b"%PDF-1.7\nnothing")
    for path, number, width, kind in (
        (page, 3, WIDTH_PX, InvalidValue),
        (page, 1, 0, InvalidValue),
        (text, 1, WIDTH_PX, UnsupportedFormat),
        (locked, 1, WIDTH_PX, Encrypted),
        (cut, 1, WIDTH_PX, Damaged),
    ):
        with pytest.raises(kind):
            images.png(folder, path, path.name, number, width)
    assert not folder.exists()


def test_a_child_that_does_not_finish_costs_only_its_picture(tmp_path):
    endless = tmp_path / "endless"
    os.mkfifo(endless)  # opening it waits for a writer
    images = PageImages(Limits(0, 0, timeout_s=0, memory_bytes=2 << 30))
    with pytest.raises(Damaged):
        images.png(tmp_path / "kept", endless, "endless.pdf", 1, WIDTH_PX)


def test_an_extreme_page_is_drawn_within_bounds(tmp_path):
    Image.new("L", (500, 60_000)).save(tmp_path / "strip.png")
    picture = drawn(Wanted(tmp_path / "strip.png", "strip.png", 1, 4000))
    assert picture.width * picture.height <= MOST_PIXELS * 1.01
