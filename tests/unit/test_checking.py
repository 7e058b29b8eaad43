"""What is checked of an answer: pairs made by hand, and the pieces that decide."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.chat.checking import numerals
from services.chat.checking.answers import check_answer, checks_of, support
from services.chat.checking.quantities import figures
from services.chat.checking.sentences import sentences
from services.chat.checking.verdicts import (
    CONTRADICTS,
    MEANING,
    NAMES,
    NEGATION,
    NO_SOURCE,
    NOT_FOUND,
    NUMBERS,
    SUPPORTED,
    SWAPPED,
    UNSURE,
    judged,
)
from services.chat.ports import Passage

PAIRS = Path(__file__).parent / "checker_pairs"


def passage(number: int, text: str, document: str = "handbook.md", heading: str = "") -> Passage:
    return Passage(
        document=document,
        page=None,
        start=0,
        end=len(text),
        text=text,
        number=number,
        chunk_id=number,
        document_id="d",
        revision=1,
        heading=heading,
        score=0.9,
    )


GARDEN = [
    passage(1, "The pond was dug in 1962. It holds koi."),
    passage(2, "Dogs must be kept on a lead. The gate closes at 6 p.m."),
    passage(3, "池塘挖于1962年，里面养着锦鲤。狗必须用绳牵着。"),
]


@pytest.mark.parametrize("name", ["first", "unseen", "third"])
def test_it_finds_what_was_altered_and_little_else(name: str) -> None:
    pairs = [json.loads(line) for line in (PAIRS / f"{name}.jsonl").read_text("utf-8").splitlines()]
    flagged = {pair["sentence"] for pair in pairs if judged(pair["sentence"], pair["passage"]).supported is False}
    altered = {pair["sentence"] for pair in pairs if pair["altered"]}
    assert len(altered) == len(pairs) / 2
    assert len(flagged & altered) / len(flagged) >= 0.9, flagged - altered
    assert len(flagged & altered) / len(altered) >= 0.9, altered - flagged


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("二十三", 23),
        ("十", 10),
        ("一百零五", 105),
        ("两千三百", 2300),
        ("一亿二千万", 120_000_000),
        ("三点五", 3.5),
        ("一九八七", 1987),
    ],
)
def test_chinese_numerals(written: str, value: float) -> None:
    assert numerals.chinese(written) == value


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("二十三天", "23 days"),
        ("１２，０００元", "12000元"),
        ("1.2万册", "12,000册"),
        ("百分之三十", "30%"),
        ("30 percent", "30 %"),
        ("2 km", "2000 metres"),
        ("two weeks", "14 days"),
        ("零下20摄氏度", "-20 °C"),
        ("$4.25 million", "4,250,000 dollars"),
        ("三分之二", "two thirds"),
        ("twice", "two times"),
        ("2 years", "24 months"),
    ],
)
def test_the_same_quantity_in_other_words(one: str, other: str) -> None:
    (mine,), (theirs,) = figures(one).quantities, figures(other).quantities
    assert mine.kind == theirs.kind
    assert mine.value == pytest.approx(theirs.value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("on 14 June 2022", "2022-06-14"),
        ("June 14th, 2022", "2022年6月14日"),
        ("14/06/2022", "14.6.2022"),
        ("一九八七年三月", "March 1987"),
        ("at 6 p.m.", "下午六点"),
        ("18:30", "晚上6点半"),
    ],
)
def test_the_same_time_in_other_words(one: str, other: str) -> None:
    mine, theirs = figures(one), figures(other)
    assert [(m.year, m.month, m.day) for m in mine.moments] == [(m.year, m.month, m.day) for m in theirs.moments]
    assert [clock.minutes for clock in mine.clocks] == [clock.minutes for clock in theirs.clocks]
    assert mine.moments or mine.clocks


@pytest.mark.parametrize(
    ("sentence", "verdict", "reason"),
    [
        ("The pond was dug in 1964.", CONTRADICTS, NUMBERS),
        ("Karl Huber dug the pond in 1962.", NOT_FOUND, NAMES),
        ("The pond was not dug in 1962.", CONTRADICTS, NEGATION),
        ("It was created by eager volunteers of an association.", UNSURE, "words"),
    ],
)
def test_the_reason_is_named(sentence: str, verdict: str, reason: str) -> None:
    found = judged(sentence, GARDEN[0].text + " Nobody remembers the volunteers any more.")
    assert (found.verdict, found.reason) == (verdict, reason)


@pytest.mark.parametrize(
    ("sentence", "source"),
    [
        ("In Q2 the club gained members.", "In the second quarter the club gained members."),
        ("The tank holds 1.5 litres.", "The tank holds one and a half litres."),
        ("冰柜的温度为-18℃。", "冰柜的温度保持在零下十八摄氏度。"),
        ("栏杆高1.3米。", "栏杆高一米三。"),
        ("课程持续2.5小时。", "课程持续两个半小时。"),
        ("销量比上一年增长了9%。", "销量同比增长9%。"),
        ("延期三个星期。", "可以延期三周。"),
        ("The farm keeps 40 goats.", "The farm keeps 25 sheep and 40 goats."),
        ("The herd has 12 brown cows.", "The herd has 30 white cows and 12 of brown colour."),
        ("游船停靠宁波、舟山和台州三地。", "游船先后停靠宁波、舟山和台州。"),
        ("工程于1831年到1836年进行。", "工程在1831年至1836年间进行。"),
        ("If nobody objects, the plan is adopted.", "The plan is adopted unless a member objects."),
        ("要想进入仓库，需要钥匙。", "没有钥匙不能进入。进入仓库需要钥匙。"),
        ("他把信件打湿了，无息借款照旧。", "他把信件打湿了，借款照旧，没有利息。"),
        ("The chapel was repaired in 1820 by monks.", "The chapel was restored in 1820 by monks."),
        ("协议会自动续签两年。", "协议会自动延长两年。"),
        ("这种胶水不适合在低温下使用。", "这种胶水不适宜在低温下使用。"),
        ("船队从岭口出海。", "船队从岭口出发，驶入南海。"),
        ("The museum closes at eight in the evening.", "The museum closes at 8 p.m."),
        ("The chimney is swept once a year.", "The chimney is swept yearly."),
        ("头一年停车免费。", "第一年停车免费。"),
        ("莫瓦里在1911年建成。", "它由莫瓦里于1911年建成。"),
        ("非洲和无锡各有一家分店。", "分店开在非洲和无锡，各有一家。"),
        ("車程要30分鐘，票可保留三週。", "車程三十分鐘，票保留三個星期。"),
        ("Error 7 means no flow.", "E07: no flow. The error is shown on the display, which means a blocked inlet."),
        ("BL-80 costs 1,200 euros.", "The BL80 costs EUR 1200."),
    ],
)
def test_the_same_in_other_words_is_not_flagged(sentence: str, source: str) -> None:
    assert judged(sentence, source).supported is not False


@pytest.mark.parametrize(
    ("sentence", "source", "reason"),
    [
        ("The office is on the fifth floor.", "The office is on the fourth floor.", NUMBERS),
        ("The fair takes place in September.", "The fair takes place in October.", NUMBERS),
        ("The museum closes at nine in the evening.", "The museum closes at 8 p.m.", NUMBERS),
        ("Buses leave from bay D.", "Buses leave from bay B every hour.", NAMES),
        ("展品放在A区。", "展品放在C区的柜子里。", NAMES),
        ("Trainees lose their parking permit.", "Trainees keep their parking permit during the summer.", NEGATION),
        ("The parish has a vote.", "The parish is heard but has no vote.", NEGATION),
        ("Nuts may go into the parcel.", "Nuts are ruled out of the parcel by the rules.", NEGATION),
        ("寄存的行李将被取消。", "寄存的行李将被保留。", NEGATION),
        ("展館沒有開放夜場。", "展館在週末開放夜場。", NEGATION),
        ("The fee is not refunded.", "The fee is refunded without delay if the course is full.", NEGATION),
        ("备用电池可工作6小时。", "F6：更换备用电池后，设备可工作。", NUMBERS),
        ("The filter is changed after 80 hours.", "The filter of the BL-80 is changed once a month.", NUMBERS),
    ],
)
def test_what_is_altered_is_flagged_with_its_reason(sentence: str, source: str, reason: str) -> None:
    found = judged(sentence, source)
    assert (found.supported, found.reason) == (False, reason)


@pytest.mark.parametrize(("cosine", "verdict"), [(0.9, SUPPORTED), (0.84, UNSURE), (0.7, NOT_FOUND)])
def test_the_embedder_decides_what_the_words_leave_open(cosine: float, verdict: str) -> None:
    evidence = "Trucks may not enter the yard. Lorries exist."
    found = judged("Lorries never come in here.", evidence, lambda _sentence, texts: [cosine] * len(texts))
    assert (found.verdict, found.reason) == (verdict, MEANING)


def test_an_answer_is_cut_into_sentences_with_their_marks() -> None:
    answer = (
        "# Garden\n\n- Koi, e.g. carp, live there at 6 p.m. daily [1][2]. It is 3.5 m deep. [1]\n"
        "- 狗须牵着。[2]第二句【3】！\n```\nx. y [1]\n```"
    )
    found = sentences(answer, 3)
    assert [(sentence.text, sentence.numbers) for sentence in found] == [
        ("Garden", ()),
        ("Koi, e.g. carp, live there at 6 p.m. daily .", (1, 2)),
        ("It is 3.5 m deep.", (1,)),
        ("狗须牵着。", (2,)),
        ("第二句！", (3,)),
    ]
    assert answer[found[2].start : found[2].end] == "It is 3.5 m deep. [1]"


def test_each_sentence_is_checked_against_what_it_cites() -> None:
    answer = (
        "The pond was dug in 1962 [1]. Dogs must be kept on a lead [1]. The gate closes at 7 p.m. [2] "
        "The pond holds koi."
    )
    checks = check_answer(answer, GARDEN)
    assert [(check.verdict, check.numbers, check.better) for check in checks] == [
        (SUPPORTED, (1,), None),
        (NOT_FOUND, (1,), 2),
        (CONTRADICTS, (2,), None),
        (NO_SOURCE, (), 1),
    ]
    assert support(checks) == {1: (False, "not_found:words"), 2: (False, "contradicts:numbers")}
    assert checks_of({"checks": json.loads(json.dumps([check.row() for check in checks]))}) == list(checks)


def test_a_sentence_of_two_sources_is_held_against_both() -> None:
    (check,) = check_answer("狗必须用绳牵着，池塘挖于1962年，下午六点关门[2][3]。", GARDEN)
    assert check.verdict == SUPPORTED


def test_the_name_of_the_document_and_its_headings_are_evidence() -> None:
    cited = passage(1, "The pond is deep.", "Hartwell 2021.pdf", "Report")
    (check,) = check_answer("In the Hartwell report of 2021 the pond is deep [1].", [cited])
    assert check.verdict == SUPPORTED


@pytest.mark.parametrize(
    "answer",
    [
        "The documents do not say.",
        "The passages do not mention any price.",
        "I'm sorry, but I could not find that information in the documents.",
        "根据提供的段落，文档中没有提到票价。",
        "抱歉，我无法从资料中找到相关信息。",
        "文件中沒有說明。",
        "根據提供的段落，文件中沒有提到票價。",
    ],
)
def test_a_refusal_has_nothing_to_check(answer: str) -> None:
    assert check_answer(answer, GARDEN) == ()


def test_a_lead_in_a_heading_and_a_question_need_no_source() -> None:
    answer = "## The pond\n\nThe rules of the garden are as follows:\n\nShall I go on with the rules?"
    assert check_answer(answer, GARDEN) == ()


def test_a_pronoun_written_otherwise_is_no_other_word() -> None:
    source = "当感到威胁时，牠们会卷曲成球状来保护腹部柔软的部位。"
    assert judged("当感到威胁时，它们会卷曲成球状来保护腹部柔软的部位。", source).verdict == SUPPORTED
    assert judged("当感到威胁时，牠们会卷曲成球状来保护背部柔软的部位。", source).reason == SWAPPED
