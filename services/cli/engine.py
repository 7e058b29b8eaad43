"""`lectern engine …`: the environments that heavy engines need, built on request."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from services.cli.output import failing_well, speaker
from services.core.i18n import N_
from services.serving.environments import Environment

engine = typer.Typer(help="Environments of heavy engines: list, install, remove.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="vllm, transformers, embeddings or ocr", show_default=False)]
COLUMNS = (N_("name"), N_("state"), N_("packages"), N_("folder"))


@engine.command(name="list")
def list_() -> None:
    """List the engines and whether their environment is built."""
    with failing_well():
        _emit([_row(environment) for environment in speaker.services().environments.all()])


@engine.command()
def install(name: Name) -> None:
    """Build an engine's environment from its pinned packages; run again, it goes on where it was."""
    with failing_well():
        built = speaker.services().environments.build(name, _progress)
        if sys.stderr.isatty():
            typer.echo(err=True)
        _emit([_row(built)])


@engine.command()
def remove(name: Name) -> None:
    """Delete an engine's environment."""
    with failing_well():
        speaker.services().environments.remove(name)
        speaker.emit({"removed": name}, lambda: speaker.line(N_("Removed “{name}”."), name=name))


def _progress(done: int, total: int, package: str) -> None:
    """On a terminal one line in place, elsewhere a line for every tenth package; never on stdout."""
    words = speaker.say(N_("{done} of {total} packages"), done=done, total=total) + f"  {package}"
    if sys.stderr.isatty():
        typer.echo(f"\r\033[K{words}", nl=False, err=True)
    elif done % 10 == 0 or done == total:
        typer.echo(words, err=True)


def _row(environment: Environment) -> dict[str, Any]:
    return {
        "name": environment.name,
        "state": environment.state,
        "packages": environment.packages,
        "path": str(environment.path),
    }


def _emit(rows: list[dict[str, Any]]) -> None:
    speaker.emit(rows, lambda: speaker.table(COLUMNS, [speaker.values(row, row) for row in rows]))
