"""The words of a sentence as evidence: what it is about, and the names in it. English and Chinese."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

HAN = "\u3400-\u9fff"
_TOKEN = re.compile(rf"[A-Za-z\u00c0-\u024f]+(?:['’.&-][A-Za-z\u00c0-\u024f]+)*|[{HAN}]+")
_TITLE = re.compile(r"《([^《》\n]{1,40})》|[\"“”]([^\"“”\n]{2,60})[\"“”]")
_LETTER = re.compile(r"(?<![A-Za-z\d.°$-])(?<!\d\s)(?!I\b|A\s[a-z])[A-Z](?![A-Za-z\d'’°-]|\.\s?[A-Z])")
"""A letter that names one of several, as in Gate C, 方案B, A座; neither a unit nor an initial."""
_ANY_LETTER = re.compile(r"(?<![A-Za-z])[A-Z](?![A-Za-z])")
_SUFFIX = re.compile(r"(?:ically|ations?|ities|ments?|ing|ies|ied|ely|ed|es|ly|al|er|ion|s|e|y)$")
_STOP_ENGLISH = """
a an the this that these those it its he she they them their his her him we us our you your i who whom which
what is are was were be been being am do does did done have has had having will would shall should can could
may might must and or but if of in on at to for from by with as into onto over under about after before between
during than then there here so such also too very just only up down out off per via whose where when while
because since until according says said states stated passage passages source sources document text mentions
mentioned describes each any all some more most other own same s t don get gets got make makes made every how
why
"""
STOP = frozenset(_STOP_ENGLISH.split())
_STOP_CHINESE = """
的 了 和 与 及 或 在 是 有 为 於 于 对 由 从 到 把 被 将 向 以 而 且 并 也 都 就 还 则 其 之 该 此 这 那 它 他
她 我 你 们 吗 呢 吧 得 地 着 过 可以 可 能 能够 需要 需 要 须 必须 应 应当 应该 会 个 名 一 上 下 中 内 里 后
前 时 等 根据 段落 文档 说 提到 指出 如果 但 但是 因此 所以 因为 通过 进行 只 只有 至少 最多 以上 以下 以内
之内 之后 之前 大约 约 每 各 某 什么 怎么 如何 多 少 用 让 使 给 所 者 至
"""
_STOP_HAN = frozenset(_STOP_CHINESE.split())
NAMED = ("nr", "nrt", "nrfg", "ns", "nt", "nz")
_UNNAMED = """
january february march april may june july august september october november december monday tuesday wednesday thursday
friday saturday sunday celsius fahrenheit kelvin euro euros i pdf ok am pm a.m p.m no yes mr mrs ms dr prof
"""
_NO_NAMES = frozenset(_UNNAMED.split())
_UNNAMED_HAN = """
滑冰 滑雪 城市 大战 大戰 王朝 西北 南北 四海 上市 平原 都市 普通 文明 朝廷 深度 家族 王国 王國 城镇 城鎮 高山
明星 熊猫 入口 十字 晋级 古典 加盟 古老 祝贺 随后 隨後 天文 令人 深海 东西 東西 美丽 普及 道德 越野 海洋 修正
山脉 山脈 抗议 抗議 二人 英雄 宣言 王子 天皇 新建 智慧 恒星 恆星 外国 外國 荣誉 高原 河谷 高峰 中断 中斷 特征
特徵 登基 卫星 衛星 亚军 丘陵 友谊 论文 論文 建国 建國 哥哥 慈善 蓬勃 大国 新城 海关 官宣 大省 青春 师生 福利
权威 權威 太阳 太陽 封锁 封鎖 顾问 顧問 叶子 小镇 祖先 阳光 祖母 古城 海港 上台 两国 兩國 都城 玉米 正文 申报
关于 關於 巴士
"""
_NO_HAN_NAMES = frozenset(_UNNAMED_HAN.split())
"""Ordinary words that the segmenter takes for names."""


@dataclass(frozen=True, slots=True)
class Words:
    """The content of a text: `terms` as they are compared, `names` as they are written."""

    terms: tuple[str, ...]
    names: tuple[str, ...]


def plain(text: str) -> str:
    """One form for what looks alike: full-width letters and digits become ordinary ones."""
    return unicodedata.normalize("NFKC", text)


def words(text: str) -> Words:
    """The content words of a text, in order, and its names."""
    text = plain(text)
    terms: list[str] = []
    names: list[str] = [first or second for first, second in _TITLE.findall(text)]
    for match in _TOKEN.finditer(text):
        token = match.group()
        if "\u3400" <= token[0] <= "\u9fff":
            for word, tag in tagged(token):
                if word not in _STOP_HAN and not tag.startswith(("m", "x", "u", "p", "c", "r")):
                    terms.append(word)
                if tag in NAMED and len(word) > 1 and word not in _NO_HAN_NAMES:
                    names.append(word)
        else:
            lowered = token.lower()
            if lowered not in STOP and len(lowered) > 1:
                terms.append(stem(lowered))
            if len(token) > 1 and _is_name(text, match):
                names.append(token)
    return Words(tuple(terms), tuple(dict.fromkeys([*names, *_LETTER.findall(text)])))


def stem(word: str) -> str:
    """The beginning that the forms of an English word share."""
    word = re.sub(r"['’]s?$", "", word)
    shorter = _SUFFIX.sub("", word) if len(word) > 4 else re.sub(r"(?<=[a-z]{2}[^s])s$", "", word)
    return shorter if len(shorter) >= 3 else word


def covered(terms: Iterable[str], text: str, known: frozenset[str]) -> list[bool]:
    """For each term whether the text has it, or for Chinese at least most of its characters side by side."""
    return [_has(term, text, known) for term in terms]


def _has(term: str, text: str, known: frozenset[str]) -> bool:
    if term in known or term in text:
        return True
    if "\u3400" <= term[0] <= "\u9fff":
        pairs = [term[at : at + 2] for at in range(len(term) - 1)]
        return len(term) > 2 and 2 * sum(pair in text for pair in pairs) >= len(pairs) + 1
    return len(term) > 5 and any(other.startswith(term[:5]) for other in known)


def missing_names(names: Iterable[str], text: str) -> list[str]:
    """The names that do not stand in a text, whatever their case; a single letter has to stand alone there too.

    A Chinese one need not stand there in one piece: 入海 for 汇入东海 is a shorter way to say it, and the segmenter may
    take a character too many (魏舒史 of 魏舒史称…, 周敏于 of 周敏于6月离职).
    """
    lowered, letters = plain(text).lower(), set(_ANY_LETTER.findall(plain(text)))
    found = []
    for name in names:
        if len(name) == 1:
            if name not in letters:
                found.append(name)
            continue
        if "\u3400" <= name[0] <= "\u9fff" and any(
            name[:cut] in lowered and name[cut:] in lowered for cut in ((1,) if len(name) == 2 else (1, len(name) - 1))
        ):
            continue
        if len(name) > 2 and name[-1] in _STOP_HAN and name[:-1] in lowered:
            continue
        parts = re.split(r"[\s·•-]+", plain(name).lower())
        if not all(part.rstrip(".’'s") in lowered or part in lowered for part in parts if len(part) > 1):
            found.append(name)
    return found


@lru_cache(maxsize=4096)
def tagged(text: str) -> tuple[tuple[str, str], ...]:
    """Chinese words with their part of speech."""
    import rjieba  # opens its dictionary, which costs a third of a second

    return tuple((str(word), str(tag)) for word, tag in rjieba.tag(text))


def _is_name(text: str, match: re.Match[str]) -> bool:
    token = match.group()
    if not token[0].isupper() or token.lower() in _NO_NAMES or token.lower() in STOP:
        return False
    if len(token) > 1 and (token.isupper() or any(letter.isupper() for letter in token[1:])):
        return True
    before = text[: match.start()].rstrip(" \"“‘'(（*_-#>")
    begins = not before or before[-1] in ".!?。！？:：\n•"
    return not begins or bool(re.match(r"\s[A-Z][a-z]", text[match.end() :]))
