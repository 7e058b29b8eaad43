"""What every chunker keeps, on any text."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.core.errors import InvalidValue
from services.knowledge.chunking.protocol import ChunkerSpec
from services.knowledge.chunking.registry import CHUNKERS, make_chunker
from services.knowledge.types import Extracted

ENGLISH = st.lists(
    st.sampled_from(["pump ", "the ", "starts. ", "at six,\n", "A-7;\t", "\n\n", "valve! "]), max_size=200
)
CHINESE = st.lists(
    st.sampled_from(["水泵", "启动。", "检查，", "阀门；", "\n", "为什么？", "“好。”", "　"]), max_size=200
)
REPEATED = st.builds(
    lambda word, times: [word] * times, st.sampled_from(["ab ", "水泵。", "a", "\n\n", " x"]), st.integers(0, 300)
)
EMOJI = st.lists(st.sampled_from(["👩‍🔧", "🇨🇳", "é", "e\u0301", "🙂 ", "x"]), max_size=120)
MIXED = st.one_of(ENGLISH, CHINESE, REPEATED, EMOJI, st.lists(st.one_of(ENGLISH, CHINESE).map("".join), max_size=6))
TEXTS = st.one_of(MIXED.map("".join), st.text(max_size=500))
SPECS = st.integers(50, 400).flatmap(
    lambda size: st.builds(
        ChunkerSpec, size=st.just(size), overlap=st.integers(0, size - 1), key=st.sampled_from([*CHUNKERS])
    )
)


@given(text=TEXTS, spec=SPECS)
@settings(max_examples=300, deadline=None)
def test_spans_are_true_ordered_bounded_and_cover_the_text(text, spec):
    spans = list(make_chunker(spec).spans(Extracted(text, "text/plain")))
    assert all(0 <= start < end <= len(text) and end - start <= spec.size for start, end in spans)
    for (start, end), (next_start, next_end) in pairwise(spans):
        assert start <= next_start
        assert end < next_end
        assert end - next_start <= spec.overlap
    covered = {offset for start, end in spans for offset in range(start, end)}
    assert all(offset in covered for offset, letter in enumerate(text) if not letter.isspace())


def test_english_is_cut_at_sentences_and_chinese_too():
    english = "The pump starts at six in the morning. " * 10
    chinese = "北区水井的水泵每天早上六点启动。" * 20
    for text, stop in ((english, "."), (chinese, "。")):
        spans = list(make_chunker(ChunkerSpec(size=100, overlap=0)).spans(Extracted(text, "text/plain")))
        assert len(spans) > 2
        assert all(text[start:end].strip().endswith(stop) for start, end in spans)


def test_chunks_overlap_where_it_is_asked_for():
    text = "The pump starts at six in the morning. " * 20
    spans = list(make_chunker(ChunkerSpec(size=200, overlap=60)).spans(Extracted(text, "text/plain")))
    assert all(0 < end - start <= 60 for (_, end), (start, _) in pairwise(spans))
    assert all(text[start - 1].isspace() for start, _ in spans[1:])


def test_a_million_characters_without_a_border_are_cut():
    spans = list(make_chunker(ChunkerSpec()).spans(Extracted("水" * 1_000_000, "text/plain")))
    assert spans[-1][1] == 1_000_000


def test_an_unknown_chunker_is_an_invalid_value():
    with pytest.raises(InvalidValue):
        make_chunker(ChunkerSpec(key="magic"))


@pytest.mark.parametrize("overlap", [100, 101])
def test_an_overlap_of_the_whole_size_is_an_invalid_value(overlap):
    with pytest.raises(InvalidValue):
        make_chunker(ChunkerSpec(size=100, overlap=overlap))
