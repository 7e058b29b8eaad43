"""What every chunker keeps, on any text."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.core.errors import InvalidValue
from services.knowledge.chunking.chunks import make_chunks
from services.knowledge.chunking.protocol import ChunkerSpec, Cut
from services.knowledge.chunking.registry import STRATEGIES, chunker_spec, make_chunker
from services.knowledge.types import Extracted, Heading, PageSpan
from tests.fakes.chunking import plain_tools

ENGLISH = st.lists(
    st.sampled_from(["pump ", "the ", "starts. ", "at six,\n", "A-7;\t", "\n\n", "valve! ", "e.g. ", "“No.” ", "3.5 "]),
    max_size=200,
)
CHINESE = st.lists(
    st.sampled_from(["水泵", "启动。", "检查，", "阀门；", "\n", "为什么？", "“好。”", "　"]), max_size=200
)
TABLE = st.lists(
    st.sampled_from(["a | b\n", "|---|---|\n", "1 | 2\n", "| x | 水泵 |\n", "\t\n", "p\tq\n", "a: 1; b: 2\n", "\n"]),
    max_size=80,
)
REPEATED = st.builds(
    lambda word, times: [word] * times, st.sampled_from(["ab ", "水泵。", "a", "\n\n", " x"]), st.integers(0, 300)
)
EMOJI = st.lists(st.sampled_from(["👩‍🔧", "🇨🇳", "é", "e\u0301", "🙂 ", "x"]), max_size=120)
MIXED = st.one_of(
    *(ENGLISH, CHINESE, TABLE, REPEATED, EMOJI),
    st.lists(st.one_of(ENGLISH, CHINESE, TABLE).map("".join), max_size=6),
)
TEXTS = st.one_of(MIXED.map("".join), st.text(max_size=500))
SIZES = st.tuples(st.integers(50, 400), st.integers(0, 399)).map(lambda pair: (pair[0], pair[1] % pair[0]))
COUNT = plain_tools().count_tokens


@st.composite
def documents(draw: st.DrawFn) -> Extracted:
    """Texts with and without pages and headings, which may stand anywhere."""
    text = draw(TEXTS)
    offsets = st.integers(0, len(text))
    starts = sorted(draw(st.lists(offsets, max_size=4)))
    headings = tuple(Heading(start, draw(st.integers(1, 4)), f"H{start}") for start in starts)
    borders = sorted({0, *draw(st.lists(offsets, max_size=3)), len(text)})
    pages = tuple(PageSpan(number, start, end) for number, (start, end) in enumerate(pairwise(borders), 1))
    return Extracted(text, "text/plain", draw(st.sampled_from([(), pages])), headings)


def specs(key: str) -> st.SearchStrategy[ChunkerSpec]:
    """Sizes that the strategy accepts."""
    overlaps = STRATEGIES[key].spec.model_fields["overlap"].default or key == "parent_child"
    extra = {"parent_size": 500} if key == "parent_child" else {}
    return SIZES.map(lambda pair: chunker_spec(key, size=pair[0], overlap=pair[1] if overlaps else 0, **extra))


def cuts_of(spec: ChunkerSpec, document: Extracted) -> list[Cut]:
    """All cuts of a document."""
    return list(make_chunker(spec, plain_tools()).cuts(document))


def longest(spec: ChunkerSpec, document: Extracted, cut: Cut) -> bool:
    """Whether a cut is not longer than it may be."""
    inside = document.text[cut.start : cut.end]
    if spec.key == "tokens":
        return COUNT([inside.strip()])[0] <= spec.size or len(inside) == 1
    return len(inside) <= spec.size


@pytest.mark.parametrize("key", STRATEGIES)
@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_cuts_are_true_ordered_bounded_and_cover_the_text(key: str, data: st.DataObject) -> None:
    document, spec = data.draw(documents()), data.draw(specs(key))
    text, cuts = document.text, cuts_of(spec, document)
    assert all(0 <= cut.start < cut.end <= len(text) and longest(spec, document, cut) for cut in cuts)
    assert all(text[cut.start : cut.end].strip() for cut in cuts)
    for page in document.pages:
        assert all(cut.end <= page.end for cut in cuts if page.start <= cut.start < page.end)
    for one, other in pairwise(cuts):
        assert (one.start, one.end) <= (other.start, other.end)
        if not (one.statement or other.statement):
            assert one.end < other.end
            assert one.end - other.start <= spec.overlap or spec.key == "tokens"
    covered = {offset for cut in cuts for offset in range(cut.start, cut.end)}
    assert all(offset in covered for offset, letter in enumerate(text) if not letter.isspace())
    for cut in cuts:
        if cut.shown:
            assert cut.shown[0] <= cut.start and cut.end <= cut.shown[1]


@pytest.mark.parametrize("key", STRATEGIES)
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_every_chunk_fits_the_window_and_no_character_is_lost(key: str, data: st.DataObject) -> None:
    document, spec = data.draw(documents()), data.draw(specs(key))
    tools = plain_tools(data.draw(st.integers(max(40, spec.size if key == "tokens" else 40), 400)))
    chunks, _notices = make_chunks(document, make_chunker(spec, tools), tools)
    text = document.text
    assert [chunk.ordinal for chunk in chunks] == list(range(len(chunks)))
    assert all(chunk.text == text[chunk.start : chunk.end] == chunk.text.strip() != "" for chunk in chunks)
    counts = COUNT([chunk.indexed_text for chunk in chunks])
    assert all(
        count <= tools.window_tokens or len(chunk.text) == 1 for count, chunk in zip(counts, chunks, strict=True)
    )
    covered = {offset for chunk in chunks for offset in range(chunk.start, chunk.end)}
    assert all(offset in covered for offset, letter in enumerate(text) if not letter.isspace())
    for chunk in chunks:
        page = next((page for page in document.pages if page.number == chunk.page), None)
        assert bool(page) == bool(document.pages)
        assert page is None or page.start <= chunk.start < chunk.end <= page.end
        if chunk.shown_start is not None and chunk.shown_end is not None:
            assert chunk.shown_start <= chunk.start and chunk.end <= chunk.shown_end


@pytest.mark.parametrize("key", STRATEGIES)
def test_a_long_text_without_a_border_is_cut(key: str) -> None:
    text = "水" * 20_000
    assert cuts_of(chunker_spec(key), Extracted(text, "text/plain"))[-1].end == len(text)


def test_an_unknown_chunker_is_an_invalid_value() -> None:
    with pytest.raises(InvalidValue):
        chunker_spec("magic")


@pytest.mark.parametrize(
    ("key", "given_values", "field"),
    [
        ("recursive", {"size": 100, "overlap": 100}, "overlap"),
        ("recursive", {"size": 100, "overlap": 101}, "overlap"),
        ("recursive", {"size": 49}, "size"),
        ("recursive", {"rows": 3}, "rows"),
        ("markdown", {"overlap": 10}, "overlap"),
        ("markdown", {"heading_level": 7}, "heading_level"),
        ("table_rows", {"rows": 0}, "rows"),
        ("semantic", {"breakpoint_percentile": 100}, "breakpoint_percentile"),
        ("parent_child", {"size": 500, "parent_size": 500}, "parent_size"),
        ("propositions", {"size": 5000}, "size"),
        ("tokens", {"size": "many"}, "size"),
    ],
)
def test_a_parameter_that_cannot_be_is_named_with_a_reason(
    key: str, given_values: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidValue) as caught:
        chunker_spec(key, **given_values)
    assert caught.value.params["field"] == field
    assert "{" not in caught.value.render("zh_CN").message


def test_more_tokens_than_the_embedder_reads_are_an_invalid_value() -> None:
    with pytest.raises(InvalidValue):
        make_chunker(chunker_spec("tokens", size=600), plain_tools(512))
