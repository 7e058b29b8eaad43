"""What each strategy is for: where it cuts, and what it puts beside a cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from services.knowledge.chunking.chunks import make_chunks
from services.knowledge.chunking.protocol import Statement, Tools
from services.knowledge.chunking.registry import chunker_spec, make_chunker
from services.knowledge.embedders.protocol import Vectors
from services.knowledge.types import Chunk, Extracted, Heading, PageSpan, Unwanted
from tests.fakes.chunking import plain_tools

ENGLISH = "The pump starts at six in the morning. " * 10
CHINESE = "北区水井的水泵每天早上六点启动。" * 20


def split(text: str | Extracted, key: str, tools: Tools | None = None, **given: int) -> list[Chunk]:
    document = text if isinstance(text, Extracted) else Extracted(text, "text/plain")
    used = tools or plain_tools()
    return make_chunks(document, make_chunker(chunker_spec(key, **given), used), used)[0]


def texts(*arguments: object, **given: int) -> list[str]:
    return [chunk.text for chunk in split(*arguments, **given)]  # type: ignore[arg-type]


@pytest.mark.parametrize("key", ["recursive", "sentences"])
@pytest.mark.parametrize(("text", "stop"), [(ENGLISH, "."), (CHINESE, "。")])
def test_cuts_fall_between_sentences_of_both_languages(key: str, text: str, stop: str) -> None:
    found = texts(text, key, size=100, overlap=0)
    assert len(found) > 2 and all(one.endswith(stop) for one in found)


def test_recursive_chunks_overlap_where_it_is_asked_for_from_the_beginning_of_a_word() -> None:
    chunks = split(ENGLISH * 2, "recursive", size=200, overlap=60)
    assert all(0 < one.end - other.start <= 60 for one, other in pairwise(chunks))
    assert all((ENGLISH * 2)[chunk.start - 1].isspace() for chunk in chunks[1:])


def test_a_heading_that_the_next_chunk_holds_is_no_chunk_of_its_own() -> None:
    text = "# Pond\n\n" + ENGLISH * 4
    assert texts(text, "recursive", size=400, overlap=60)[0].startswith("# Pond\n\nThe pump")
    assert texts(text, "recursive", size=400, overlap=0)[0] == "# Pond"


def test_sentences_overlap_by_whole_sentences() -> None:
    chunks = split(ENGLISH * 2, "sentences", size=200, overlap=60)
    assert all(one.end - other.start == 38 for one, other in pairwise(chunks))


def test_characters_are_cut_by_number_alone() -> None:
    assert texts("abcdefghij" * 12, "characters", size=50, overlap=10)[1].startswith("abcdefghij")
    assert [len(one) for one in texts("abcdefghij" * 12, "characters", size=50, overlap=10)] == [50, 50, 40]


def test_tokens_are_the_embedders_own() -> None:
    tools = plain_tools()
    for text, least in ((ENGLISH * 5, 300), (CHINESE * 5, 60)):
        found = texts(text, "tokens", size=100, overlap=0)
        counts = tools.count_tokens(found)
        assert max(counts) <= 100 and min(counts[:-1]) > 60 and all(len(one) > least for one in found[:-1])


def test_tokens_prefer_the_end_of_a_paragraph() -> None:
    paragraphs = [f"Paragraph {number}. " + "The valve is closed. " * 9 for number in range(6)]
    assert all(one.startswith("Paragraph") for one in texts("\n\n".join(paragraphs), "tokens", size=80, overlap=0))


def test_markdown_makes_a_chunk_of_each_section_and_gives_long_ones_their_headings() -> None:
    text = "Intro.\n\n# A\n\nAlpha.\n\n#### Deep\n\nDeeper.\n\n## B\n\n" + "Beta is long. " * 10
    headings = tuple(Heading(text.index(mark), level, title) for mark, level, title in HEADINGS)
    chunks = split(Extracted(text, "text/markdown", headings=headings), "markdown", size=100)
    assert [chunk.text.split("\n")[0] for chunk in chunks[:3]] == ["Intro.", "# A", "## B"]
    assert chunks[1].text.endswith("Deeper.") and chunks[2].context == "" and chunks[2].heading == "A › B"
    assert chunks[2].text.startswith("## B\n\nBeta is long.")
    assert [chunk.context for chunk in chunks[3:]] == ["A › B"]
    assert chunks[3].indexed_text == f"A › B\n{chunks[3].text}"


HEADINGS = (("# A", 1, "A"), ("#### Deep", 4, "Deep"), ("## B", 2, "B"))


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("| Part | Price |\n|---|--:|\n", "| tube {n} | {n} |\n"),
        ("零件\t价格\n", "软管{n}\t{n}\n"),
        ("a | b\n", "{n} | x\n"),
    ],
)
def test_chunks_of_table_rows_have_the_header_as_their_context(header: str, row: str) -> None:
    before, after = "Prices of this year.\n\n", "\n\nAll without tax."
    text = before + header + "".join(row.format(n=n) for n in range(25)) + after
    chunks = split(text, "table_rows", rows=10)
    first, *further = chunks[1:-1]
    title = header.split("\n")[0].strip()
    assert first.text.startswith(title) and first.context == "" and chunks[0].text == "Prices of this year."
    assert [chunk.context for chunk in further] == [title, title] and chunks[-1].text == "All without tax."
    assert all(chunk.indexed_text == f"{title}\n{chunk.text}" for chunk in further)
    assert all(chunk.text == text[chunk.start : chunk.end] for chunk in chunks)


def test_rows_that_name_their_columns_need_no_header() -> None:
    text = "Part | Price\n" + "\n".join(f"Part: tube {n}; Price: {n}" for n in range(25))
    chunks = split(text, "table_rows", rows=10)
    assert len(chunks) == 3 and all(chunk.context == "" for chunk in chunks)
    assert all(chunk.text.startswith("Part: tube") for chunk in chunks[1:])


def test_a_header_that_is_too_long_leaves_room_for_the_rows() -> None:
    text = f"| {'name ' * 200}| b |\n|---|---|\n" + "| x | y |\n" * 60
    tools = plain_tools(64)
    chunks = split(text, "table_rows", tools, rows=10)
    assert max(tools.count_tokens([chunk.indexed_text for chunk in chunks])) <= 64
    assert chunks[-1].context.startswith("| name") and chunks[-1].text.endswith("| x | y |")


def test_children_are_shown_as_their_parent_and_never_leave_it() -> None:
    chunks = split(ENGLISH * 5, "parent_child", size=100, parent_size=400)
    parents = {(chunk.shown_start, chunk.shown_end) for chunk in chunks}
    assert len(chunks) > 15 and 4 < len(parents) < 8
    assert all(chunk.indexed_text == chunk.text for chunk in chunks)


class Topics:
    """Sentences about pumps point one way, others another; notes what was embedded."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, given: Sequence[str]) -> Vectors:
        self.seen += given
        counts = [[text.count("pump") + 0.01, text.count("leave") + 0.01] for text in given]
        rows = np.array(counts, np.float32)
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


