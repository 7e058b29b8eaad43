"""The embedders of a process that encodes much: built-in ones in child processes, servers asked from here."""

from __future__ import annotations

from functools import partial

from services.knowledge.embedders.child import EncoderProcess
from services.knowledge.embedders.ports import NO_SERVERS, VectorServers
from services.knowledge.embedders.protocol import Embedder, EmbedderSpec
from services.knowledge.embedders.registry import Embedders, make_embedder, make_encoder
from services.knowledge.embedders.served import ServerEmbedder


class EncoderProcesses(Embedders):
    """Every embedder that runs here in child processes of its own."""

    def __init__(self, servers: VectorServers = NO_SERVERS) -> None:
        def make(spec: EmbedderSpec) -> Embedder:
            if spec.server is not None:
                return ServerEmbedder(spec, servers)
            return EncoderProcess(partial(make_embedder, spec.key), partial(make_encoder, spec.key))

        super().__init__(make)

    def rest(self) -> None:
        """End children that nobody has asked for a while."""
        for encoder in self.made():
            if isinstance(encoder, EncoderProcess):
                encoder.rest()

    def close(self) -> None:
        """End all children, and whatever waits for a server."""
        for encoder in self.made():
            if isinstance(encoder, EncoderProcess | ServerEmbedder):
                encoder.close()
