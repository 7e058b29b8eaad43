"""Whether a clause affirms or denies, and whether two texts say the opposite of each other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from services.chat.checking.words import NAMED, covered, plain, stem, tagged, words

_NEUTRAL = re.compile(
    r"\b(?:no|not)\s(?:fewer|less|more|later|earlier|longer\sthan|only|just|least)(?:\sthan)?\b(?!\slonger)|\bwhether\sor\snot\b|"
    r"\bnot\suntil\b|\bno\sproblem|没有?问题|沒有?問題|没关系|沒關係|\bwithout\s(?:doubt|exception)\b|"
    r"不得不|不[少多低高晚早迟小大]于|不能[少多低高晚早]于|不[应應得可须須]?(?:超过|超過|低于|低於|少于|少於|多于|多於|高于|高於|晚于|晚於|早于|早於)|不到|不足|不满|不滿|未满|未滿|不仅|不但|不只|不光|"
    r"不同|不断|不斷|不当|不良|不久|不过|不過|不管|不论|不論|无论|無論|不锈钢|不鏽鋼|不动产|不動產|未来|未來|无线|無線|无人|無人|无息|無息|无偿|無償|无限|無限|非常|有没有|是不是|能不能|可不可以|没收|不少|不错|不时|不等|不幸|不满",
    re.IGNORECASE,
)
_ENGLISH = re.compile(
    r"\b(?:not|never|no|none|nobody|nothing|neither|nor|without|cannot|hardly|forbidden|forbids?|prohibit(?:ed|s)?|banned|"
    r"bans?|excluded?s?|excluding|exempt(?:ed)?|lacks?|lacking|refus(?:es?|ed)|den(?:ies|ied)|fail(?:s|ed)?\sto|unable|"
    r"unnecessary|impossible|disallow(?:s|ed)?|unlike|except|unless|ruled?\sout|(?:kept|keeps?|left|leaves?)\sout|(?:kept|keeps?)\saway)\b|n[’']t\b",
    re.IGNORECASE,
)
_CHINESE = ("不", "没", "沒", "未", "无", "無", "勿", "非")
_CHINESE_WORDS = (
    "禁止",
    "严禁",
    "嚴禁",
    "禁用",
    "禁",
    "拒绝",
    "拒絕",
    "免除",
    "除外",
    "缺乏",
    "避免",
    "排除",
    "谢绝",
    "謝絕",
    "免",
)
_AFFIXES = ("in", "un", "im", "non", "dis", "ir")
_CLAUSE = re.compile(
    r"[。!！?？;；\n]+|[.:：](?!\d)|[,，](?!\d{3})|\b(?:and|but|or|which|while|whereas|although|though|because|when|if)\b|\bas\slong\sas\b|(?=\b(?:without|unless)\b)|但是?|而且|并且|且|因此|所以"
)
_SENTENCE = re.compile(r"[。!！?？;；\n]+|\.(?!\d)")
_OPPOSITES = [
    tuple(frozenset(stem(word) for word in side.split()) for side in line.split(" / "))
    for line in (
        "keep keeps kept keeping retain retains retained / lose loses lost losing",
        "increase increases increased rise rises rose risen grow grows grew / decrease decreases decreased decline "
        "declines declined fall falls fell fallen shrink shrinks shrank",
        "open opens opened / close closes closed shut",
        "mandatory compulsory obligatory required / optional voluntary",
        "保留 / 取消 删除",
        "增加 增长 上升 提高 上涨 / 减少 下降 降低 下跌",
        "开放 打开 开启 / 关闭",
        "必须 强制 / 自愿",
    )
]
"""Words of which the one denies the other, beside those that count as a denial by themselves."""
_FEW_TERMS = 3
"""A clause of no more words after another one has left its subject out."""
_VERB_DENIED = re.compile(r"\b(?:not|never|cannot)\b|n[’']t\b|[不没沒未无無]", re.IGNORECASE)
_PURPOSE = re.compile(r"^\s*(?:in\sorder\sto|to|so\sas\sto)\s|^\s*(?:要想|若想|如想|如需|想要|为了|要)", re.IGNORECASE)
"""A clause that begins so says what somebody wants, not what is."""
_MOST, _LEAST = 0.6, 0.3
"""Of the words of the one clause and of the other, those that are in both."""


@dataclass(frozen=True, slots=True)
class Clause:
    """A part of a sentence: its content words, and whether it denies them."""

    text: str
    terms: tuple[str, ...]
    denies: bool


def clauses(text: str) -> Iterator[Clause]:
    """The clauses of a text that say something."""
    for part in _CLAUSE.split(plain(text)):
        said = _NEUTRAL.sub(" ", part or "")
        numbers = re.findall(r"\d+(?:\.\d+)*", said)
        terms = (*(term for term in words(said).terms if not _denying(term) and not _ENGLISH.fullmatch(term)), *numbers)
        if terms:
            yield Clause(said, terms, _negations(said) % 2 == 1)


def _with_subjects(text: str) -> Iterator[Clause]:
    """The clauses of a text; a denial that is too short to have a subject also with the clause before it.

    "The council is informed but has no veto" denies that the council has one.
    """
    for part in _SENTENCE.split(plain(text)):
        before: Clause | None = None
        for clause in clauses(part):
            yield clause
            if before and clause.denies and len(clause.terms) <= _FEW_TERMS:
                yield Clause(f"{before.text} {clause.text}", (*before.terms, *clause.terms), denies=True)
            before = clause


def opposed(sentence: str, passage: str) -> tuple[str, str] | None:
    """A clause of the sentence and the one of the passage that says its opposite; None where there is no such pair."""
    told, said = list(_with_subjects(passage)), [each for each in clauses(sentence) if not _PURPOSE.match(each.text)]
    together = list(_pairs(passage))
    differing: list[tuple[Clause, Clause]] = []
    met: dict[Clause, None] = {}
    for clause in said:
        likeness = [(_alike(clause, other), other) for other in told]
        best = max((share for share, _other in likeness), default=0.0)
        if not best:
            continue
        nearest = [other for share, other in likeness if share >= best - 0.01]
        met[nearest[0]] = None
        if all(_differ(clause, other) for other in nearest) and not _said_together(clause, together, nearest):
            differing.append((clause, nearest[0]))
    # What one text denies in a clause of its own, another denies in the same breath: only the sums can differ.
    balanced = sum(clause.denies for clause in said) == sum(clause.denies for clause in met)
    if not differing or (balanced and len(said) > 1 and not any(_turned(*pair) for pair in differing)):
        return None
    return differing[0][0].text.strip(), differing[0][1].text.strip()


def _pairs(text: str) -> Iterator[Clause]:
    """Two clauses that follow each other in a sentence, as one."""
    for part in _SENTENCE.split(plain(text)):
        for first, second in pairwise(clauses(part)):
            yield Clause(f"{first.text} {second.text}", (*first.terms, *second.terms), first.denies != second.denies)


def _said_together(clause: Clause, together: Iterable[Clause], nearest: Sequence[Clause]) -> bool:
    """Whether two clauses of the passage agree in one with this clause, and have more of its words than any one has."""
    most = max(_share(clause, other) for other in nearest)
    return any(_share(clause, pair) > most and _alike(clause, pair) and not _differ(clause, pair) for pair in together)


def _differ(clause: Clause, other: Clause) -> bool:
    return (clause.denies != other.denies) != _turned(clause, other)


def _alike(clause: Clause, other: Clause) -> float:
    """How much two clauses are about the same; 0 where that is not enough to set one against the other."""
    if len(clause.terms) == len(other.terms) == 1 and not any(
        _VERB_DENIED.search(each.text) for each in (clause, other)
    ):
        return 0.0  # an item of a list ("no meat"), not a statement
    shares = _share(clause, other), _share(other, clause)
    return sum(shares) if max(shares) >= _MOST and min(shares) >= _LEAST else 0.0


def _share(clause: Clause, other: Clause) -> float:
    """The share of the clause's words that the other one has; a word and its denial (soluble, insoluble) are alike."""
    known = frozenset(other.terms) | {
        term[len(affix) :] for term in other.terms for affix in _AFFIXES if term.startswith(affix)
    }
    terms = [_bare(term, known) for term in clause.terms]
    found = covered(terms, other.text.lower(), known)
    return sum(found) / len(found)


