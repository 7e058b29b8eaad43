"""Titles of conversations: the beginning of the first question at once, a better one by the model when it has time."""

from __future__ import annotations

import re

from services.chat.memory import Exchange
from services.chat.prompts import Language, question_language
from services.chat.turns import TITLE_CHARACTERS
from services.llm.protocol import Message

MAX_TOKENS = 30
_SYSTEM: dict[Language, str] = {
    "en": "Give the conversation a title of two to six words that tells what it is about. Reply with the title only.",
    "zh": "给这段对话起一个标题，四到十二个字，说明它讲的是什么。只回复标题。",
    "zh-Hant": "給這段對話起一個標題，四到十二個字，說明它講的是什麼。只回覆標題。",
}
_LABEL = re.compile(r"^(?:title|标题|標題)\s*[:：]\s*", re.IGNORECASE)
_HAN = re.compile(r"[\u4e00-\u9fff]")


def title_messages(exchange: Exchange) -> list[Message]:
    """What the model is asked."""
    system = _SYSTEM[question_language(exchange.question)]
    return [Message("system", system), Message("user", f"{exchange.question}\n\n{exchange.answer[:400]}")]


def clean_title(said: str, question: str) -> str | None:
    """A title of what the model said; None where it said something else: a sentence, another language, nothing."""
    lines = [line.strip() for line in said.strip().splitlines() if line.strip()]
    if len(lines) != 1:
        return None
    title = _LABEL.sub("", lines[0]).strip("\"'“”「」《》*#` .。")
    other_script = bool(_HAN.search(question)) and not _HAN.search(title)
    return title if 1 < len(title) <= TITLE_CHARACTERS and re.search(r"\w", title) and not other_script else None
