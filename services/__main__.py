"""`python -m services …`: the command line, and the worker, which the command line may start but not know."""

from __future__ import annotations

from typing import Annotated

import typer

from services.cli.main import app, main
from services.cli.output import failing_well, speaker


@app.command()
def worker(
    embedded: Annotated[bool, typer.Option(help="fetch and run the embedded chat model")] = True,
) -> None:
    """Be the background worker (started by `up`)."""
    from services.worker.main import run

    with failing_well():
        run(speaker.settings(embedded=embedded if not embedded else None))


if __name__ == "__main__":
    main()
