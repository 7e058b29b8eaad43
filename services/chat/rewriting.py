"""A follow-up as a question that stands on its own: searching knows nothing of what was said before."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence

from services.chat.memory import Exchange
from services.chat.prompts import Language, question_language
from services.chat.reasoning import Thoughts
from services.chat.streaming import pumped
from services.llm.protocol import ChatModel, Message, Sampling

EXCHANGES_SHOWN = 3
ANSWER_CHARACTERS = 500
LONGEST = 400
MAX_TOKENS = 120
FEW_WORDS, FEW_HAN = 3, 6

_POINTS_BACK = re.compile(
    r"\b(?:it|its|they|them|their|theirs|this|that|these|those|he|him|his|she|her|hers|there|then|ones?|same|"
    r"former|latter|above|previous|earlier|else|instead|too|either)\b"
    r"|^(?:and|but|or|so|then|also|what about|how about|why|why not|really|more|go on)\b",
    re.IGNORECASE,
)
_POINTS_BACK_ZH = re.compile(
    r"它|他们|他們|她们|她們|他|她|这|這|那|其中|其|此|该|該|上述|上面|前面|刚才|剛才|之前|同样|同樣|还有|還有|另外|呢[？?]?\s*$|^(?:为什么|為什麼|怎么办|怎麼辦|然后|然後|所以|但是|那么|那麼|继续|繼續|再)"
)
_HAN = re.compile(r"[\u4e00-\u9fff]")
_WORD = re.compile(r"[^\W\d_\u4e00-\u9fff]+|\d+")
_SYSTEM: dict[Language, str] = {
    "en": (
        "Rewrite the last question of a conversation so that it can be understood without the conversation: put names "
        "in place of words such as it or that. Change nothing else, add nothing, do not answer it. "
        "Reply with the question only."
    ),
    "zh": (
        "改写对话中的最后一个问题，使人不看对话也能明白：用具体名称代替它、这个、那个等词。"
        "不要改动其他内容，不要补充，不要回答。只回复改写后的问题。"
    ),
    "zh-Hant": (
        "改寫對話中的最後一個問題，使人不看對話也能明白：用具體名稱代替它、這個、那個等詞。"
        "不要改動其他內容，不要補充，不要回答。只回覆改寫後的問題。"
    ),
}
_EXAMPLE: dict[Language, tuple[str, str]] = {
    "en": (
        "Conversation:\nPerson: Which fish live in the pond?\nAssistant: Koi live in the pond.\n\n"
        "Last question: How old is it?",
        "How old is the pond?",
    ),
    "zh": (
        "对话：\n用户：池塘里有什么鱼？\n助手：池塘里养着锦鲤。\n\n最后一个问题：它是哪年挖的？",
        "池塘是哪年挖的？",
    ),
    "zh-Hant": (
        "對話：\n使用者：池塘裡有什麼魚？\n助手：池塘裡養著錦鯉。\n\n最後一個問題：它是哪年挖的？",
        "池塘是哪年挖的？",
    ),
}
_ASKED: dict[Language, tuple[str, str, str, str]] = {
    "en": ("Conversation:", "Person: ", "Assistant: ", "Last question: "),
    "zh": ("对话：", "用户：", "助手：", "最后一个问题："),
    "zh-Hant": ("對話：", "使用者：", "助手：", "最後一個問題："),
}
_LABEL = re.compile(
    r"^(?:(?:rewritten |last |standalone )?question|改写后的问题|最后一个问题|问题|改寫後的問題|最後一個問題|問題)"
    r"\s*[:：]\s*",
    re.IGNORECASE,
)


def needs_context(question: str, earlier: Sequence[Exchange]) -> bool:
    """Whether a question can hardly be understood alone: it points back, or is very short. Cheap, no model is asked."""
    if not earlier:
        return False
    han, words = len(_HAN.findall(question)), len(_WORD.findall(question))
    short = han <= FEW_HAN if han > words else words <= FEW_WORDS
    pointing = _POINTS_BACK_ZH if han > words else _POINTS_BACK
    return short or bool(pointing.search(question.strip()))


def rewritten(model: ChatModel, question: str, earlier: Sequence[Exchange], stop: threading.Event) -> str | None:
    """The question as it stands on its own; None where the model gave nothing that could be one, or was stopped."""
    said, sampling = Thoughts(), Sampling(max_tokens=MAX_TOKENS, temperature=0.0)
    for event in pumped(model.stream(rewriting_messages(question, earlier), sampling), stop):
        said.hear(event)
    return None if stop.is_set() else _clean(said.answer, question)


def rewriting_messages(question: str, earlier: Sequence[Exchange]) -> list[Message]:
    """What the model is asked."""
    language = question_language(question)
    heading, person, assistant, last = _ASKED[language]
    lines = [heading]
    for exchange in earlier[-EXCHANGES_SHOWN:]:
        lines += [f"{person}{exchange.question}", f"{assistant}{exchange.answer[:ANSWER_CHARACTERS]}"]
    example, answer = _EXAMPLE[language]
    asked = "\n".join(lines) + f"\n\n{last}{question.strip()}"
    return [
        Message("system", _SYSTEM[language]),
        Message("user", example),
        Message("assistant", answer),
        Message("user", asked),
    ]


def _clean(said: str, question: str) -> str | None:
    lines = [line.strip() for line in said.strip().splitlines() if line.strip()]
    if not lines:
        return None
    found = _LABEL.sub("", lines[0]).strip("\"'“”「」*` ")
    other_script = bool(_HAN.search(found)) != bool(_HAN.search(question))
    return found if re.search(r"\w", found) and len(found) <= LONGEST and not other_script else None
