"""Figures that a passage has, but of something else: rows, lists and clauses that were exchanged."""

from __future__ import annotations

import pytest

from services.chat.checking.placement import misplaced
from services.chat.checking.verdicts import CONTRADICTS, PLACE, SUPPORTED, judged

PRICES = "A room costs 50 euros, a suite costs 70 euros."
ARRIVED = "Anna came in 1990 and Bert in 1995."
TOWERS = "The tower was built in 1890. It is 30 m high. The church is 45 m high."
PUMPS = "Name: Pump B; Pressure: 3 bar; Flow: 20\nName: Pump C; Pressure: 5 bar; Flow: 35\nName: Pump D; Flow: 50"
PARTS = "Part | Weight | Price\nAxle | 12 kg | 80 euros\nWheel | 9 kg | 45 euros\nChain | 3 kg | 20 euros"
HOURS = "Opening hours:\n- Cellar: 9 a.m. to 7 p.m.\n- Terrace: 6 a.m. to 8 p.m.\n- Attic: 11 a.m. to 5 p.m."
FRUIT = "苹果每斤5元，梨每斤7元。"
WORKS = "甲厂有职工300人，乙厂有500人。"


@pytest.mark.parametrize(
    ("source", "sentence", "said", "instead"),
    [
        (PRICES, "A room costs 70 euros.", "70 euros", "A room costs 50 euros"),
        (ARRIVED, "Bert came in 1990.", "1990", "Bert in 1995."),
        (ARRIVED, "Anna came in 1995.", "1995", "Anna came in 1990 and"),
        (PUMPS, "Pump B has a flow of 50.", "50", "Name: Pump B; Pressure: 3 bar; Flow: 20"),
        (PARTS, "The chain weighs 12 kg.", "12 kg", "Chain | 3 kg | 20 euros"),
        (HOURS, "The attic opens at 9 a.m.", "9 a.m.", "- Attic: 11 a.m. to 5 p.m."),
        (FRUIT, "梨每斤5元。", "5元", "梨每斤7元。"),
        (WORKS, "乙厂有职工300人。", "300", "乙厂有500人。"),
    ],
)
def test_a_figure_of_something_else_is_found(source: str, sentence: str, said: str, instead: str) -> None:
    assert misplaced(sentence, source) == (said, instead)
    verdict = judged(sentence, source)
    assert (verdict.verdict, verdict.reason) == (CONTRADICTS, PLACE)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (PRICES, "A suite costs 70 euros."),
        (PRICES, "Compared with the suite, a room is cheaper at 50 euros."),
        (PRICES, "A suite costs 70 euros and a room 50 euros."),
        ("Admission is 8 euros. Parking costs 5 euros.", "Entry costs 8 euros."),
        (ARRIVED, "Bert came in 1995, Anna in 1990."),
        (TOWERS, "The tower is 30 m high."),
        (PUMPS, "Pump C has a flow of 35."),
        (PARTS, "The wheel weighs 9 kg and costs 45 euros."),
        (HOURS, "The terrace opens at 6 a.m."),
        (FRUIT, "苹果的价格是每斤5元。"),
        (WORKS, "乙厂有职工500人。"),
        ("张华出生于1970年。他1992年毕业于北京大学，1995年去了法国。", "张华1992年毕业于北京大学。"),
        ("The dose starts at 5 mg a day and goes up to 10 mg.", "The dose goes up from 5 mg to 10 mg."),
        ("In 2010 the county became a city, and Lin was its first mayor. In 2014 he won again.", "Lin won in 2014."),
    ],
)
def test_what_stands_in_its_place_is_left_alone(source: str, sentence: str) -> None:
    assert misplaced(sentence, source) is None
    assert judged(sentence, source).verdict == SUPPORTED
