"""A model that repeats itself is noticed while it does, and nobody else is taken for one."""

from __future__ import annotations

import pytest

from services.chat.loops import COPIES, LONGEST, STRIDE, LoopWatch, loop_end

FISH = "The pond holds koi and tench, and in spring a pair of mallards comes to breed [1]. "
LIST = "".join(f"- In {year} the gate was painted and {year - 1900} visitors came [1].\n" for year in range(1950, 1990))
TABLE = "| plant | height |\n|---|---|\n" + "".join(f"| reed {n} | {n} cm |\n" for n in range(60))
PARAGRAPH = " ".join(f"Bed {n} has {n * 7} roses of kind {chr(65 + n)}." for n in range(12)) + " "


def grown(text: str, step: int = 3) -> str:
    """What is left of an answer that grows by so many characters at a time."""
    watch = LoopWatch()
    for length in range(step, len(text) + step, step):
        if end := watch.end(text[:length]):
            return text[:end]
    return text


@pytest.mark.parametrize(
    ("before", "piece"),
    [
        ("Dogs are kept on a lead [2]. ", FISH),
        ("", FISH),
        ("狗必须用绳牵着[2]。", "池塘里养着锦鲤，池边种着芦苇，每年春天有一对绿头鸭来这里孵蛋[1]。"),
        ("Its fish: koi, ", "tench, pike, perch, carp, "),
        ("", "koi "),
        ("The gate opens at nine [1]. ", PARAGRAPH[:LONGEST]),
    ],
)
def test_a_loop_is_cut_after_its_first_copy(before: str, piece: str) -> None:
    left = grown(before + piece * (COPIES + 2000 // len(piece)))
    assert left.strip() == (before + piece).strip()[: len(left.strip())]
    assert len(before + piece) - 2 <= len(left) + 1 <= len(before + piece) + len(piece) + 1


def test_it_is_noticed_soon() -> None:
    watch, text = LoopWatch(), FISH * 10
    noticed = next(length for length in range(len(text)) if watch.end(text[:length]))
    assert noticed <= COPIES * len(FISH) + STRIDE


@pytest.mark.parametrize(
    "text",
    [
        FISH * 2 + "That is all.",
        LIST,
        TABLE,
        "|" + "---|" * 200,
        "." * 500,
        "ha ha ha ha ha ha, said the gardener, and that was all that he said on this day. " + PARAGRAPH,
        PARAGRAPH * 2,
        "",
    ],
)
def test_what_only_looks_alike_is_left_whole(text: str) -> None:
    assert grown(text) == text


def test_a_loop_that_has_ended_is_none() -> None:
    assert loop_end(FISH * 4 + "The gate closes at six, in winter at half past four; dogs stay outside.") is None
