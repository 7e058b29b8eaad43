"""What a person says in words about how a question is to be answered: from the documents, or without them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from services.chat.turns import CHAT, KNOWLEDGE

_GENERIC = r"(?:docs?|documents?|documentation|files?|sources?|handbooks?|manuals?|guides?|library)"
_KNOWN = r"{names}|knowledge[ -]?bases?|kb"
_OUR = r"(?:(?:the|our|my|your|these|those|any|all)\s+)"
_THINGS = rf"(?:{_OUR}+(?:{_KNOWN}|{_GENERIC})|{_KNOWN})"
_ASIDE = r"(?:do\s+not|don['’]t|without|no\s+need\s+to|never\s+mind)\s+"
_USE = r"(?:(?:use|using|search|searching|look(?:ing)?\s+(?:in|into|at|through)|check(?:ing)?|consult(?:ing)?)\s+)?"
_WITHOUT = rf"(?:please\s+)?{_ASIDE}{_USE}{_OUR}*(?:{_KNOWN}|{_GENERIC})"
_LOOK = (
    r"(?:look|search|check|find|see|consult)(?:\s+(?:it|this|that))?(?:\s+up)?(?:\s+(?:in|into|through|at))?"
    r"|according\s+to|based\s+on|what\s+do(?:es)?(?=.*\bsay\b)"
)
_WITHIN = rf"(?:please\s+|can\s+you\s+|could\s+you\s+)?(?:{_LOOK})\s+{_THINGS}"
_THINGS_ZH = r"(?:{names}|知识库|文档|文件|资料|手册|说明书|指南)"
_OUR_ZH = r"(?:我们的|这个|这些|任何)?"
_LOOK_ZH = r"(?:查询|查找|查阅|查看|检索|搜索|参考)"
_WITHOUT_ZH = (
    rf"(?:请)?(?:不要|别|不用|不必|无需|不需要)再?(?:{_LOOK_ZH}|使用|查|看|用|翻)?(?:一下)?{_OUR_ZH}{_THINGS_ZH}"
)
_WITHIN_ZH = (
    rf"(?:请|帮我|麻烦)*(?:(?:{_LOOK_ZH}|查|(?:翻|看)(?=一下|看))(?:一下|查|看)?{_OUR_ZH}{_THINGS_ZH}"
    rf"|(?:在|从|到){_OUR_ZH}{_THINGS_ZH}(?:里面|里|中)(?:查一下|查询|查找|查|找一下|找|搜索|搜)?"
    rf"|(?:根据|按照|依据|基于){_OUR_ZH}{_THINGS_ZH})"
)
_EDGES = " \t\n,，.。:：;；!！-–—、"
_ASKS_HOW = re.compile(r"\bhow\s+(?:do|can|to|could|should)\b[^.?!]*$|(?:怎么|如何|怎样)[^。？！，]*$", re.IGNORECASE)
_WORD = re.compile(r"\w")
_JOINT = re.compile(r"^(?:and|then|to\s+see|for|,)\s+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Said:
    """What was understood: the mode, the bases that were named, the words for it, and the question without them."""

    mode: str
    base_ids: tuple[str, ...]
    words: str
    rest: str


def said(question: str, bases: Mapping[str, str]) -> Said | None:
    """What a question says about its mode; None where it says nothing.

    Args:
        bases: ids with names; a base may be called by its name.
    """
    for mode, templates in ((CHAT, (_WITHOUT, _WITHOUT_ZH)), (KNOWLEDGE, (_WITHIN, _WITHIN_ZH))):
        for template in templates:
            match = _pattern(template, tuple(bases.values())).search(question)
            if match and not _ASKS_HOW.search(question[: match.start()]):
                words = match.group()
                called = tuple(id for id, name in bases.items() if mode == KNOWLEDGE and _calls(words, name))
                return Said(mode, called, words.strip(), _without(question, match))
    return None


def _pattern(template: str, names: tuple[str, ...]) -> re.Pattern[str]:
    known = [re.escape(name) for name in sorted(names, key=len, reverse=True) if len(name) > 1]
    latin = template not in (_WITHOUT_ZH, _WITHIN_ZH)
    pattern = template.replace("{names}", "|".join(known) or r"(?!)")
    return re.compile(rf"\b{pattern}(?!\w)" if latin else pattern, re.IGNORECASE)


def _calls(words: str, name: str) -> bool:
    return len(name) > 1 and name.casefold() in words.casefold()


def _without(question: str, match: re.Match[str]) -> str:
    """The question without the words that said how to answer it; whole, where it would be no sentence without them."""
    before, after = question[: match.start()].strip(_EDGES), question[match.end() :].strip(_EDGES)
    if re.fullmatch(r"\s*[?？]\s*", question[match.end() :]):
        before += after
    if match.group().lower().startswith("what") or (_WORD.search(before) and _WORD.search(after)):
        return question
    return _JOINT.sub("", after) if _WORD.search(after) else before
