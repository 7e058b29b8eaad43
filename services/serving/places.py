"""Where a server's files lie, and where it answers."""

from __future__ import annotations

from pathlib import Path

from services.core.errors import ServerNotReady
from services.core.paths import Layout
from services.llm.protocol import Endpoint
from services.store.servers import ServerRecord


def folder_of(layout: Layout, row: ServerRecord) -> Path:
    """The folder of a managed server's log and of what its runner is told."""
    return layout.servers / row.id


def endpoint_of(row: ServerRecord) -> Endpoint:
    """Where to ask a server. Raises: ServerNotReady where it has no address because it does not run."""
    if not row.url:
        raise ServerNotReady(name=row.name, url="–")
    return Endpoint(
        name=row.name, url=row.url, model=row.model, api_key=str(row.spec.get("api_key", "")), engine=row.engine
    )
