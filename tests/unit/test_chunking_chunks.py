"""Chunks fit the embedder's window, know their page and headings, and lose no character."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.core.errors import InvalidValue
from services.knowledge.chunking.chunks import make_chunks
from services.knowledge.chunking.protocol import ChunkerSpec, CountTokens
from services.knowledge.chunking.registry import make_chunker
from services.knowledge.types import Chunk, Extracted, Heading, Notice, PageSpan
from tests.fakes.chunking import plain_tools

SPECIAL = 6


class CountBytes:
    """The most tokens that a tokenizer may make: one for each byte of the normalised text; notes what was counted."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def __call__(self, texts: Sequence[str]) -> list[int]:
        self.calls.append(list(texts))
        return [SPECIAL + len(unicodedata.normalize("NFKC", text).encode()) for text in texts]


def count_characters(texts: Sequence[str]) -> list[int]:
    return [SPECIAL + len(text) for text in texts]


def split(
    document: Extracted, window: int, count: CountTokens, size: int = 200, overlap: int = 0
) -> tuple[list[Chunk], list[Notice]]:
    tools = replace(plain_tools(window), count_tokens=count)
    return make_chunks(document, make_chunker(ChunkerSpec(size=size, overlap=overlap), tools), tools)


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
    chunks, notices = split(Extracted(text, "text/plain"), window, count, 100, overlap)
    assert [chunk.ordinal for chunk in chunks] == list(range(len(chunks)))
    assert all(chunk.text == text[chunk.start : chunk.end] == chunk.text.strip() != "" for chunk in chunks)
    assert all(count([chunk.text])[0] <= window or len(chunk.text) == 1 for chunk in chunks)
    assert all(before.start <= after.start and before.end <= after.end for before, after in pairwise(chunks))
    covered = {offset for chunk in chunks for offset in range(chunk.start, chunk.end)}
    assert all(offset in covered for offset, letter in enumerate(text) if not letter.isspace())
    assert all(notice.code == "chunks_split_at_window" for notice in notices)


def test_a_chunk_beyond_the_window_is_cut_at_a_border_and_counted():
    text = "The pump starts at six in the morning, and the valve is closed. " * 3
    chunks, notices = split(Extracted(text, "text/plain"), 70 + SPECIAL, count_characters)
    assert notices == [Notice("chunks_split_at_window", {"count": 1})]
    assert len(chunks) == 3
    assert all(text[chunk.end].isspace() for chunk in chunks[:-1])


def test_a_chunk_beyond_the_window_leaves_no_small_rest():
    chunks, _ = split(Extracted("水泵启动" * 30, "text/plain"), 110 + SPECIAL, count_characters)
    assert [len(chunk.text) for chunk in chunks] == [60, 60]


def test_an_overlap_is_given_up_before_a_chunk_is_cut():
    text = "".join(f"Valve {number:03} is closed. " for number in range(20))
    plain, _ = split(Extracted(text, "text/plain"), 100, count_characters, 70)
    chunks, notices = split(Extracted(text, "text/plain"), 72 + SPECIAL, count_characters, 140, 70)
    assert notices == []
    assert [chunk.text for chunk in chunks] == [chunk.text for chunk in plain]


def test_chunks_within_the_window_have_no_notice():
    chunks, notices = split(Extracted("short text", "text/plain"), 512, count_characters)
    assert (len(chunks), notices) == (1, [])


def test_tokens_are_counted_only_where_it_matters():
    count = CountBytes()
    split(Extracted("The pump starts at six. " * 100, "text/plain"), 512, count, 200)
    assert count.calls == [[""]], "only the empty text, for prefix and special tokens"


def test_tokens_are_counted_many_texts_at_a_time():
    calls: list[int] = []

    def count(texts: Sequence[str]) -> list[int]:
        calls.append(len(texts))
        return count_characters(texts)

    chunks, _ = split(Extracted("水泵每天早上六点启动。" * 500, "text/plain"), 200, count, 150)
    assert (len(chunks), calls) == (39, [1, 39])


def test_white_space_makes_no_chunks():
    assert split(Extracted(" \n\n\t " * 500, "text/plain"), 512, count_characters) == ([], [])


def test_a_chunk_has_the_page_where_it_begins():
    pages = ["a" * 90, "b" * 90, "c" * 90]
    spans = tuple(PageSpan(n + 1, n * 92, n * 92 + 90) for n in range(3))
    document = Extracted("\n\n".join(pages), "application/pdf", pages=spans)
    chunks, _ = split(document, 512, count_characters, 100, 20)
    assert {chunk.text[-1]: chunk.page for chunk in chunks} == {"a": 1, "b": 2, "c": 3}


def test_documents_without_pages_have_chunks_without():
    chunks, _ = split(Extracted("text", "text/plain"), 512, count_characters)
    assert chunks[0].page is None
    assert chunks[0].heading == ""


def test_a_chunk_has_the_path_of_headings_above_it():
    parts = [("Travel", 1), ("Hotels", 2), ("Abroad", 3), ("Trains", 2), ("Leave", 1)]
    text, headings = "Preface " + "x" * 60 + "\n\n", []
    for title, level in parts:
        headings.append(Heading(len(text), level, title))
        text += f"{title}\n{'y' * 80}\n\n"
    chunks, _ = split(Extracted(text, "text/markdown", headings=tuple(headings)), 512, count_characters, 100)
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
        split(Extracted("text", "text/plain"), SPECIAL, count_characters)


@given(texts=st.lists(st.text(alphabet="ab 水。\n", max_size=200), min_size=1, max_size=6), overlap=st.integers(0, 60))
@settings(max_examples=100, deadline=None)
def test_no_chunk_runs_over_the_end_of_its_page(texts, overlap):
    pages, begin = [], 0
    for number, text in enumerate(texts, 1):
        pages.append(PageSpan(number, begin, begin + len(text)))
        begin += len(text) + 2
    document = Extracted("\n\n".join(texts), "application/pdf", tuple(pages))
    chunks, _ = split(document, 512, count_characters, 100, overlap)
    for chunk in chunks:
        page = next(page for page in pages if page.number == chunk.page)
        assert page.start <= chunk.start < chunk.end <= page.end
    covered = {offset for chunk in chunks for offset in range(chunk.start, chunk.end)}
    assert all(offset in covered for offset, letter in enumerate(document.text) if not letter.isspace())
