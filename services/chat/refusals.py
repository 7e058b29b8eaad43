"""Whether an answer says that the documents do not tell, however a model words it, in English or Chinese."""

from __future__ import annotations

import re

from services.chat.prompts import is_refusal

_NO = r"(?:do(?:es)?\s?n[o'’]t|did\snot|cannot|can\s?n[o'’]t|could\snot|couldn['’]t|no|not|unable\sto|without)"
_SAYS = (
    r"(?:say|state|mention|tell|contain|provide|include|specif|answer|find|found|information|determine|know|given|"
    r"address|discuss|cover|indicate|describe|give)"
)
_TEXTS = r"(?:passages?|documents?|sources?|texts?|context|excerpts?|information|provided|knowledge\sbase)"
_ENGLISH = re.compile(
    rf"^(?:i['’]m\s)?(?:sorry|unfortunately|apologies)?[^.!?]{{0,60}}\b(?:{_TEXTS}\b[^.!?]{{0,40}}\b{_NO}\b[^.!?]{{0,20}}\b{_SAYS}"
    rf"|{_NO}\b[^.!?]{{0,30}}\b{_SAYS}\w*\b[^.!?]{{0,60}}\b{_TEXTS})",
    re.IGNORECASE,
)
_CHINESE = re.compile(
    r"^(?:抱歉|很抱歉|对不起|對不起|不好意思)?[^。！？]{0,30}"
    r"(?:段落|文档|文檔|文件|资料|資料|文中|上下文|材料|来源|來源|知识库|知識庫|内容|內容)[^。！？]{0,20}"
    r"(?:没有|沒有|并未|並未|未|未能|无法|無法|不)[^。！？]{0,8}"
    r"(?:说明|說明|提到|提及|提供|涉及|包含|记载|記載|给出|給出|回答|找到|相关|相關|说|說|指出|介绍|介紹)"
    r"|^(?:抱歉|很抱歉|对不起|對不起)?[，,]?(?:我)?(?:无法|無法|不能|没有办法|沒有辦法)[^。！？]{0,12}(?:回答|找到|确定|確定|得知|从|從)"
    r"|^(?:没有|沒有|未)找到[^。！？]{0,20}(?:信息|資訊|内容|內容|资料|資料|答案)",
)
LONGEST = 400
"""A longer answer says something besides."""


def refuses(answer: str) -> bool:
    """Whether an answer says that nothing was found, and nothing else."""
    text = answer.strip()
    if is_refusal(text):
        return True
    return len(text) <= LONGEST and bool(_ENGLISH.match(text) or _CHINESE.match(text))
