"""Citation marks in all the ways in which models write them: [1], 【1】, [1-3], "passages 1 and 2", 第2段, ¹ …

Each way is one pattern here. A number without a passage is text, and so is whatever stands in code or
mathematics. While an answer grows, `settled` tells how far it is decided what is a mark.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

import regex

from services.chat.spans import spans, undecided

_NUMBER = r"(?<!\d)\d{1,3}(?!\d)"
_HAN = r"[一二三四五六七八九十]{1,3}"
_ENGLISH = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
_ORDINALS = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"]
_HAN_DIGITS = "一二三四五六七八九"

_JOIN = (
    r"\s{0,2}(?:[,，、;；&＆]\s{0,2}(?:(?:and|or|和|与|及)\s{0,2})?|\b(?:and|or)\b\s{0,2}|和|与|與|及|以及|或)\s{0,2}"
)
_RANGE = r"\s{0,2}(?:[-‐-―−~～至到]|\bto\b)\s{0,2}"
_WORD = (
    r"(?:passages?|sources?|references?|refs?\.?|citations?|cites?|cited|documents?|docs?|chunks?|contexts?|excerpts?|"
    r"snippets?|notes?|footnotes?|quotes?|texts?|paragraphs?|paras?\.?|numbers?|nos?\.?|nr\.?|see|from|#|№|"
    r"段落|片段|来源|來源|资料|資料|引用|引文|参考(?:资料|文献)?|參考(?:資料|文獻)?|文献|文獻|文档|文檔|出处|出處|参?见|參?見|依据|依據|"
    r"编号|編號|注|第|根据|根據)"
)
_WORDS = rf"(?:{_WORD}[\s:：_\-]{{0,3}}){{0,3}}"
_ITEM = (
    rf"{_WORDS}(?:\^|[*_]{{1,2}})?(?:{_NUMBER}|(?<=第){_HAN})(?:\^|[*_]{{1,2}})?"
    r"(?:†[^\[\]【】\n]{0,40}|个?段落?|號|号|条|條)?"
)
_ITEMS = rf"{_ITEM}(?:(?:{_JOIN}|{_RANGE}){_ITEM}){{0,11}}"
_PLACE = r"(?:pages?\b|pp?\b\.?|sec(?:tion|\.)?|lines?\b|第|页|頁|§)"
_TAIL = rf"(?:\s?[:：|]\s?[^\d\s\[\]【】\n][^\[\]【】\n]{{0,80}}|[\s,，;；]{{1,2}}{_PLACE}[^\[\]【】\n]{{0,40}})?"
_BRACKETED = rf"\\?[\[【［〔〖]{{1,2}}\s{{0,2}}(?<list>{_ITEMS}){_TAIL}\s{{0,2}}\\?[\]】］〕〗]{{1,2}}"
_PARENTHESISED = rf"[(（]\s?(?<list>(?={_WORD}){_ITEMS}){_TAIL}\s?[)）]"
# A bare (1) is a mark only where a sentence ends with it, and does not repeat a number that was just said.
_SAID = "|".join([*_ENGLISH, *_ORDINALS, r"\d"])
_CLOSING = rf"(?<=[^\s\d(（]\s?)(?<!\b(?:{_SAID})\s?)[(（](?<list>{_NUMBER})[)）](?=[.。!！?？;；\n]|\Z)"
_TAGGED = (
    rf"<(?<tag>sup|cite|ref|citation|source)>\s?[\[【(]?(?<list>{_ITEMS})[\]】)]?\s?</(?P=tag)>"
    rf"|</?(?:passage|source|ref|cite|citation|doc)\s(?:id|n|index|number)?=?[\"']?(?<list>{_NUMBER})[^<>\n]{{0,60}}>"
)
_RAISED_DIGITS = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_UNITS = "sec|min|rad|mol|sin|cos|tan|log|exp|inch|foot|feet|mile|yard|meter|metre"
_RAISED = (
    rf"⁽(?<raised>[{_RAISED_DIGITS}]{{1,2}})⁾"
    rf"|(?<=[^\W\d_]{{3}}|[\p{{Han}}.,;:!?。，；：！？”\"’'»])(?<!\b(?:{_UNITS})s?|[米里秒尺寸])"
    rf"(?<raised>[{_RAISED_DIGITS}]{{1,3}}(?:[,，˒ʼ⁻·][{_RAISED_DIGITS}]{{1,2}}){{0,5}})(?![\w⁺⁻])"
)
_CIRCLED = r"(?<=[^\s\p{P}]|[”\"’')）])(?<circled>[①-⑳]{1,6})(?=[.。!！?？;；，,\n]|\Z)"

_SPELT = rf"(?:{_NUMBER}|\b(?:{'|'.join(_ENGLISH)})\b)"
_SPELT_LIST = rf"(?<words>{_SPELT}(?:(?:{_JOIN}|{_RANGE}){_SPELT}){{0,11}})(?!\.\d)"
_BEFORE_SOURCE = r"(?<=\b(?:to|per|in|from|by|see|both|with|as|cf\.)\s|^|[\n.:;(（]\s?)"
_CHINESE = rf"(?:{_NUMBER}|{_HAN})"
_CHINESE_LIST = rf"(?<words>{_CHINESE}(?:(?:{_JOIN}|{_RANGE})第?(?:段落)?{_CHINESE}){{0,11}})"
_PARTS = r"(?:段落|片段|资料|資料|来源|來源|文献|文獻|引文|段(?![时時距路话話婚]))"
_SPOKEN = (
    rf"\b(?:passages?|excerpts?|snippets?)\s(?:(?:numbers?|nos?\.)\s|#)?{_SPELT_LIST}"
    rf"|{_BEFORE_SOURCE}sources?\s(?:numbers?\s|#)?{_SPELT_LIST}(?=[\s.,;:)，。]|\Z)"
    rf"|\b(?<words>(?:{'|'.join(_ORDINALS)})(?:{_JOIN}(?:the\s)?(?:{'|'.join(_ORDINALS)})){{0,5}})\s(?:passages?|excerpts?)\b"
    rf"|(?<=^|[\n.。;；(（]\s?)(?:sources?|references?|refs?|citations?|来源|來源|引用|参考(?:资料)?|出处)\s?[:：]\s?"
    rf"(?<words>{_NUMBER}(?:(?:{_JOIN}|{_RANGE}){_NUMBER}){{0,11}})(?=\s?(?:[.。;；)）\n]|\Z))"
    rf"|(?:段落|片段|来源|來源|资料|資料|文献|文獻|引文)\s?(?:编号|編號)?\s?{_CHINESE_LIST}(?!\s?[个個种種份篇条條类類方级級月年日%％.．\d])"
    rf"|第\s?{_CHINESE_LIST}\s?(?:个|個|条|條|号|號)?{_PARTS}"
    rf"|(?<!\d){_CHINESE_LIST}[号號]{_PARTS}"
)

_WAYS = tuple(
    regex.compile(way, regex.IGNORECASE)
    for way in (_BRACKETED, _PARENTHESISED, _CLOSING, _TAGGED, _RAISED, _CIRCLED, _SPOKEN)
)
_IN_TABLES = regex.compile(_BRACKETED, regex.IGNORECASE)
_PIECE = regex.compile(
    rf"(?<range>{_RANGE})(?=[\^*_\w])|(?<digits>{_NUMBER})|(?<english>\b(?:{'|'.join([*_ENGLISH, *_ORDINALS])})\b)"
    rf"|(?<han>{_HAN})",
    regex.IGNORECASE,
)
_TABLE_LINE = regex.compile(r"(?m)^[ \t>]*\|[^\n]*")
_LONGEST = 260
_CONTINUATION = 14


@dataclass(frozen=True, slots=True)
class Number:
    """A number of a mark that has a passage, and where it is written; the inner ones of a range have no place."""

    value: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Group:
    """A whole mark such as [1, 2]; `spoken`: it is part of a sentence, as in "passages 1 and 2"."""

    start: int
    end: int
    numbers: tuple[Number, ...]
    spoken: bool
    order: tuple[int, ...]
    """All its numbers as they are written, those without a passage among them."""


def groups(text: str, count: int) -> list[Group]:
    """The marks of an answer that refer to at least one of its passages, which count from 1, in their order."""
    closed = spans(text)
    begins = [span.start for span in closed]
    tables = list(_tables(text))
    found: list[Group] = []
    for match in sorted((match for way in _WAYS for match in way.finditer(text)), key=lambda match: match.start()):
        if found and match.start() < found[-1].end:
            continue
        before = bisect_right(begins, match.start()) - 1
        if before >= 0 and match.start() < closed[before].end:
            continue
        if any(start <= match.start() < end for start, end in tables) and not _cites_in_table(text, match):
            continue
        group = _group(match, count)
        if group.numbers:
            found.append(group)
    return found


def settled(text: str) -> int:
    """How much of an answer that still grows can be shown: what stands there stays as it is, whatever comes next."""
    limit = undecided(text)
    for way in _WAYS:
        position = max(0, len(text) - _LONGEST)
        while position < limit and (match := way.search(text, position, partial=True)):
            if match.partial or match.end() > len(text) - _CONTINUATION:
                limit = min(limit, match.start())
                break
            position = match.end()
    row = text.rfind("\n", 0, len(text)) + 1
    if row < limit and text[row:].lstrip(" \t>").startswith("|"):
        limit = min(limit, max(text.rfind("|"), row))
    return limit


def _group(match: regex.Match[str], count: int) -> Group:
    captured = match.capturesdict()
    name = next(name for name in ("words", "list", "raised", "circled") if captured.get(name))
    read = _raised if name in ("raised", "circled") else _listed
    start, end = match.spans(name)[-1]
    numbers = read(match.string, start, end, count)
    known = tuple(number for number in numbers if 1 <= number.value <= count)
    return Group(match.start(), match.end(), known, name == "words", tuple(number.value for number in numbers))


def _listed(text: str, start: int, end: int, count: int) -> list[Number]:
    numbers: list[Number] = []
    ranging = False
    for piece in _PIECE.finditer(text, start, end):
        if piece.lastgroup == "range":
            ranging = bool(numbers)
            continue
        value = _value(piece)
        if ranging:
            low = numbers[-1].value
            if not 1 <= low < value <= count:
                return []
            numbers += [Number(between, piece.start(), piece.start()) for between in range(low + 1, value)]
        numbers.append(Number(value, piece.start(), piece.end()))
        ranging = False
    return numbers


def _value(piece: regex.Match[str]) -> int:
    written = piece.group().lower()
    if piece.lastgroup == "digits":
        return int(written)
    if piece.lastgroup == "english":
        return (_ENGLISH if written in _ENGLISH else _ORDINALS).index(written) + 1
    tens, ten, ones = written.partition("十")
    if ten:
        return (_HAN_DIGITS.find(tens) + 1 if tens else 1) * 10 + (_HAN_DIGITS.find(ones) + 1 if ones else 0)
    return int("".join(str(_HAN_DIGITS.find(digit) + 1) for digit in written))


def _raised(text: str, start: int, end: int, count: int) -> list[Number]:
    numbers: list[Number] = []
    for run in regex.finditer(rf"[{_RAISED_DIGITS}]+|[①-⑳]", text, pos=start, endpos=end):
        if run.group() >= "①":
            numbers.append(Number(ord(run.group()) - ord("①") + 1, run.start(), run.end()))
            continue
        digits = [unicodedata.digit(digit) for digit in run.group()]
        value = int("".join(map(str, digits)))
        if value <= count:
            numbers.append(Number(value, run.start(), run.end()))
        else:  # ¹² beyond the passages is 1 and 2
            numbers += [Number(digit, run.start() + at, run.start() + at + 1) for at, digit in enumerate(digits)]
    return numbers


def _tables(text: str) -> Iterator[tuple[int, int]]:
    for line in _TABLE_LINE.finditer(text):
        yield line.start(), line.end()


def _cites_in_table(text: str, match: regex.Match[str]) -> bool:
    """A table has numbers of its own: in its head, and alone in the first cell of a row, a mark is one of them."""
    if not _IN_TABLES.fullmatch(match.group()):
        return False
    begin = text.rfind("\n", 0, match.start()) + 1
    above = text[text.rfind("\n", 0, max(begin - 1, 0)) + 1 : max(begin - 1, 0)]
    if not above.lstrip(" \t>").startswith("|"):
        return False
    cell = text[begin : match.start()].lstrip(" \t>")
    finish = text.find("\n", match.end())
    rest = text[match.end() : finish if finish >= 0 else len(text)].partition("|")[0]
    return bool(cell.count("|") > 1 or cell.strip("| \t*_") or rest.strip(" \t*_"))
