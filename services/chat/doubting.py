"""Whether a model itself believes that the passages answer a question: a small one invents an answer all the same.

Asked what it would not say by itself: how likely is it that it begins with "yes" where it is asked whether the answer
stands there? How likely that is with and without an answer was measured for each language (`bench/doubts.py`), and a
model that was not measured is not asked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from services.chat.parts import Part, messages_of
from services.chat.prompts import Language, question_line
from services.core.errors import AppError
from services.llm.protocol import ChatModel

Doubts = Mapping[str, float]
"""For each language of a prompt the likelihood of "yes" beneath which a model doubts."""

_ASKS: dict[Language, str] = {
    "en": "Do not answer it yet. Do the passages above state the answer to this question? Reply only yes or no.",
    "zh": "先不回答问题。上面的段落里写有这个问题的答案吗？只回答“有”或“无”。",
    "zh-Hant": "先不回答問題。上面的段落裡寫有這個問題的答案嗎？只回答「有」或「無」。",
}
_YES = ("yes", "有")
_NO = ("no", "无", "無", "没有", "沒有")


def likelihood(
    model: ChatModel, parts: Sequence[Part], question: str, language: Language, wanted: Callable[[], bool]
) -> float | None:
    """How likely the model says that the passages answer a question, from 0 to 1; None where that cannot be told.

    All of the prompt but its end is what the answer was asked with, so that a server that keeps it reads a line.

    Args:
        parts: of the prompt that the answer was asked with; the last one is the question.
        wanted: looked at while the server is waited for.
    """
    asked = Part("question", "user", f"{question_line(question, language)}\n{_ASKS[language]}", joined=True)
    try:
        first = model.first_token(messages_of([*parts[:-1], asked]), wanted)
    except AppError:
        return None  # the answer stands; whether it is doubted is no reason to lose it
    yes, no = (sum(math.exp(first[token]) for token in first if _said(token) in words) for words in (_YES, _NO))
    return yes / (yes + no) if yes + no else None


def _said(token: str) -> str:
    return token.strip(" “”「」\"'.。").lower()
