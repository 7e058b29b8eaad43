"""What this room needs of its neighbours: servers that make vectors. `app` hands it what fulfils this."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from services.core.errors import ServerNotFound

if TYPE_CHECKING:
    from services.llm.connection import ListedModel
    from services.llm.embeddings import Embedded


class VectorServer(Protocol):
    """A server that can be asked now. What it raises: see `services.llm.embeddings`."""

    def models(self) -> list[ListedModel]:
        """The models that it lists, that which it is meant to be asked for first."""
        ...

    def window_tokens(self, model: str) -> int | None:
        """Tokens that one text may have; None where it does not tell."""
        ...

    def embed(self, model: str, texts: Sequence[str], wanted: Callable[[], bool] | None = None) -> Embedded:
        """The vectors of texts. Raises: GivenUp as soon as `wanted` says that they are not wanted any more."""
        ...

    def count_tokens(self, model: str, texts: Sequence[str], wanted: Callable[[], bool] | None = None) -> list[int]:
        """Tokens of each text before any cut: its own count, or an estimate on the high side. Raises: GivenUp."""
        ...


class VectorServers(Protocol):
    """The servers by their names."""

    def reached(self, name: str, *, quick: bool = False) -> VectorServer:
        """The server of this name. One that Lectern runs is wished running if it rests.

        Args:
            quick: somebody waits for the answer.

        Raises: ServerNotFound; EmbedderAway where it cannot be asked yet.
        """
        ...

    def ready(self, name: str) -> bool:
        """Whether it would be worth asking, as far as is known; one that Lectern runs is wished running if it rests."""
        ...


class NoServers:
    """Stands for them where there are none."""

    def reached(self, name: str, *, quick: bool = False) -> VectorServer:
        """Raises: ServerNotFound."""
        raise ServerNotFound(name=name)

    def ready(self, name: str) -> bool:
        """It never is."""
        return False


NO_SERVERS = NoServers()
