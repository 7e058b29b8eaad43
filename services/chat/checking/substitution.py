"""One word changed in a sentence that otherwise repeats its source: the sign of a wrong name or term."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from itertools import pairwise

from services.chat.checking.words import NAMED, STOP, plain, stem, tagged

_TOKEN = re.compile(r"[A-Za-z\u00c0-\u024f]+(?:['’-][A-Za-z\u00c0-\u024f]+)*|[\u3400-\u9fff]|\d+(?:[.,]\d+)*")
_CONTEXT = 3
"""Words that must be the same on each side, fewer where a sentence begins or ends; of Chinese characters two."""
_FUNCTION = ("d", "p", "c", "u", "r", "m", "f", "t", "q", "x", "y")
_PRONOUNS = frozenset("我你您妳他她它牠祂")
"""Who writes 它 where the source has 牠, or a pronoun where it has a name, exchanges nothing."""
_GRAMMAR = frozenset("的了和与及或在是有为于对由从到把被将向以而且并也都就还则其之该此这那可能会须应要得需")


def substituted(sentence: str, source: str) -> tuple[str, str] | None:
    """What the sentence says and what the source has in its place; None where nothing was plainly exchanged."""
    said, told = _TOKEN.findall(plain(sentence).lower()), _TOKEN.findall(plain(source).lower())
    blocks = SequenceMatcher(None, said, told, autojunk=False).get_matching_blocks()
    for before, after in pairwise(blocks):
        begin, end = before.a + before.size, after.a
        mine, theirs = said[begin:end], told[before.b + before.size : after.b]
        if not mine or len(mine) != len(theirs) or len(mine) > 2:
            continue
        if mine[0] > "\u3400":
            framed = before.size >= 2 and after.size >= 2
        else:
            framed = before.size >= (1 if before.a == 0 else _CONTEXT)
            framed = framed and after.size >= (1 if after.a + after.size == len(said) else _CONTEXT)
        if framed and _telling(mine, theirs, plain(sentence), plain(source)):
            space = " " if mine[0].isascii() else ""
            return space.join(mine), space.join(theirs)
    return None


def _telling(mine: list[str], theirs: list[str], sentence: str, source: str) -> bool:
    """Whether both are words of substance that are no forms of each other."""
    if mine[0] > "\u3400" and _all_verbs(mine, sentence) and _all_verbs(theirs, source):
        return False  # what is done can be told in other words, what it is done to less so
    if all(word.endswith("ed") for word in (*mine, *theirs)):
        return False
    for one, other in zip(mine, theirs, strict=True):
        if one[0].isdigit() or other[0].isdigit() or (one > "\u3400") != (other > "\u3400"):
            return False
        if one > "\u3400":
            if one in _PRONOUNS or other in _PRONOUNS or _synonyms(one, sentence, other, source):
                return False
            if not (_of_name(other, source) or (_of_substance(one, sentence) and _of_substance(other, source))):
                return False
        elif one in STOP or other in STOP or len(one) < 4 or len(other) < 4 or stem(one)[:4] == stem(other)[:4]:
            return False
    return True


def _all_verbs(characters: list[str], text: str) -> bool:
    word = "".join(characters)
    return any(word == known and tag.startswith("v") for known, tag in tagged_all(text))


def _synonyms(one: str, sentence: str, other: str, source: str) -> bool:
    """Whether two characters belong to words of doing or being that share the rest, such as 适合 and 适宜."""
    mine = {word for word, tag in tagged_all(sentence) if one in word and not tag.startswith("n")}
    theirs = {word for word, tag in tagged_all(source) if other in word and not tag.startswith("n")}
    return any(word.replace(one, other) == known for word in mine for known in theirs if len(word) > 1)


def _of_name(character: str, text: str) -> bool:
    return any(character in word and len(word) > 1 and tag in NAMED for word, tag in tagged_all(text))


def _of_substance(character: str, text: str) -> bool:
    word, tag = next(((word, tag) for word, tag in tagged_all(text) if character in word), (character, "n"))
    if len(word) > 1:
        return not tag.startswith(("t", "d", "m", "c")) and not word.startswith(("不", "未", "没", "无"))
    return not tag.startswith(_FUNCTION) and character not in _GRAMMAR


def tagged_all(text: str) -> list[tuple[str, str]]:
    """The Chinese words of a text with their part of speech."""
    return [pair for run in re.findall(r"[\u3400-\u9fff]+", text) for pair in tagged(run)]
