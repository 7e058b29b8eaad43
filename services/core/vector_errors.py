"""The errors of servers that make vectors or rerank; part of the tree in `errors`."""

from __future__ import annotations

from services.core.errors import ConflictError, NotFoundError, UnavailableError
from services.core.i18n import N_


class WindowTooLarge(ConflictError):
    message = N_("The model of the server “{name}” reads fewer tokens than the {window} that are set as its window.")
    remedy = N_(
        "Change the embedder of the knowledge base to the same server with a smaller window "
        "(`kb change --embedder … --embedder-window …`)."
    )


class EmbedderGone(NotFoundError):
    message = N_("There is no server named “{name}” any more; it made the vectors.")
    remedy = N_(
        "Add a server of this name with the same model on the Servers page, or change the knowledge base to another "
        "embedder. Searching by words needs no vectors."
    )


class ServerFailing(UnavailableError):
    message = N_("The server “{name}” could not answer: {reason}.")
    remedy = N_("Read its log: it may be short of memory. Try again, or choose another server.")


class EmbedderAway(UnavailableError):
    message = N_("The server “{name}”, which makes the vectors, cannot be asked now: {reason}.")
    remedy = N_(
        "Look at it on the Servers page. Documents that wait for it go on by themselves; searching by words needs no "
        "vectors."
    )


class NoReranker(ConflictError):
    message = N_("No server that reranks is chosen.")
    remedy = N_(
        "Choose one on the Settings page, such as a server with the engine “embeddings” and a reranker, or search "
        "without reranking."
    )


class RerankerAway(UnavailableError):
    message = N_("The server “{name}”, which reranks, cannot be asked now: {reason}.")
    remedy = N_(
        "Look at it on the Servers page, or choose another one on the Settings page. Until then, passages keep the "
        "order that meaning and words give them."
    )
