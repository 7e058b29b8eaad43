"""Scores of a question with passages, from a server that has a reranker."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import BaseModel, StrictFloat, StrictInt

from services.core.errors import BadResponse
from services.core.i18n import N_
from services.core.phrases import phrase
from services.llm.connection import Connection
from services.llm.offers import offered
from services.llm.protocol import Endpoint

PATH = "rerank"
TIMEOUT_S = 10.0
"""Somebody waits for an answer, which can be had without it."""


class _Result(BaseModel):
    index: StrictInt
    relevance_score: StrictFloat


class _Results(BaseModel):
    results: list[_Result]


class RerankModel:
    """The reranker of one server. Thread-safe.

    Args:
        endpoint: where it answers; an empty model name means the first that the server lists.
        timeout_s: the longest silence.

    Source: POST /v1/rerank as Cohere and Jina have it, and vLLM, llama.cpp and Lectern's own engine after them.
    """

    def __init__(self, endpoint: Endpoint, *, timeout_s: float = TIMEOUT_S) -> None:
        self._connection = Connection(endpoint, timeout_s=timeout_s)
        self.endpoint = self._connection.endpoint

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """How well each text answers the question, in the order of the texts; larger is better.

        The scale is the model's own: shares from 0 to 1, or numbers without bounds.

        Raises: ServerNotReady, UpstreamTimeout, ServerBusy, ServerFailing, Unauthorized, BadResponse, NotOffered,
            RequestRefused, ContextLengthExceeded.
        """
        model = self._connection.model()
        body = {"model": model, "query": question, "documents": list(texts), "top_n": len(texts)}
        with offered(PATH, self.endpoint):
            found = self._connection.asked("POST", f"{self.endpoint.url}/{PATH}", _Results, body).results
        scores = {result.index: result.relevance_score for result in found}
        if len(found) != len(texts) or scores.keys() != set(range(len(texts))):
            reason = N_("its scores do not fit the texts ({found} for {asked})")
            raise self._nonsense(phrase(reason, found=len(found), asked=len(texts)))
        if not all(map(math.isfinite, scores.values())):
            raise self._nonsense(N_("one of its scores is no number"))
        return [scores[place] for place in range(len(texts))]

    def _nonsense(self, reason: object) -> BadResponse:
        return BadResponse(name=self.endpoint.name, reason=reason)
