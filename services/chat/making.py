"""The parts of this room, joined."""

from __future__ import annotations

from functools import partial

from services.chat.answering import Answering
from services.chat.answers import Bases, ChatService
from services.chat.checking.verdicts import Similarity
from services.chat.choices import Presets
from services.chat.chores import IDLE_S, Chores
from services.chat.counting import Counts, Models
from services.chat.judging import Judge
from services.chat.ports import OtherServers, PassageSearch, Servers
from services.chat.turnstile import Turnstile
from services.llm.client import OpenAIChatModel
from services.store import StateStore
from services.store.product import product_settings


def chat_service(
    store: StateStore,
    *,
    search: PassageSearch,
    servers: Servers,
    others: OtherServers,
    bases: Bases,
    machine_id: str,
    similarity: Similarity | None = None,
    background: bool = False,
    idle_s: float = IDLE_S,
) -> ChatService:
    """The chat over a state database.

    Args:
        similarity: decides whether a sentence says the same as its source, where its words leave that open.
        background: whether servers that nobody asks may make titles and summaries.
        idle_s: how long nobody must have asked before they do.
    """
    models, turnstile = Models(OpenAIChatModel), Turnstile()
    product = partial(product_settings, store.preferences)
    answering = Answering(
        store.conversations,
        store.turns,
        search=search,
        others=others,
        models=models,
        counts=Counts(),
        turnstile=turnstile,
        judge=Judge(lambda: product().judge, servers, models, turnstile),
        similarity=similarity,
    )
    chores = Chores(store.conversations, store.turns, models, turnstile, idle_s=idle_s) if background else None
    return ChatService(
        store.conversations,
        store.turns,
        answering=answering,
        servers=servers,
        bases=bases,
        presets=Presets(store.preferences),
        product=product,
        machine_id=machine_id,
        chores=chores,
    )
