"""What this room needs of its neighbours: servers that make vectors. `app` hands it what fulfils this."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from services.core.errors import AppError
from services.core.vector_errors import EmbedderGone

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

    def reached(self, name: str, *, quick: bool = False, wake: bool = True) -> VectorServer:
        """The server of this name.

        Args:
            quick: somebody waits for the answer.
            wake: whether one that Lectern runs is wished running where somebody has stopped it.

        Raises: EmbedderGone; EmbedderAway where it cannot be asked yet.
        """
        ...

    def hindrance(self, name: str) -> AppError | None:
        """Why it cannot be asked, as far as that is known without asking; it is not started for this look."""
        ...

    def asleep(self, name: str) -> bool:
        """Whether it was unloaded because nobody asked it: it starts as soon as somebody does."""
        ...

    def ready(self, name: str) -> bool:
        """Whether it would be worth asking, as far as is known; one that Lectern runs is wished running if it rests."""
        ...


class NoServers:
    """Stands for them where there are none."""

    def reached(self, name: str, *, quick: bool = False, wake: bool = True) -> VectorServer:
        """Raises: EmbedderGone."""
        raise EmbedderGone(name=name)

    def hindrance(self, name: str) -> AppError:
        """There is none of this name."""
        return EmbedderGone(name=name)

    def asleep(self, name: str) -> bool:
        """It never is."""
        return False

    def ready(self, name: str) -> bool:
        """It never is."""
        return False


NO_SERVERS = NoServers()
