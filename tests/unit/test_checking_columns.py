"""Figures that a table has in the row that is meant, but in another column."""

from __future__ import annotations

import pytest

from services.chat.checking.columns import misfiled
from services.chat.checking.verdicts import CONTRADICTS, PLACE, judged

TANKS = (
    "Tank | Height, cm | Weight, kg\n"
    "Tank: T-1; Height, cm: 90; Weight, kg: 70\nTank: T-2; Height, cm: 50; Weight, kg: 30"
)
TOURS = "Tour: Coast; 2022: 640; 2023: 655\nTour: Hills; 2022: 310; 2023: 298"
STAFF = (
    "Name: Ada Holm; Hired: 3 May 2011; Left: 31 August 2019\nName: Leo Berg; Hired: 1 June 2008; Left: 2 March 2020"
)
GRID = "| Rope | Length | Load |\n| --- | --- | --- |\n| Thin | 40 | 90 |\n| Thick | 60 | 200 |"
BOXES = "箱型: 小箱; 长度: 35厘米; 宽度: 25厘米\n箱型: 大箱; 长度: 80厘米; 宽度: 60厘米"


@pytest.mark.parametrize(
    ("source", "sentence", "said", "instead"),
    [
        (TANKS, "The tank T-1 weighs 90 kg.", "90 kg", "Weight, kg: 70"),
        (TANKS, "T-2 has a height of 30.", "30", "Height, cm: 50"),
        (TOURS, "In 2023 the Coast tour had 640.", "640", "2023: 655"),
        (STAFF, "Ada Holm was hired on 31 August 2019.", "31 August 2019", "Hired: 3 May 2011"),
        (STAFF, "Leo Berg was hired in 2020.", "2020", "Hired: 1 June 2008"),
        (GRID, "The thick rope is 200 long.", "200", "Length: 60"),
        (BOXES, "大箱宽80厘米。", "80厘米", "宽度: 60厘米"),
    ],
)
def test_a_figure_of_another_column_is_found(source: str, sentence: str, said: str, instead: str) -> None:
    assert misfiled(sentence, source) == (said, instead)
    verdict = judged(sentence, source)
    assert (verdict.verdict, verdict.reason) == (CONTRADICTS, PLACE)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (TANKS, "The tank T-1 weighs 70 kg."),
        (TANKS, "Height and weight of T-1 are 90 and 70."),
        (TANKS, "At 90 cm, T-1 is light in weight."),
        (TOURS, "The Coast tour went from 640 to 655 in 2023."),
        (TOURS, "Hills had 310, more than in 2023."),
        (STAFF, "Ada Holm began on 3 May 2011 and left at last."),
        (STAFF, "Leo Berg was hired in 2008 and left in 2020."),
        (GRID, "The thick rope bears 200 whatever its length."),
        ("Coast tour: 640 guests in 2022.\n" + TOURS, "In 2023 the Coast tour had 640."),
        (BOXES, "大箱长80厘米，比宽度大得多。"),
        (BOXES, "小箱的长和宽分别为35厘米和25厘米。"),
        ("甲27; 期限: 3年\n乙31; 期限: 5年", "甲27的期限为3年。"),
    ],
)
def test_what_may_be_of_its_own_column_is_left_alone(source: str, sentence: str) -> None:
    assert misfiled(sentence, source) is None


def test_a_time_of_day_in_chinese_characters_has_its_minutes() -> None:
    assert judged("列车9点10分发车。", "发车时间: 09:10").supported is not False
    assert judged("列车9点15分发车。", "发车时间: 09:10").supported is False


def test_a_preposition_is_no_part_of_a_chinese_name() -> None:
    assert judged("周敏于6月离职。", "员工: 周敏; 离职日期: 6月").supported is not False
