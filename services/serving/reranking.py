"""Servers that rerank, as searches ask for them: by name, one that rests is left alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.core.errors import ServerNotFound
from services.core.vector_errors import RerankerAway
from services.llm.protocol import Endpoint
from services.llm.rerank import RerankModel
from services.serving.engines.registry import EMBEDDERS, REMOTE
from services.serving.engines.ssh import Ssh
from services.serving.engines.vllm import Vllm
from services.serving.purposes import only_reranks
from services.serving.service import ServerService
from services.serving.states import READY
from services.serving.vectors import why_away
from services.store.servers import ServerRecord

MAYBE = (Vllm.key, REMOTE, Ssh.key)
"""Engines whose servers may rerank or not, as their model is: it shows when they are asked."""
TRIAL = "Which is a fish?", ("The koi is a fish.", "Rent is due in May.")


class RerankServers:
    """Reaches servers of this installation for their scores. Thread-safe."""

    def __init__(self, servers: ServerService) -> None:
        self._servers = servers
        self._kept: tuple[Endpoint, RerankModel] | None = None

    def offered(self) -> list[ServerRecord]:
        """The servers that may rerank: those that surely do come first."""
        able = [row for row in self._servers.list() if _may_rerank(row)]
        return sorted(able, key=lambda row: not only_reranks(row))

    def named(self, name: str) -> ServerReranker | None:
        """The server of this name, however it is now; None where there is none."""
        try:
            return ServerReranker(self, self._servers.show(name).name) if name else None
        except ServerNotFound:
            return None

    def reached(self, name: str) -> RerankModel:
        """A server to be asked now. One that was unloaded is wished running; one that somebody has stopped stays so.

        Raises: ServerNotFound; RerankerAway where it is not ready, with the reason.
        """
        record = self._servers.to_ask(name)
        if record.managed and record.state != READY:
            raise RerankerAway(name=record.name, reason=why_away(record))
        endpoint, kept = self._servers.endpoint(record), self._kept
        if kept is None or kept[0] != endpoint:
            kept = self._kept = endpoint, RerankModel(endpoint)
        return kept[1]

    def try_out(self, name: str) -> None:
        """Ask a server a small question. Raises: as `reached`, and `RerankModel.scores` where it does not rerank."""
        self.reached(name).scores(*TRIAL)


@dataclass(frozen=True, slots=True)
class ServerReranker:
    """A reranker by the name of its server."""

    servers: RerankServers
    name: str

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """How well each text answers the question. Raises: as `RerankServers.reached` and `RerankModel.scores`."""
        return self.servers.reached(self.name).scores(question, texts)


def _may_rerank(row: ServerRecord) -> bool:
    """Whether it may be asked for scores: an embeddings server that is left to see what its model is may."""
    return only_reranks(row) or row.engine in MAYBE or (row.engine in EMBEDDERS and row.spec.get("task") == "auto")
