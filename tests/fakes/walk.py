"""The way of a revision from its file to hits, as the worker walks it, in this process."""

from __future__ import annotations

from services.core.errors import AppError
from services.core.vector_errors import EmbedderAway
from services.knowledge.ingest import Ingest
from services.knowledge.types import RevisionKey
from services.store.bases import BaseRecord


def walk(ingest: Ingest, base: BaseRecord, key: RevisionKey) -> None:
    """Walk one revision to its end: ready, failed with its reason, waiting for its embedder, or no longer wanted."""
    try:
        for step in (ingest.read, ingest.split, ingest.embed, ingest.publish):
            if not step(base, key):
                return
    except EmbedderAway as error:
        ingest.wait(base, key, error)
    except AppError as error:
        ingest.fail(base, key, error)
