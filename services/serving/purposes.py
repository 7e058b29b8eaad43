"""What a server is for, as far as its engine and its spec tell."""

from __future__ import annotations

from services.serving.engines.registry import EMBEDDERS
from services.store.servers import ServerRecord

RERANK = "rerank"


def only_reranks(row: ServerRecord) -> bool:
    """Whether it was made to give scores of a question with texts, and nothing else."""
    return row.spec.get("task") == RERANK or bool(row.spec.get("reranking"))


def makes_text(row: ServerRecord) -> bool:
    """Whether it may answer questions; chats never choose the others by themselves."""
    return row.engine not in EMBEDDERS and not only_reranks(row)
