"""What can be asked by name: servers as `server:…`, knowledge bases as `kb:…`, the embedder as `embedder:…`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from threading import Event
from typing import Any

from anyio import to_thread

from services.app import Services
from services.core.api_errors import ModelNotServed
from services.core.errors import BaseNotFound, InvalidValue, ServerNotFound, ServerNotReady
from services.core.i18n import N_
from services.knowledge.embedders.protocol import Embedder
from services.knowledge.embedders.registry import built_in
from services.llm.protocol import Endpoint
from services.llm.relay import Relay
from services.serving.engines.registry import EMBEDDERS
from services.serving.purposes import makes_text, only_reranks
from services.serving.service import on_its_way
from services.store.bases import BaseRecord
from services.store.servers import ServerRecord

SERVER, BASE, EMBEDDER = "server:", "kb:", "embedder:"


def find(services: Services, name: str) -> ServerRecord | BaseRecord:
    """The server or base of this name. Raises: ModelNotServed."""
    try:
        if name.startswith(BASE):
            return services.knowledge.base(name.removeprefix(BASE))
        if name.startswith(SERVER):
            return services.servers.show(name.removeprefix(SERVER))
    except (BaseNotFound, ServerNotFound):
        pass
    raise ModelNotServed(name=name)


def embedder(services: Services, name: str) -> Embedder:
    """The embedder of this name. Raises: ModelNotServed."""
    try:
        return services.embedders.of(built_in(name.removeprefix(EMBEDDER)))
    except InvalidValue as error:
        raise ModelNotServed(name=name) from error


def embeds(record: ServerRecord) -> bool:
    """Whether a server makes vectors."""
    return record.engine in EMBEDDERS and not only_reranks(record)


def rows(services: Services) -> Iterator[dict[str, Any]]:
    """Everything that can be asked, as OpenAI lists models; what OpenAI does not know stands under `lectern`."""
    for record in services.servers.list():
        kind = "embedding" if embeds(record) else "chat" if makes_text(record) else "rerank"
        facts: dict[str, Any] = {"kind": kind, "state": record.state, "engine": record.engine, "model": record.model}
        yield _row(SERVER + record.name, record.created_at_ms, facts)
    for summary in services.knowledge.bases():
        counts = summary.counts
        facts = {"kind": "knowledge_base", "state": summary.state, "documents": counts.documents, "id": summary.base.id}
        yield _row(BASE + summary.base.name, summary.base.created_at_ms, facts)
    spec = services.embedder.spec
    facts = {"kind": "embedding", "state": "ready", "model": spec.model, "dimensions": spec.dimensions}
    yield _row(EMBEDDER + spec.key, 0, facts)


async def endpoint(services: Services, relay: Relay, record: ServerRecord) -> Endpoint:
    """Where to ask a server, once it is there; one that was unloaded is started and waited for.

    Raises: ServerNotReady, BadResponse, and what a start fails with.
    """
    found = await to_thread.run_sync(partial(_reached, services, record.id))
    if found is None:
        gone = Event()
        try:
            found = await to_thread.run_sync(
                services.servers.when_ready, record.id, gone.is_set, abandon_on_cancel=True
            )
        finally:
            gone.set()
    if found is None:
        raise ServerNotReady(name=record.name, url=record.url or "–")
    return found if found.model else replace(found, model=await relay.first_model(found))


def chats(record: ServerRecord, name: str) -> ServerRecord:
    """The same server, if it answers questions. Raises: InvalidValue."""
    if not makes_text(record):
        raise InvalidValue(field="model", value=name, reason=N_("it makes no text"))
    return record


def _reached(services: Services, server_id: str) -> Endpoint | None:
    record = services.servers.to_ask(server_id)
    return None if on_its_way(record) else services.servers.endpoint(record)


def _row(name: str, created_at_ms: int, facts: dict[str, Any]) -> dict[str, Any]:
    row = {"id": name, "object": "model", "created": created_at_ms // 1000, "owned_by": "lectern"}
    return {**row, "lectern": facts}
