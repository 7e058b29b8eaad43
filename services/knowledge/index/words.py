"""The words of a text for the lexical index: the same for what is stored and for what is asked.

What is written in several ways becomes one: full-width and half-width forms, case, thousands separators. Chinese is
segmented, and each of its characters stands beside the words, for a segmentation is a guess. A compound such as "E-15"
or "15kg" gives its parts and all of them joined, so that "E15", "E 15" and "e-15" find it.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterator
from typing import Protocol

_HAN = "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_RUN = re.compile(rf"[{_HAN}]+|[^\W_{_HAN}]+(?:[-_./'’·+]+[^\W_{_HAN}]+)*[+#]*")
_IS_HAN = re.compile(rf"[{_HAN}]")
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
_PART = re.compile(r"\d+(?:\.\d+)*|[^\W\d_]+|\d+")


class _Segmenter(Protocol):
    def cut(self, text: str) -> list[str]: ...


def words_of(text: str) -> list[str]:
    """The words in the order of the text; a word comes as often as it stands there."""
    whole = text.encode("utf-8", "replace").decode("utf-8").replace("\0", " ")
    folded = unicodedata.normalize("NFKC", whole).casefold()
    joined = _THOUSANDS.sub(lambda number: number.group().replace(",", ""), folded)
    return [word for run in _RUN.finditer(joined) for word in _of_run(run.group())]


def _of_run(run: str) -> Iterator[str]:
    if _IS_HAN.match(run):
        for word in _segmenter().cut(run):
            yield word
            if len(word) > 1:
                yield from word
        return
    parts = _PART.findall(run)
    yield from parts
    if len(parts) > 1:
        yield "".join(parts)
    if run[-1] in "+#":
        yield run


@functools.cache
def _segmenter() -> _Segmenter:
    """Loaded at first use: its dictionary takes 30 MB and a tenth of a second."""
    import rjieba

    loaded: _Segmenter = rjieba.Jieba()
    return loaded
