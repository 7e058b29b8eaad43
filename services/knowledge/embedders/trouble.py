"""What keeps an embedder from being asked now, or from fitting the vectors that there are."""

from __future__ import annotations

from services.core.errors import AppError
from services.knowledge.embedders.asking import looking
from services.knowledge.embedders.fingerprint import check, encoded, fingerprint
from services.knowledge.embedders.protocol import Embedder
from services.knowledge.embedders.served import ServerEmbedder


def trouble(embedder: Embedder, store_fingerprint: str | None) -> AppError | None:
    """Look at an embedder without starting a server; None: it can be asked, and makes the vectors that are stored.

    Cost: nothing for one that runs here; a short question to a server, of which it waits for some seconds at most.
    """
    if not isinstance(embedder, ServerEmbedder):
        return None
    known = embedder.hindrance()
    if known is not None or embedder.asleep():
        return known
    try:
        with looking():
            check(store_fingerprint, embedder)
            encoded(embedder, (), store_fingerprint or fingerprint(embedder))  # what was checked may be a minute old
    except AppError as error:
        return error
    return None
