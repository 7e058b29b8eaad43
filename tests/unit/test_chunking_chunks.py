"""Chunks fit the embedder's window, know their page and headings, and lose no character."""

from __future__ import annotations

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.core.errors import InvalidValue
from services.knowledge.chunking.chunks import make_chunks
from services.knowledge.chunking.protocol import ChunkerSpec
from services.knowledge.chunking.registry import make_chunker
from services.knowledge.types import Extracted, Heading, Notice, PageSpan

SPECIAL = 6


class CountBytes:
    """The most tokens that a tokenizer may make: one for each byte of the normalised text; counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, text: str) -> int:
        self.calls += 1
        return SPECIAL + len(unicodedata.normalize("NFKC", text).encode())


def count_characters(text: str) -> int:
    return SPECIAL + len(text)


def chunker(size: int = 200, overlap: int = 0):
    return make_chunker(ChunkerSpec(size=size, overlap=overlap))


TEXTS = st.one_of(
    st.text(max_size=600),
    st.lists(st.sampled_from(["pump ", "水泵。", "starts, ", "👩‍🔧", "ﷺ", "\n\n", "abcdefgh"]), max_size=150).map(
        "".join
    ),
)


@given(text=TEXTS, window=st.integers(60, 300), overlap=st.integers(0, 60))
@settings(max_examples=300, deadline=None)
def test_every_chunk_fits_and_no_character_is_lost(text, window, overlap):
    count = CountBytes()
    chunks, notices = make_chunks(Extracted(text, "text/plain"), chunker(100, overlap), window, count)
    assert [chunk.ordinal for chunk in chunks] == list(range(len(chunks)))
    assert all(chunk.text == text[chunk.start : chunk.end] == chunk.text.strip() != "" for chunk in chunks)
    assert all(count(chunk.text) <= window or len(chunk.text) == 1 for chunk in chunks)
    assert all(before.start <= after.start and before.end <= after.end for before, after in pairwise(chunks))
    covered = {offset for chunk in chunks for offset in range(chunk.start, chunk.end)}
    assert all(offset in covered for offset, letter in enumerate(text) if not letter.isspace())
    assert all(notice.code == "chunks_split_at_window" for notice in notices)


def test_a_chunk_beyond_the_window_is_cut_at_a_border_and_counted():
    text = "The pump starts at six in the morning, and the valve is closed. " * 3
    chunks, notices = make_chunks(Extracted(text, "text/plain"), chunker(), 70 + SPECIAL, count_characters)
    assert notices == [Notice("chunks_split_at_window", {"count": 1})]
    assert len(chunks) == 3
    assert all(text[chunk.end].isspace() for chunk in chunks[:-1])


def test_a_chunk_beyond_the_window_leaves_no_small_rest():
    chunks, _ = make_chunks(Extracted("水泵启动" * 30, "text/plain"), chunker(), 110 + SPECIAL, count_characters)
    assert [len(chunk.text) for chunk in chunks] == [60, 60]


def test_an_overlap_is_given_up_before_a_chunk_is_cut():
    text = "".join(f"Valve {number:03} is closed. " for number in range(20))
    plain, _ = make_chunks(Extracted(text, "text/plain"), chunker(70), 100, count_characters)
    chunks, notices = make_chunks(Extracted(text, "text/plain"), chunker(140, 70), 72 + SPECIAL, count_characters)
    assert notices == []
    assert [chunk.text for chunk in chunks] == [chunk.text for chunk in plain]


def test_chunks_within_the_window_have_no_notice():
    chunks, notices = make_chunks(Extracted("short text", "text/plain"), chunker(), 512, count_characters)
    assert (len(chunks), notices) == (1, [])


def test_tokens_are_counted_only_where_it_matters():
    count = CountBytes()
    make_chunks(Extracted("The pump starts at six. " * 100, "text/plain"), chunker(200), 512, count)
    assert count.calls == 1, "only the empty text, for prefix and special tokens"


def test_white_space_makes_no_chunks():
    assert make_chunks(Extracted(" \n\n\t " * 500, "text/plain"), chunker(), 512, count_characters) == ([], [])


def test_a_chunk_has_the_page_where_it_begins():
    pages = ["a" * 90, "b" * 90, "c" * 90]
    spans = tuple(PageSpan(n + 1, n * 92, n * 92 + 90) for n in range(3))
    document = Extracted("\n\n".join(pages), "application/pdf", pages=spans)
    chunks, _ = make_chunks(document, chunker(100, 20), 512, count_characters)
    assert {chunk.text[-1]: chunk.page for chunk in chunks} == {"a": 1, "b": 2, "c": 3}


def test_documents_without_pages_have_chunks_without():
    chunks, _ = make_chunks(Extracted("text", "text/plain"), chunker(), 512, count_characters)
    assert chunks[0].page is None
    assert chunks[0].heading == ""


def test_a_chunk_has_the_path_of_headings_above_it():
    parts = [("Travel", 1), ("Hotels", 2), ("Abroad", 3), ("Trains", 2), ("Leave", 1)]
    text, headings = "Preface " + "x" * 60 + "\n\n", []
    for title, level in parts:
        headings.append(Heading(len(text), level, title))
        text += f"{title}\n{'y' * 80}\n\n"
    chunks, _ = make_chunks(
        Extracted(text, "text/markdown", headings=tuple(headings)), chunker(100), 512, count_characters
    )
    assert [chunk.heading for chunk in chunks] == [
        "",
        "Travel",
        "Travel › Hotels",
        "Travel › Hotels › Abroad",
        "Travel › Trains",
        "Leave",
    ]


def test_a_window_without_room_for_text_is_an_invalid_value():
    with pytest.raises(InvalidValue):
        make_chunks(Extracted("text", "text/plain"), chunker(), SPECIAL, count_characters)


@given(texts=st.lists(st.text(alphabet="ab 水。\n", max_size=200), min_size=1, max_size=6), overlap=st.integers(0, 60))
@settings(max_examples=100, deadline=None)
def test_no_chunk_runs_over_the_end_of_its_page(texts, overlap):
    pages, begin = [], 0
    for number, text in enumerate(texts, 1):
        pages.append(PageSpan(number, begin, begin + len(text)))
        begin += len(text) + 2
    document = Extracted("\n\n".join(texts), "application/pdf", tuple(pages))
    chunks, _ = make_chunks(document, chunker(100, overlap), 512, count_characters)
    for chunk in chunks:
        page = next(page for page in pages if page.number == chunk.page)
        assert page.start <= chunk.start < chunk.end <= page.end
    covered = {offset for chunk in chunks for offset in range(chunk.start, chunk.end)}
    assert all(offset in covered for offset, letter in enumerate(document.text) if not letter.isspace())
