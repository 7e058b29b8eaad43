"""Marks in all the ways in which models write them, whole and in every possible stream."""

from __future__ import annotations

import pytest

from services.chat.citations import markdown
from services.chat.marks import groups, settled

COUNT = 5
TARGETS = {number: f"#cite-{number}" for number in range(1, COUNT + 1)}

WAYS: list[tuple[str, list[int]]] = [
    ("Koi live there [1].", [1]),
    ("Koi live there. [1]", [1]),
    ("Koi live there[1].", [1]),
    ("Koi live there [ 2 ].", [2]),
    ("Koi live there [1][2].", [1, 2]),
    ("Koi live there [1] [2].", [1, 2]),
    ("Koi live there [1, 2].", [1, 2]),
    ("Koi live there [1,2,3].", [1, 2, 3]),
    ("Koi live there [1; 3].", [1, 3]),
    ("Koi live there [1-3].", [1, 2, 3]),
    ("Koi live there [1–3, 5].", [1, 2, 3, 5]),
    ("Koi live there [2~4].", [2, 3, 4]),
    ("Koi live there [1 and 2].", [1, 2]),
    ("Koi live there [1 & 4].", [1, 4]),
    ("Koi live there [^1].", [1]),
    ("Koi live there [^1^].", [1]),
    ("Koi live there [^1][^2].", [1, 2]),
    ("Koi live there [[1]].", [1]),
    ("Koi live there **[1]**.", [1]),
    ("Koi live there [**2**].", [2]),
    ("Koi live there \\[1\\].", [1]),
    ("Koi live there [1](https://example.org/a).", [1]),
    ("Koi live there [passage 1].", [1]),
    ("Koi live there [Passage 1, Passage 3].", [1, 3]),
    ("Koi live there [Passages 1 and 2].", [1, 2]),
    ("Koi live there [Source: 1].", [1]),
    ("Koi live there [Sources: 1, 2].", [1, 2]),
    ("Koi live there [source_2].", [2]),
    ("Koi live there [citation:1][citation:3].", [1, 3]),
    ("Koi live there [cite: 1, 2].", [1, 2]),
    ("Koi live there [ref. 2].", [2]),
    ("Koi live there [doc2].", [2]),
    ("Koi live there [see passage 2].", [2]),
    ("Koi live there [#1].", [1]),
    ("Koi live there [No. 4].", [4]),
    ("Koi live there [1: Garden.txt, page 4].", [1]),
    ("Koi live there [1, p. 12].", [1]),
    ("Koi live there [Passage 2: Visitors.pdf].", [2]),
    ("Koi live there (passage 2).", [2]),
    ("Koi live there (see passages 1 and 3).", [1, 3]),
    ("Koi live there (Source: 1).", [1]),
    ("Koi live there (1).", [1]),
    ("Koi live there (2)", [2]),
    ("Passage 2 says that koi live there.", [2]),
    ("According to passage 1, koi live there.", [1]),
    ("Passages 1, 2 and 4 agree.", [1, 2, 4]),
    ("Passage 2 and 3 disagree.", [2, 3]),
    ("As passages 1-3 show, koi live there.", [1, 2, 3]),
    ("Passage two says so.", [2]),
    ("The second passage says so.", [2]),
    ("The first and third passages say so.", [1, 3]),
    ("According to source 2, koi live there.", [2]),
    ("Koi live there.\n\nSources: 1, 3", [1, 3]),
    ("Koi live there¹.", [1]),
    ("Koi live there.²", [2]),
    ("Koi live there.¹,³", [1, 3]),
    ("Koi live there.¹²", [1, 2]),
    ("Koi live there ⁽²⁾ as ever.", [2]),
    ("Koi live there<sup>1</sup>.", [1]),
    ("Koi live there<sup>[1, 2]</sup>.", [1, 2]),
    ("Koi live there <passage 2>.", [2]),
    ("Koi live there <cite>3</cite>.", [3]),
    ("池塘里养着锦鲤[1]。", [1]),
    ("池塘里养着锦鲤【1】。", [1]),
    ("池塘里养着锦鲤【1】【3】。", [1, 3]),
    ("池塘里养着锦鲤【1、2】。", [1, 2]),
    ("池塘里养着锦鲤［１］。", [1]),
    ("池塘里养着锦鲤[1，3]。", [1, 3]),
    ("池塘里养着锦鲤〔2〕。", [2]),
    ("池塘里养着锦鲤【1†source】。", [1]),
    ("池塘里养着锦鲤[段落1]。", [1]),
    ("池塘里养着锦鲤【段落1、段落3】。", [1, 3]),
    ("池塘里养着锦鲤[来源：2]。", [2]),
    ("池塘里养着锦鲤（见第2段）。", [2]),
    ("池塘里养着锦鲤（段落1和2）。", [1, 2]),
    ("池塘里养着锦鲤（来源：段落3）。", [3]),
    ("池塘里养着锦鲤①。", [1]),
    ("池塘里养着锦鲤②③。", [2, 3]),
    ("根据段落2，池塘里养着锦鲤。", [2]),
    ("段落 1 和段落 3 都提到了锦鲤。", [1, 3]),
    ("第2段说池塘里养着锦鲤。", [2]),
    ("第二段和其他文字说池塘里养着锦鲤。", [2]),
    ("第1个段落提到了锦鲤。", [1]),
    ("根据第1、3段，池塘里养着锦鲤。", [1, 3]),
    ("2号段落说池塘里养着锦鲤。", [2]),
    ("资料3显示池塘里养着锦鲤。", [3]),
    ("池塘里养着锦鲤[1至3]。", [1, 2, 3]),
    ("| fish | source |\n|---|---|\n| koi | [1] |\n| carp [2] | yes |", [1, 2]),
]

