"""The tools of strategies, made of an embedder and a way to a chat server."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from services.core.errors import NoServer
from services.knowledge.chunking.protocol import Tools
from services.knowledge.chunking.statements import ChatRewriter
from services.knowledge.embedders.protocol import Embedder
from services.llm.protocol import ChatModel

OpenChatModel = Callable[[Callable[[], bool]], ChatModel]
"""Opens the chat server that rewrites, waiting while it starts as long as the work is wanted. Raises: NoServer."""


def no_chat_model(_wanted: Callable[[], bool]) -> ChatModel:
    """Stands for a server where there is none. Raises: NoServer."""
    raise NoServer


def tools_for(
    embedder: Embedder,
    open_model: OpenChatModel = no_chat_model,
    *,
    known: Mapping[str, str] | None = None,
    keep: Callable[[Mapping[str, str]], object] = lambda _answers: None,
    wanted: Callable[[], bool] = lambda: True,
) -> Tools:
    """What strategies may use.

    Args:
        known: answers of a chat server that were kept before; `keep` stores new ones.
        wanted: whether the work is still wanted; looked at often.
    """
    return Tools(
        window_tokens=embedder.spec.window_tokens,
        count_tokens=embedder.count_tokens,
        encode=embedder.encode_passages,
        rewrite=ChatRewriter(lambda: open_model(wanted), known or {}, keep, wanted),
        wanted=wanted,
    )
