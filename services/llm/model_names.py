"""What the name of a model gives away of what it is for."""

from __future__ import annotations

import re

_VECTORS = r"embed|bge|(^|[-_/])e5|gte|minilm|mpnet|jina|arctic|stella|m3e|bce|text2vec"
_SCORES = r"rerank|cross-?encoder"


def looks_like_embedder(model: str) -> bool:
    """Whether the name of a model says that it makes vectors."""
    return bool(re.search(_VECTORS, model.lower()))


def looks_like_no_chat(model: str) -> bool:
    """Whether the name of a model says that it makes vectors or scores; some that chat have such a name too."""
    return looks_like_embedder(model) or bool(re.search(_SCORES, model.lower()))
