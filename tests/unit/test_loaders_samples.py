"""The sample documents read like everybody's documents and answer the suggested questions."""

from __future__ import annotations

from collections import Counter

import pytest

from services.knowledge.loaders.child import read_here
from services.knowledge.loaders.protocol import Limits
from services.knowledge.samples import SAMPLE_QUESTIONS, sample_files

LIMITS = Limits(pages=50, characters=100_000, timeout_s=60, memory_bytes=2 << 30)
ANSWERS = (
    "31 March",
    "oxygen sensor cap has expired",
    "extension 4499",
    "22.00",
    "15天",
    "清理冷凝器",
    "15分钟",
    "600 小时",
)


@pytest.fixture(scope="module")
def texts():
    outcomes = [read_here(path, path.name, LIMITS) for path in sample_files()]
    return [outcome.document.text.replace("\n", " ") for outcome in outcomes if outcome.document]


def test_all_samples_are_small_and_readable(texts):
    assert 6 <= len(sample_files()) == len(texts)
    assert all(path.stat().st_size < 60_000 for path in sample_files())


def test_the_samples_show_every_format():
    suffixes = {path.suffix for path in sample_files()}
    assert suffixes == {".pdf", ".docx", ".html", ".md", ".txt", ".csv"}


def test_both_languages_have_four_questions():
    assert Counter(language for language, _ in SAMPLE_QUESTIONS) == {"en": 4, "zh_CN": 4}


@pytest.mark.parametrize("answer", ANSWERS)
def test_the_answer_stands_in_a_sample(answer, texts):
    assert any(answer in text for text in texts)