@pytest.mark.parametrize("paged", [False, True])
def test_meaning_is_cut_where_the_topic_changes(paged: bool) -> None:
    text = "The pump runs. " * 6 + "The leave ends. " * 6
    pages = (PageSpan(1, 0, len(text)),) if paged else ()
    tools = replace(plain_tools(), encode=Topics())
    found = texts(Extracted(text, "text/plain", pages), "semantic", tools, breakpoint_percentile=80)
    assert found[0].count("pump") >= 5 and found[-1].count("leave") >= 5 and len(found) <= 3


def test_what_embeds_every_sentence_stops_when_it_is_not_wanted_any_more() -> None:
    embedded = Topics()
    tools = replace(plain_tools(), encode=embedded, wanted=lambda: len(embedded.seen) < 20)
    with pytest.raises(Unwanted):
        split("The pump runs. " * 200, "semantic", tools)
    assert len(embedded.seen) == 24


def test_a_statement_that_the_embedder_cannot_read_whole_gives_way_to_its_sentence() -> None:
    def at_length(passages: Sequence[Sequence[str]]) -> Iterator[Sequence[Statement]]:
        yield from ([Statement("long " * 60, 0, 0), Statement("short", 1, 1)] for _ in passages)

    tools = replace(plain_tools(40), rewrite=at_length)
    assert [chunk.indexed_text for chunk in split("The pump runs. It is loud.", "propositions", tools)] == [
        "The pump runs.",
        "short",
    ]
