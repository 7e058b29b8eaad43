"""What every loader keeps, whatever the format; a new one is covered as soon as it is there."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from services.core.errors import DocumentError, TooLarge
from services.knowledge.loaders.assembly import normalise
from services.knowledge.loaders.child import read_here
from services.knowledge.loaders.detect import choose_loader
from services.knowledge.loaders.protocol import Aids, HelpedLoader, Limits, Loader
from services.knowledge.loaders.registry import all_loaders, supported_extensions
from services.knowledge.positions import Piece
from services.knowledge.types import Extracted
from tests.fakes.documents import WORDS, write_usual

LIMITS = Limits(pages=100, characters=100_000, timeout_s=30, memory_bytes=2 << 30)
LOADERS = pytest.mark.parametrize("loader", all_loaders(), ids=lambda loader: type(loader).__name__)


def usual(folder: Path, loader: Loader) -> Path:
    return write_usual(folder / f"usual{loader.extensions[0]}")


def loaded(loader: Loader, path: Path, limits: Limits = LIMITS) -> Extracted:
    """The document; where a format shows text only as pictures, with what was recognised on its page."""
    if isinstance(loader, HelpedLoader):
        aids = Aids(recognised={1: (Piece(WORDS, (0.1, 0.1, 0.9, 0.2)),)})
        return loader.load_with(path, "usual", limits, aids)
    return loader.load(path, "usual", limits)


def test_the_formats_of_the_first_milestone_are_there():
    assert {".pdf", ".docx", ".html", ".md", ".txt", ".csv"} <= set(supported_extensions())


def test_no_extension_belongs_to_two_loaders():
    extensions = [extension for loader in all_loaders() for extension in loader.extensions]
    assert len(extensions) == len(set(extensions))


@LOADERS
def test_a_usual_file_is_chosen_by_its_own_loader(loader, tmp_path):
    path = usual(tmp_path, loader)
    assert choose_loader(path, path.name) is loader


@LOADERS
def test_the_text_is_there_and_normalised(loader, tmp_path):
    document = loaded(loader, usual(tmp_path, loader))
    assert WORDS in document.text
    assert normalise(document.text) == document.text
    assert document.media_type in loader.media_types


@LOADERS
def test_pages_and_headings_lie_in_the_text_in_order(loader, tmp_path):
    document = loaded(loader, usual(tmp_path, loader))
    assert [page.number for page in document.pages] == list(range(1, len(document.pages) + 1))
    assert all(before.end <= after.start for before, after in pairwise(document.pages))
    assert all(0 <= page.start <= page.end <= len(document.text) for page in document.pages)
    starts = [heading.start for heading in document.headings]
    assert starts == sorted(starts)
    for heading in document.headings:
        line = document.text[heading.start :].split("\n", 1)[0]
        assert heading.title in line


@LOADERS
def test_too_many_characters_are_refused_by_the_name_of_the_limit(loader, tmp_path):
    with pytest.raises(TooLarge) as caught:
        loaded(loader, usual(tmp_path, loader), replace(LIMITS, characters=20))
    assert caught.value.params["setting"] == "max_characters"


@LOADERS
@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9])
def test_a_file_cut_short_gives_text_or_a_named_error(loader, keep, tmp_path):
    path = usual(tmp_path, loader)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    outcome = read_here(path, path.name, LIMITS)
    codes = {kind.code for kind in DocumentError.__subclasses__()}
    assert (outcome.document is not None and outcome.document.text.strip()) or outcome.code in codes
    assert not outcome.detail, "an exception of a reading library got past its loader"
