"""Prompts put together of their parts. What does not change comes first, so that a server's prefix cache keeps it."""

from __future__ import annotations

from collections.abc import Sequence

from services.chat.memory import Remembered
from services.chat.parts import Part
from services.chat.prompts import (
    Language,
    PromptPassage,
    asked_line,
    fixed_messages,
    framed,
    plain_instruction,
    question_language,
)

_SUMMARY: dict[Language, str] = {
    "en": "What was said so far: {text}",
    "zh": "此前的对话概要：{text}",
    "zh-Hant": "此前的對話概要：{text}",
}


def grounded_parts(
    question: str, passages: Sequence[PromptPassage], language: Language, system_prompt: str = ""
) -> list[Part]:
    """The prompt for an answer from passages. It stands on its own: earlier turns are no part of it."""
    instruction, *examples = fixed_messages(language)
    return [
        Part("instruction", "system", instruction.content),
        *_own(system_prompt),
        *(Part("examples", message.role, message.content) for message in examples),
        Part("passages", "user", framed(passages, language)),
        Part("question", "user", asked_line(question, language), joined=True),
    ]


def plain_parts(question: str, remembered: Remembered, system_prompt: str = "") -> list[Part]:
    """The prompt of a chat without documents: in the language in which the conversation began."""
    parts = [Part("instruction", "system", plain_instruction(_language(remembered, question))), *_own(system_prompt)]
    if remembered.summary:
        parts.append(Part("summary", "system", summary_line(remembered, question), joined=True))
    for exchange in remembered.exchanges:
        parts += [Part("memory", "user", exchange.question), Part("memory", "assistant", exchange.answer)]
    return [*parts, Part("question", "user", question.strip())]


def summary_line(remembered: Remembered, question: str = "") -> str:
    """The summary as a model is told it."""
    return _SUMMARY[_language(remembered, question)].format(text=remembered.summary)


def _language(remembered: Remembered, question: str) -> Language:
    first = remembered.exchanges[0].question if remembered.exchanges else question
    return question_language(first or remembered.summary)


def _own(system_prompt: str) -> list[Part]:
    return [Part("system_prompt", "system", system_prompt, joined=True)] if system_prompt else []
