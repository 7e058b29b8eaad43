"""`lectern golden …`: questions that were saved from bad answers, for measuring retrieval."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from services.app import Services
from services.chat.feedback import golden_row
from services.cli.output import failing_well, speaker, write_file
from services.core.i18n import N_
from services.store.feedback import GoldenRecord

golden = typer.Typer(help="Golden questions: saved from bad answers.", no_args_is_help=True)

Base = Annotated[str | None, typer.Option("--base", help="only those of this knowledge base, by name or id")]


@golden.command(name="list")
def list_(base: Base = None) -> None:
    """List the golden questions, the newest first."""
    with failing_well():
        found = _found(speaker.services(), base)
        speaker.emit([golden_row(one) for one in found], lambda: _print(found))


@golden.command()
def export(
    file: Annotated[Path, typer.Argument(help="JSON lines file to write", show_default=False, dir_okay=False)],
    base: Base = None,
) -> None:
    """Write the golden questions with their traces, one JSON object a line."""
    with failing_well():
        found, path = _found(speaker.services(), base), file.expanduser().absolute()
        lines = [json.dumps(golden_row(one), ensure_ascii=False) + "\n" for one in found]
        write_file(path, "".join(lines))
        row = {"file": str(path), "questions": len(lines)}
        speaker.emit(row, lambda: speaker.line(N_("Wrote {questions} golden questions to {file}."), **row))


def _found(services: Services, base: str | None) -> Sequence[GoldenRecord]:
    return services.feedback.golden(services.knowledge.base(base).id if base else None)


def _print(found: Sequence[GoldenRecord]) -> None:
    for one in found:
        documents = ", ".join(dict.fromkeys(str(row["document"]) for row in one.expected)) or "-"
        typer.echo(f"{one.id}  {one.question}\n    -> {documents}")
