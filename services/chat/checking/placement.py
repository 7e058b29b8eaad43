"""Whether a figure stands with what the sentence says it of: a passage may have such figures of several things.

A passage is cut into stretches that have one figure of a kind each: rows, list items, sentences, and clauses where a
sentence lists several. A figure is misplaced where another stretch, with another figure, has all that this one has to
do with the sentence, and is about the very thing that it names besides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from services.chat.checking.quantities import Clock, Moment, Quantity, figures
from services.chat.checking.sentences import pieces
from services.chat.checking.words import STOP, covered, plain, stem, tagged, words

Figure = Quantity | Moment | Clock

_ROW = re.compile(
    r"^\s*\|?[^|]+\|[^|]+|^[^:：;；]*[:：][^\d;；]+;\s[^:：;；]+:\s|^[^;；]+(?:;\s[^:：;；]+:\s[^;；]+){2}"
)
"""A row as the readers write it: its cells belong to one thing, and are not cut."""
_LINE = re.compile(rf"{_ROW.pattern}|^\s*(?:[-*+•·]|\d{{1,2}}[.)、])\s")
"""A row, or an item of a list: such are held against each other however far apart they stand."""
_JOIN = r"(?:and|or|but|while|whereas)\s"
_CLAUSE = re.compile(rf"(?:[;；，、]|,(?!\d))\s*(?:{_JOIN})?|\s{_JOIN}|[和而或](?=.)")
_AROUND = " ,;，；、"
_PRONOUN = re.compile(
    r"\s*(?:it|its|they|their|he|his|she|her|this|these|both)\b|\s*(?:[它他她其该此这]|两者|二者)", re.IGNORECASE
)
_ANY = """
amount came close closes cost costs count counts cover come comes equal fall falls fell found get give given go
hold holds held increase increased join joined last lie make measure measures need needs number open opens pay paid
price produce produced reach reached remain rent rented report rise rises rose run sell sold show stand stood start
started take takes took total use used weigh weighs work worked build built begin began end ended length long high
height wide tall old deep
"""
_SAID_OF_ANY = frozenset(map(stem, _ANY.split()))
"""Words that go with a figure whatever it is of."""
_THING = ("n", "s", "z", "a", "b", "i", "j", "l")
"""Parts of speech, by their first letter, of Chinese words that can name what a figure is of."""


YEARS = range(1000, 2101)
"""A bare number among these is a year, and nothing that could be counted."""


@dataclass(frozen=True, slots=True)
class _Stretch:
    """The clauses about one figure of a kind, or several that cannot be parted."""

    text: str
    shared: str
    """The clauses before and after it up to the next figure, which may belong to either side."""
    context: str
    """The sentence that its pronoun means."""
    above: str
    """What stands before it without such a figure, a heading perhaps, which may be about it and others."""
    sentence: int
    number: int
    """Where it stands: in which sentence, and within that."""


def misplaced(sentence: str, source: str) -> tuple[str, str] | None:
    """A figure of the sentence and the stretch of the source that has another one in its place; None where none is."""
    for figure in all_figures(sentence):
        if isinstance(figure, Quantity) and figure.weak:
            continue
        if not any(alike(figure, other) and not equal(figure, other) for other in all_figures(source)):
            continue
        claim = clause_with(sentence, figure)
        rival = _rival(figure, claim, source) if claim else None
        if rival is not None:
            return figure.written, rival
    return None


def clause_with(sentence: str, figure: Figure) -> str | None:
    """The part of a sentence that is about one of its figures."""
    return next((part.text for part in _stretches(sentence, figure) if _has(part.text, figure)), None)


def _rival(figure: Figure, claim: str, source: str) -> str | None:
    """The stretch that is about what is claimed, with another figure, while those with this figure are not."""
    keys = _keys(claim, figure)
    parts = _stretches(source, figure)
    mine = [part for part in parts if _has(part.text, figure)]
    said = [other for other in all_figures(claim) if alike(figure, other)]
    others = [
        part
        for part in parts
        if part not in mine and not any(_has(part.text, other) for other in said)  # "from 5 to 7" says both
    ]
    for other in others if keys and mine else []:
        if all(_better(keys, part, other) and _of_another(figure, claim, part, other) for part in mine):
            return other.text.strip(_AROUND)
    return None


def _better(keys: tuple[str, ...], part: _Stretch, other: _Stretch) -> bool:
    """Whether another stretch has all that this one has of the claim, and names its thing besides."""
    theirs, own = _known(keys, other.text), _known(keys, " ".join((part.above, part.context, part.shared, part.text)))
    near = abs(other.sentence - part.sentence) <= 1 or (_LINE.search(other.text) and _LINE.search(part.text))
    if not near or not any(_names_a_thing(key) for key in theirs - own):
        return False
    mine = _known(keys, " ".join((part.context, part.shared, part.text)))
    left = [key for key in mine - _known(keys, f"{other.context} {other.text}") if _names_a_thing(key)]
    # "A opened in 1998, and B in 2007": the second goes on from the first, whose words need not be said again.
    told = words(part.text)
    follows = other.sentence == part.sentence and other.number > part.number
    goes_on = follows and len(words(other.text).terms) < len(told.terms)
    names = {stem(name.lower()) for name in told.names}
    return not left or (goes_on and not any(key[0] == "#" or key in names for key in left))


def _of_another(figure: Figure, claim: str, part: _Stretch, other: _Stretch) -> bool:
    """Whether a figure stands behind a thing that is not the claim's: without one, it goes on with what went before.

    Or both figures come first: "14 euros for adults, 9 for children"; but dates that come first tell a story.
    """
    before, its = _before(figure, part.text), _before(figure, other.text, same=False)
    if before is None or its is None:
        return False
    if not words(before).terms and not words(its).terms and not isinstance(figure, Moment):
        return True
    keys = _keys(before, figure)
    return any(_names_a_thing(key) for key in set(keys) - _known(keys, claim))


def _before(figure: Figure, text: str, *, same: bool = True) -> str | None:
    """What stands before this figure in a text, or before the first one of its kind; None where it is not found."""
    there = (other for other in all_figures(text) if alike(figure, other) and (not same or equal(figure, other)))
    found = plain(text)
    places = [found.find(other.written) for other in there]
    begin = min((place for place in places if place >= 0), default=None)
    return None if begin is None else found[:begin]


def _keys(claim: str, figure: Figure) -> tuple[str, ...]:
    """What a claim says beside its figure: words, single letters that name one of several, other figures."""
    found = words(claim)
    letters = [name for name in found.names if len(name) == 1]
    others = [_written(other) for other in all_figures(claim) if not alike(figure, other)]
    units = {stem(word.lower()) for one in all_figures(claim) for word in re.findall(r"[A-Za-z]+", one.written)}
    terms = [term for term in found.terms if term not in units and not all_figures(term)]
    return tuple(dict.fromkeys([*terms, *letters, *others]))


@lru_cache(maxsize=2048)
def _known(keys: tuple[str, ...], text: str) -> frozenset[str]:
    """Those of the keys that a text has."""
    source = plain(text)
    has = covered(keys, source.lower(), frozenset(words(text).terms))
    there = {_written(figure) for figure in all_figures(text)}
    alone = set(re.findall(r"(?<![A-Za-z])[A-Z](?![A-Za-z])", source))

    def found(key: str, covers: bool) -> bool:
        if key[0] == "#":
            return key in there
        return key in alone if len(key) == 1 and key.isascii() else covers

    return frozenset(key for key, covers in zip(keys, has, strict=True) if found(key, covers))


def _names_a_thing(key: str) -> bool:
    if key[0] == "#":
        return True
    if key[0] > "\u3400":
        return any(tag.startswith(_THING) or tag.startswith("vn") for _word, tag in tagged(key))
    return key not in _SAID_OF_ANY


def _written(figure: Figure) -> str:
    """A figure as a key, the same for all ways to write it."""
    if isinstance(figure, Quantity):
        return f"#{figure.value:g}{figure.kind}"
    if isinstance(figure, Moment):
        return f"#{figure.year}-{figure.month}-{figure.day}"
    return f"#{figure.minutes % 720}h"


def _stretches(text: str, figure: Figure) -> list[_Stretch]:
    """The stretches of a text that have figures like this one."""
    found: list[_Stretch] = []
    before = ""
    for place, sentence in enumerate(pieces(text)):
        parts = [(sentence, "")] if _ROW.search(sentence) else _parts(sentence, figure)
        told_before = _like(before, figure)
        for number, (own, shared) in enumerate(parts):
            above = before if number == 0 and not told_before else ""
            context = ""
            if _PRONOUN.match(sentence):
                own, context = (own, before) if number or told_before else (f"{before} {own}", "")
            found.append(_Stretch(own, shared, context, above, place, number))
        before = sentence
    return [part for part in found if _like(part.text, figure)]


def _parts(sentence: str, figure: Figure) -> list[tuple[str, str]]:
    """A sentence cut between its figures of a kind, each with the clauses between that may belong to either side."""
    clauses = _clauses(sentence)
    marked = [place for place, clause in enumerate(clauses) if _like(clause, figure)]
    found = []
    for number, place in enumerate(marked):
        first, last = number == 0, number == len(marked) - 1
        begin = 0 if first else marked[number - 1] + 1
        end = len(clauses) if last else marked[number + 1]
        own = clauses[begin if first else place : end if last else place + 1]
        shared = (() if first else clauses[begin:place]) + (() if last else clauses[place + 1 : end])
        found.append(("".join(own), "".join(shared)))
    return found


@lru_cache(maxsize=2048)
def _clauses(sentence: str) -> tuple[str, ...]:
    """The clauses of a sentence; one that is a bare figure belongs to the one before it, as in "between 3 and 5"."""
    found: list[str] = []
    edges = [0, *(match.end() for match in _CLAUSE.finditer(sentence)), len(sentence)]
    for start, end in pairwise(edges):
        if found and not words(sentence[start:end]).terms:
            found[-1] += sentence[start:end]
        elif sentence[start:end].strip():
            found.append(sentence[start:end])
    return tuple(found)


@lru_cache(maxsize=4096)
def all_figures(text: str) -> tuple[Figure, ...]:
    """The figures of a text, whatever they are."""
    found = figures(text)
    return (*found.quantities, *found.moments, *found.clocks)


def _like(text: str, figure: Figure) -> bool:
    """Whether a text has a figure of this one's kind."""
    return any(alike(figure, other) for other in all_figures(text))


def _has(text: str, figure: Figure) -> bool:
    return any(alike(figure, other) and equal(figure, other) for other in all_figures(text))


def alike(one: Figure, other: Figure) -> bool:
    """Whether two figures are of a kind: one could stand in the other's place."""
    if isinstance(one, Quantity) and isinstance(other, Quantity):
        if one.kind != other.kind or _is_year(one) != _is_year(other):
            return False
        return bool(one.kind) or _counted(one) == _counted(other) or not (_counted(one) and _counted(other))
    return type(one) is type(other)


def _counted(quantity: Quantity) -> str:
    return "" if quantity.counted in STOP else stem(quantity.counted)


def _is_year(quantity: Quantity) -> bool:
    return not quantity.kind and not _counted(quantity) and quantity.value in YEARS


def equal(one: Figure, other: Figure) -> bool:
    """Whether two figures of a kind say the same."""
    if isinstance(one, Quantity) and isinstance(other, Quantity):
        return abs(one.value - other.value) < 1e-6
    return _written(one) == _written(other)
