"""Where sentences end."""

from __future__ import annotations

import pytest

from services.knowledge.chunking.sentence_borders import sentence_spans


@pytest.mark.parametrize(
    "sentences",
    [
        ["It is 3.5 m long. ", "No. 7 costs 1.200 euros."],
        ["Ask Dr. Weber, e.g. by mail, before 5 p.m. at the desk. ", "He helps."],
        ["He said “Stop.” ", "Then she left."],
        ["“Stop!” he said. ", "She ran."],
        ["(See the table.) ", "It is long."],
        ["Really?! ", "Yes… ", "No."],
        ["Read J. R. Smith first. ", "Then go on."],
        ["Pumps, tubes, etc. ", "They are cheap."],
        ["The wrapped\nline goes on. ", "The next does not."],
        ["A heading\n\n", "Text without a stop\n\n", "More"],
        ["Items:\n", "- one\n", "- two\n", "1. three\n", "2) four"],
        ["水泵六点启动。", "为什么？", "因为白天不抽水！"],
        ["他说：“水泵坏了。”", "然后走了。"],
        ["（见表一。）", "长度为3.5米。"],
        ["等等……", "他来了。"],
        ["泵的型号是BL-80.5。", "好吗?", "好"],
        ["第一行\n第二行。", "完"],
    ],
)
def test_sentences_end_where_a_reader_ends_them(sentences: list[str]) -> None:
    text = "".join(sentences)
    assert [text[start:end] for start, end in sentence_spans(text)] == sentences


def test_a_hostile_text_costs_no_more_than_its_length() -> None:
    text = "." * 100_000 + "”" * 100_000 + " a\n" * 50_000 + "“" * 100_000
    spans = list(sentence_spans(text))
    assert spans[0][0] == 0 and spans[-1][1] == len(text)
