"""A text with its chunks in colours: nothing is lost, overlaps are marked, and the stranger's text stays text."""

from __future__ import annotations

import html
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from services.knowledge.chunking.registry import STRATEGIES, chunker_spec
from services.knowledge.chunking.view import previewed
from services.knowledge.types import Chunk, Extracted
from tests.fakes.chunking import plain_tools
from ui.chunks.sizes import BARS, bars, rounded_up, scale_of
from ui.chunks.text import PAGE_CHARACTERS, chunks_html, stretches, text_pages


def chunk(ordinal: int, start: int, end: int, text: str, **more: str | int) -> Chunk:
    return Chunk(ordinal, start, end, text[start:end], None, "", **more)  # type: ignore[arg-type]


def plain(drawn: str) -> str:
    """What a reader reads of the HTML besides numbers and what stands beside them."""
    without = re.sub(r'<span class="(?:number|extra)".*?</span>', "", drawn, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", "", without))


@settings(deadline=None)
@given(st.text(max_size=200), st.sampled_from(sorted(STRATEGIES)), st.integers(0, 60), st.integers(0, 300))
def test_every_character_is_drawn_once_whatever_the_chunks(text: str, key: str, begin: int, length: int) -> None:
    begin = min(begin, len(text))
    finish = min(begin + length, len(text))
    spec = chunker_spec(key, size=60, overlap=20 if key == "recursive" else 0)
    view = previewed("a", Extracted(text, "text/plain"), spec, plain_tools())
    assert plain(chunks_html(text, view.chunks, begin, finish, "now")) == text[begin:finish]
    drawn = list(stretches(view.chunks, begin, finish))
    assert "".join(text[one.start : one.end] for one in drawn) == text[begin:finish]
    inside = [one for one in view.chunks if one.start < finish and one.end > begin and begin < finish]
    assert [one for stretch in drawn for one in stretch.begun] == inside


def test_overlaps_and_chunks_that_go_on_are_marked() -> None:
    text = "abcdefghij" * 3
    drawn = chunks_html(text, [chunk(0, 0, 12, text), chunk(1, 8, 20, text)], 4, 30, "now")
    assert drawn.count('class="shared"') == 1 and 'title="In several chunks: 1, 2">ijab</span>' in drawn
    assert ">…1</span>" in drawn and ">2</span>" in drawn and drawn.endswith("abcdefghij</div>")


def test_what_strangers_wrote_is_shown_as_text() -> None:
    text = '<img src=x onerror=alert(1)> & "quotes" ![](http://example.com/x.png)'
    hostile = Chunk(0, 0, len(text), text, 1, '"><script>', '"><b>header', None)
    drawn = chunks_html(text, [hostile], 0, len(text), '"><i>')
    assert not re.search(r"<(?!/?(?:div|span|b)\b)", drawn) and "onerror=alert(1)&gt;" in drawn
    assert drawn.count("<b>") == 1


def test_statements_and_headers_stand_beside_their_chunk() -> None:
    text = "1 | 2"
    drawn = chunks_html(
        text, [chunk(0, 0, 5, text, context="name | price", embed_text="name | price\n1 | 2")], 0, 5, ""
    )
    assert '<span class="extra"><b>with</b> name | price</span>' in drawn
    both = [chunk(n, 0, 5, text, embed_text=f"statement {n}") for n in range(2)]
    drawn = chunks_html(text, both, 0, 5, "")
    assert "statement 0" in drawn and "statement 1" in drawn and "shared" not in drawn


def test_long_texts_are_turned_like_pages_at_the_ends_of_lines() -> None:
    text = ("x" * 90 + "\n") * 200
    pages = text_pages(text)
    assert "".join(text[start:end] for start, end in pages) == text
    assert all(end - start <= PAGE_CHARACTERS and text[end - 1] == "\n" for start, end in pages)
    assert text_pages("") == [(0, 0)] and len(text_pages("水" * 10_000)) == 3


def test_both_sides_share_one_scale() -> None:
    extracted = Extracted("The pump runs. " * 100, "text/plain")
    small, large = (previewed("a", extracted, chunker_spec(size=size, overlap=0), plain_tools()) for size in (100, 700))
    characters, most = scale_of([small, large])
    assert characters == 1000 and most == 20
    assert sum(bars(small, characters)) == len(small.chunks) and len(bars(large, characters)) == BARS
    assert [rounded_up(value) for value in (1, 3, 7, 11, 240, 260)] == [1, 3, 10, 20, 250, 500]