def _turned(clause: Clause, other: Clause) -> bool:
    """Whether one says by a word of its own what the other denies."""
    return _affixed(clause, other) or any(
        (_has(clause, one) and _has(other, against) and not (_has(clause, against) or _has(other, one)))
        or (_has(clause, against) and _has(other, one) and not (_has(clause, one) or _has(other, against)))
        for one, against in _OPPOSITES
    )


def _has(clause: Clause, some: frozenset[str]) -> bool:
    return not some.isdisjoint(clause.terms)


def _affixed(clause: Clause, other: Clause) -> bool:
    """Whether one has a word that the other has with a denying syllable before it."""
    mine, theirs = set(clause.terms), set(other.terms)
    pairs = ((mine - theirs, theirs), (theirs - mine, mine))
    return any(
        affix + term in more for fewer, others in pairs for term in others for affix in _AFFIXES for more in (fewer,)
    )


def _bare(term: str, known: frozenset[str]) -> str:
    return next(
        (term[len(affix) :] for affix in _AFFIXES if term.startswith(affix) and term[len(affix) :] in known), term
    )


def _negations(text: str) -> int:
    count = len(_ENGLISH.findall(text))
    for run in re.findall(r"[\u3400-\u9fff]+", text):
        count += sum(_denying(word) for word, _tag in tagged(run))
    return count


def _denying(word: str) -> bool:
    """Whether a Chinese word denies; names such as 非洲 and 无锡 only begin so."""
    return word in _CHINESE_WORDS or (word.startswith(_CHINESE) and tagged(word)[0][1] not in NAMED)
