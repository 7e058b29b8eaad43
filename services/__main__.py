"""`python -m services …`: the command line, and worker and API, which the command line may start but not know."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from services.cli.main import app, main
from services.cli.output import failing_well, speaker
from services.cli.parent import free_port
from services.core.i18n import N_


@app.command()
def worker(
    embedded: Annotated[bool, typer.Option(help="fetch and run the embedded chat model")] = True,
) -> None:
    """Be the background worker (started by `up`)."""
    from services.worker.main import run

    with failing_well():
        run(speaker.settings(embedded=embedded if not embedded else None))


@app.command()
def api(
    port: Annotated[int | None, typer.Option(help="first port that is tried; without it: that of the pages")] = None,
) -> None:
    """Serve the HTTP API alone, without pages; Ctrl-C ends it.

    OpenAI's API stands below /v1, Ollama's below /api; /v1/openapi.json describes all of it. `up` serves the same
    beside the pages. Keys: `key create`.
    """
    from services.api.main import run

    with failing_well():
        services = speaker.services()
        settings = services.settings
        number = free_port(settings.host, port or settings.port)
        url = f"http://{settings.host}:{number}/v1"
        speaker.emit({"url": url}, lambda: speaker.line(N_("The API answers at {url}. Ctrl-C ends it."), url=url))
        sys.stdout.flush()
        run(services, number)


if __name__ == "__main__":
    main()
