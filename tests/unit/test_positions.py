"""Boxes are kept small, and a span's regions are the parts of its lines."""

from __future__ import annotations

import pytest

from services.knowledge.positions import Box, Boxes, Region, regions

TEXT = "abcdefghij\n一二三四 abcd"
LINES = [Box(0, 10, 1, 0.1, 0.1, 0.6, 0.2), Box(11, 20, 2, 0.0, 0.5, 0.65, 0.6)]


def test_boxes_come_back_nearly_as_they_were_and_cut_to_the_page() -> None:
    kept = Boxes.of([*LINES, Box(20, 21, 2, -3.0, 0.9, 0.5, 7.0), Box(21, 22, 2, 0.3, 0.3, 0.3, 0.4)])
    found = list(kept)
    assert len(kept) == len(found) == 3
    assert [box[:3] for box in found] == [(0, 10, 1), (11, 20, 2), (20, 21, 2)]
    assert found[0][3:] == pytest.approx(LINES[0][3:], abs=1e-4)
    assert found[2][3:] == pytest.approx((0.0, 0.9, 0.5, 1.0), abs=1e-4)


def test_boxes_are_parted_by_page() -> None:
    assert [(page, [box.start for box in boxes]) for page, boxes in Boxes.of(LINES).by_page()] == [(1, [0]), (2, [11])]
    assert list(Boxes().by_page()) == []


def test_a_span_covers_its_share_of_each_line() -> None:
    first, second = regions(LINES, TEXT, 5, 13)
    assert first == pytest.approx(Region(1, 0.35, 0.1, 0.6, 0.2))
    assert second == pytest.approx(Region(2, 0.0, 0.5, 0.2, 0.6)), "a hanzi is as wide as two letters"


def test_lines_outside_of_the_span_and_blanks_are_not_covered() -> None:
    assert regions(LINES, TEXT, 10, 11) == ()
    assert [region.page for region in regions(LINES, TEXT, 11, 13)] == [2]


def test_text_that_runs_downwards_is_cut_downwards() -> None:
    (region,) = regions([Box(0, 10, 1, 0.1, 0.0, 0.2, 1.0)], TEXT, 5, 10)
    assert region == pytest.approx(Region(1, 0.1, 0.5, 0.2, 1.0))
