"""`lectern model …`: models on this machine, and bringing more of them here."""

from __future__ import annotations

from typing import Annotated

import typer

from services.cli.output import failing_well, speaker
from services.core.i18n import N_
from services.core.units import bytes_text
from services.hub.local_models import LocalModel

model = typer.Typer(help="Models: on disk, downloads, removal.", no_args_is_help=True)

COLUMNS = (N_("name"), N_("source"), N_("format"), N_("parameters"), N_("quantisation"), N_("context"), N_("size"))


@model.command(name="list")
def list_() -> None:
    """List the models on this machine: Lectern's own, those in chosen folders, and those in other tools' caches."""
    with failing_well():
        models = speaker.services().models.list()
        speaker.emit([one.row(speaker.language) for one in models], lambda: _print(models))


@model.command()
def remove(
    name: Annotated[str, typer.Argument(help="name of a downloaded model, or path of any", show_default=False)],
) -> None:
    """Delete a model: one that Lectern has downloaded, or any whose path is given and lies in a known folder."""
    with failing_well():
        gone = speaker.services().models.remove(name)
        row = {"removed": gone.name, "path": str(gone.path), "bytes": gone.bytes}
        size = bytes_text(gone.bytes)
        speaker.emit(row, lambda: speaker.line(N_("Removed “{name}” ({size})."), name=gone.name, size=size))


def _print(models: list[LocalModel]) -> None:
    rows = [
        (
            one.name,
            one.source,
            one.facts.format,
            one.facts.parameters and f"{one.facts.parameters / 1e9:.2f}B",
            one.facts.quantisation,
            one.facts.context,
            bytes_text(one.bytes),
        )
        for one in models
    ]
    speaker.table(COLUMNS, rows)
    for one in models:
        if one.facts.error:
            typer.echo(one.facts.error.render(speaker.language).message)