NO_MARKS = [
    "`row[1]` and ``x [2] ` y``",
    "```\nrow[1]\n```",
    "~~~\npassage 1",
    "The sum is $a_{[1]} + b$ here.",
    "$$\nx [1]\n$$",
    "By \\(x[1]\\) we mean \\[ y [2] + z \\] here.",
    "| [1] | [2] |\n|---|---|\n| [1] | koi |\n| passage 2 | (1) |",
    "Numbers [0], [6], [12], [1962] and 【99】 lead nowhere.",
    "Digits match [0-9], ranges [1-9] too.",
    "It takes five (5) days, see (a) and (1) below, or 3 (3).",
    "1. First\n2. Second (1 of 2)\n3. Third",
    "The room has 20 m², the cube 8 cm³, and x² + y³ = 1.",
    "①第一步：打开机箱。\n②第二步：拔下插头。",
    "第一时间处理，第二段时间休息，来源2个，资料3份，第三段路。",
    "A list[str], a[i], [x], [ ], [1a], {1} and 1].",
    "The power source 2 metres away; passage 1.5 m wide; passageway 2.",
    "From $5 to $10, that is 1 of 3.",
]


def numbers(text: str) -> list[int]:
    return [number.value for group in groups(text, COUNT) for number in group.numbers]


@pytest.mark.parametrize(("text", "expected"), WAYS)
def test_a_way_of_citing_is_recognised(text: str, expected: list[int]) -> None:
    assert numbers(text) == expected
    rendered = markdown(text, TARGETS)
    assert [int(part.partition(")")[0]) for part in rendered.split("](#cite-")[1:]] == [
        number for number in expected if f"](#cite-{number})" in rendered
    ]


def test_there_are_at_least_sixty_ways() -> None:
    assert len({text for text, _ in WAYS}) >= 60


@pytest.mark.parametrize("text", NO_MARKS)
def test_what_is_no_mark_stays_text(text: str) -> None:
    assert numbers(text) == []


@pytest.mark.parametrize("text", [*(text for text, _ in WAYS), *NO_MARKS])
def test_every_way_of_streaming_it_ends_alike_and_takes_nothing_back(text: str) -> None:
    """What a page shows depends only on what has arrived, so all prefixes are all possible splits."""
    text = f"Dug. {text} It is deep.\n\nIt froze."
    whole, reached = groups(text, COUNT), 0
    for arrived in range(len(text) + 1):
        decided = settled(text[:arrived])
        assert reached <= decided <= arrived, "what was shown is not taken back"
        reached = decided
        shown = [group for group in groups(text[:arrived], COUNT) if group.end <= decided]
        assert shown == [group for group in whole if group.end <= decided]
        assert not any(group.start < decided < group.end for group in whole), "no mark is shown in part"
    assert len(text) - reached < 30, "little waits at the end"


def test_a_growing_answer_is_shown_as_far_as_it_is_decided() -> None:
    assert markdown("Koi (1). They live `he", TARGETS, growing=True) == "Koi [\\[1\\]](#cite-1). They live "
    assert markdown("Koi live there [1", TARGETS, growing=True) == "Koi live there "


def test_a_sentence_without_marks_is_not_held_back() -> None:
    text = "The pond is 3 m deep (as far as anybody knows) and costs $5 or $10 a day; see the manual"
    assert len(text) - settled(text) < 20


def test_words_keep_their_place_in_the_sentence() -> None:
    assert markdown("Passages 1 and 3 agree.", TARGETS) == "Passages [1](#cite-1) and [3](#cite-3) agree."
    assert markdown("第2段说。", TARGETS) == "第[2](#cite-2)段说。"


def test_a_link_laid_around_a_sentence_leaves_its_marks_outside() -> None:
    text = "Koi **live** there [1]. Carp [2] too. *Broken [3] emphasis*."
    ends = [text.index(" Carp"), text.index(" *Broken")]
    wrapped = [(0, ends[0], "#a"), (ends[0], ends[1], "#b"), (ends[1], len(text), "#c")]
    assert markdown(text, TARGETS, wrapped=wrapped) == (
        "[Koi **live** there](#a) [\\[1\\]](#cite-1). [Carp](#b) [\\[2\\]](#cite-2) [too.](#b)"
        " *Broken [\\[3\\]](#cite-3) emphasis*."
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("So $E = mc^2$ holds.", "So $E = mc^2$ holds."),
        ("So \\(a + b\\) holds.", "So $a + b$ holds."),
        ("So \\[ a + b \\] holds.", "So $$a + b$$ holds."),
        ("$![x](http://evil.example/a.png)$", "$! [x] (http: / /evil.example/a.png)$"),
    ],
)
def test_formulas_reach_the_renderer_and_load_nothing(text: str, shown: str) -> None:
    assert markdown(text, TARGETS) == shown
