"""`lectern kb change …`: another chunker or embedder for a knowledge base that exists."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from services.app import Services
from services.cli.kb import Name, kb
from services.cli.kb_embedders import (
    EmbedderKey,
    EmbedderModel,
    EmbedderWindow,
    PassagePrefix,
    QueryPrefix,
    wished_embedder,
)
from services.cli.output import failing_well, speaker
from services.core.i18n import N_
from services.knowledge.chunking.registry import chunker_spec
from services.knowledge.embedders.probing import NO_WISH, ServedWish
from services.knowledge.embedders.registry import embedder_spec_of
from services.store.bases import BaseRecord


@kb.command()
def change(
    name: Name,
    embedder: EmbedderKey = None,
    embedder_model: EmbedderModel = None,
    query_prefix: QueryPrefix = None,
    passage_prefix: PassagePrefix = None,
    embedder_window: EmbedderWindow = None,
    chunker: Annotated[str | None, typer.Option(help="strategy that cuts documents")] = None,
    chunk_size: Annotated[int | None, typer.Option(help="characters of a chunk")] = None,
    chunk_overlap: Annotated[int | None, typer.Option(help="characters that neighbouring chunks share")] = None,
    give_up: Annotated[bool, typer.Option("--give-up", help="drop a change that is under way")] = False,
    retry: Annotated[bool, typer.Option("--retry", help="try again what failed in a change that is under way")] = False,
) -> None:
    """Build a knowledge base anew with another chunker or embedder; it answers as before until that is done."""
    with failing_well():
        services = speaker.services()
        base = services.knowledge.base(name)
        wish = ServedWish(embedder_model, query_prefix, passage_prefix, embedder_window)
        if give_up:
            services.knowledge.builds.give_up(base)
        elif retry:
            services.knowledge.builds.retry(base)
        elif embedder or wish != NO_WISH or any(value is not None for value in (chunker, chunk_size, chunk_overlap)):
            same = base.chunker_options if chunker in (None, base.chunker) else {}
            spec = chunker_spec(
                chunker or base.chunker,
                size=chunk_size if chunk_size is not None else base.chunk_size,
                overlap=chunk_overlap if chunk_overlap is not None else base.chunk_overlap,
                **same,
            )
            other = embedder is not None or wish != NO_WISH
            now = embedder_spec_of(base)
            services.knowledge.change(base, spec, wished_embedder(services, embedder, wish, now) if other else now)
        row = change_row(services, services.knowledge.base(name))
        speaker.emit(row, lambda: speaker.fields(row) if row["building"] else speaker.line(N_("Nothing is changed.")))


def change_row(services: Services, base: BaseRecord) -> dict[str, Any]:
    """How far a change is, as JSON values."""
    progress = services.knowledge.builds.progress(base)
    if progress is None:
        return {"name": base.name, "building": False}
    target = progress.target
    return {
        "name": base.name,
        "building": True,
        "embedder": target.embedder,
        "embedder_options": target.embedder_options,
        "chunker": target.chunker,
        "chunk_size": target.chunk_size,
        "chunk_overlap": target.chunk_overlap,
        "documents": progress.documents,
        "ready": progress.ready,
        "failed": progress.failed,
    }
