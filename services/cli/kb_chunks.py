"""How documents are cut, on the command line: the flags of strategies, and `lectern kb chunks`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from services.cli.output import failing_well, speaker
from services.core.i18n import N_
from services.knowledge.chunking.registry import STRATEGIES, wished_spec
from services.knowledge.chunking.view import ChunkView
from services.knowledge.notices import render as render_notice
from services.knowledge.types import Chunk

EXCERPT = 80
Strategy = Annotated[
    str | None, typer.Option("--chunker", help=f"strategy that cuts documents: {', '.join(STRATEGIES)}")
]
Size = Annotated[int | None, typer.Option("--chunk-size", help="characters of a chunk (tokens: with --chunker tokens)")]
Overlap = Annotated[int | None, typer.Option("--chunk-overlap", help="characters that neighbouring chunks share")]
ParentSize = Annotated[int | None, typer.Option(help="parent_child: characters of the stretch that is shown")]
HeadingLevel = Annotated[int | None, typer.Option(help="markdown: the lowest heading that begins a chunk, 1 to 6")]
Rows = Annotated[int | None, typer.Option(help="table_rows: the most rows of a chunk")]
Breakpoint = Annotated[
    int | None, typer.Option(help="semantic: percentage of distances that end no chunk; lower makes smaller chunks")
]


def chunks(
    name: Annotated[str, typer.Argument(help="name or id of the knowledge base", show_default=False)],
    document: Annotated[str, typer.Argument(help="name or id", show_default=False)],
    chunker: Strategy = None,
    chunk_size: Size = None,
    chunk_overlap: Overlap = None,
    parent_size: ParentSize = None,
    heading_level: HeadingLevel = None,
    rows: Rows = None,
    breakpoint_percentile: Breakpoint = None,
) -> None:
    """Show the chunks of a document, or what another strategy or size would make of it, before it is embedded."""
    given = {
        "size": chunk_size,
        "overlap": chunk_overlap,
        "parent_size": parent_size,
        "heading_level": heading_level,
        "rows": rows,
        "breakpoint_percentile": breakpoint_percentile,
    }
    with failing_well():
        services = speaker.services()
        base = services.knowledge.base(name)
        asked = chunker or any(value is not None for value in given.values())
        spec = wished_spec(services.product, chunker or base.chunker, **given) if asked else None
        view = services.knowledge.chunk_view(base, document, spec)
        speaker.emit(_view_row(view), lambda: _lines(view))


def _view_row(view: ChunkView) -> dict[str, Any]:
    return {
        "document": view.document,
        "chunker": view.spec.key,
        "chunk_size": view.spec.size,
        "chunk_overlap": view.spec.overlap,
        **view.spec.options,
        "characters": len(view.extracted.text),
        "cut_until": view.cut_until,
        "window_tokens": view.window_tokens,
        "sizes": asdict(view.sizes) if view.sizes else None,
        "warnings": [
            {"code": notice.code, "message": render_notice(notice, speaker.language)} for notice in view.notices
        ],
        "chunks": [_chunk_row(chunk, tokens) for chunk, tokens in zip(view.chunks, view.tokens, strict=True)],
    }


def _chunk_row(chunk: Chunk, tokens: int) -> dict[str, Any]:
    return {**asdict(chunk), "embed_text": chunk.indexed_text, "characters": len(chunk.text), "tokens": tokens}


def _lines(view: ChunkView) -> None:
    columns = [N_("number"), N_("page"), N_("characters"), N_("tokens"), N_("text")]
    speaker.table(
        columns,
        [
            [chunk.ordinal + 1, chunk.page, len(chunk.text), tokens, " ".join(chunk.indexed_text.split())[:EXCERPT]]
            for chunk, tokens in zip(view.chunks, view.tokens, strict=True)
        ],
    )
    if sizes := view.sizes:
        speaker.line(
            N_("{count} chunks of {least} to {most} characters, the middle one has {middle}."), **asdict(sizes)
        )
    if view.partial:
        speaker.line(N_("Only the first {count} characters were tried."), count=view.cut_until)
    for notice in view.notices:
        speaker.line(render_notice(notice, speaker.language))
