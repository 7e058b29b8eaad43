"""Tools for strategies without a model or a server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from services.knowledge.chunking.protocol import Statement, Tools
from services.knowledge.chunking.tools import tools_for
from tests.fakes.embedder import HashEmbedder

WINDOW_TOKENS = 512


def retold(passages: Sequence[Sequence[str]]) -> Iterator[Sequence[Statement]]:
    """Rewrites all sentences but each third one, some of them twice, some together with the next, in no order."""
    for sentences in passages:
        made = [Statement(f"It is so: {text}", n, n) for n, text in enumerate(sentences) if n % 3 != 2]
        made += [Statement("both", n, n + 1) for n in range(0, len(sentences) - 1, 4)]
        yield made[::-1]


def plain_tools(window_tokens: int = WINDOW_TOKENS) -> Tools:
    """Tools over the embedder that hashes, with a window of one's own, and `retold` for a chat server."""
    return replace(tools_for(HashEmbedder()), window_tokens=window_tokens, rewrite=retold)
