"""What makes a base's vectors, on the command line: the flags of embedders, and `lectern kb embedders`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from services import health
from services.app import Services
from services.cli.output import failing_well, speaker
from services.core.errors import WorkerNotRunning
from services.core.i18n import N_
from services.knowledge.embedders.probing import ServedWish
from services.knowledge.embedders.protocol import SERVER, EmbedderSpec
from services.knowledge.embedders.registry import BUILT_IN

EmbedderKey = Annotated[
    str | None,
    typer.Option("--embedder", help=f"what makes the vectors: {', '.join(BUILT_IN)}, or server:NAME for a server"),
]
EmbedderModel = Annotated[
    str | None, typer.Option("--embedder-model", help="model of that server; without it: the one that makes vectors")
]
QueryPrefix = Annotated[
    str | None, typer.Option("--query-prefix", help="stands before each question, as the model wants it; may be empty")
]
PassagePrefix = Annotated[
    str | None, typer.Option("--passage-prefix", help="stands before each passage, as the model wants it; may be empty")
]
EmbedderWindow = Annotated[
    int | None, typer.Option("--embedder-window", help="tokens that the model reads of one text")
]


def wished_embedder(
    services: Services, key: str | None, wish: ServedWish, now: EmbedderSpec | None = None
) -> EmbedderSpec:
    """The embedder that was wished for; a server that Lectern runs is started and waited for."""
    chosen = key or (now.key if now else "")
    if chosen.startswith(SERVER):
        _await(services, chosen.removeprefix(SERVER))
    return services.embedder_choices.spec(key, wish, now)


def embedders(
    key: Annotated[
        str | None, typer.Argument(help="server:NAME, to be asked what it offers", show_default=False)
    ] = None,
    model: EmbedderModel = None,
) -> None:
    """List what can make the vectors of a knowledge base, or ask a server what it offers."""
    with failing_well():
        services = speaker.services()
        if key is None:
            rows = _rows(services)
            columns = [N_("embedder"), N_("model"), N_("state")]
            speaker.emit(
                rows, lambda: speaker.table(columns, [speaker.values(row, ("key", "model", "state")) for row in rows])
            )
            return
        name = key.removeprefix(SERVER)
        _await(services, name)
        offer = {"key": SERVER + name, **asdict(services.embedder_choices.offer(name, model))}
        speaker.emit(offer, lambda: speaker.fields({**offer, "models": ", ".join(offer["models"])}))


def _rows(services: Services) -> list[dict[str, Any]]:
    here = [{"key": key, "model": spec.model, "state": "ready"} for key, (spec, _) in BUILT_IN.items()]
    servers = services.embedding_servers.offered()
    return [*here, *({"key": SERVER + row.name, "model": row.model, "state": row.state} for row in servers)]


def _await(services: Services, name: str) -> None:
    """Wait until a server that Lectern runs is ready."""
    if services.embedding_servers.ready(name):
        return
    if services.servers.show(name).managed and not health.worker_status(services).running:
        raise WorkerNotRunning()
    services.embedding_servers.when_ready(name, lambda: False)
