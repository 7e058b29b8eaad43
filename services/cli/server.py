"""`lectern server …`: model servers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from services import health
from services.cli.choices import choices_of, numbers
from services.cli.output import failing_well, speaker
from services.cli.plan import print_plan
from services.core.errors import WorkerNotRunning
from services.core.i18n import N_
from services.core.units import bytes_text, milliseconds_text, percent_text
from services.hub.plan_types import as_row
from services.serving import host_keys
from services.serving.engines.registry import ENGINES, REMOTE
from services.serving.places import folder_of
from services.serving.service import ServerService
from services.store.servers import ServerRecord

server = typer.Typer(help="Model servers: add, look at, try, start, stop.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="name or id of the server", show_default=False)]


@server.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="name of the new server", show_default=False)],
    url: Annotated[str, typer.Option(help="address of an OpenAI-compatible server, usually ending in /v1")] = "",
    engine: Annotated[str, typer.Option(help=f"kind of server: remote, {', '.join(ENGINES)}")] = "remote",
    model: Annotated[str, typer.Option(help="remote: model id, empty for the first; else file, folder or hub id")] = "",
    api_key: Annotated[str, typer.Option(help="API key, if it wants one", envvar=[])] = "",
) -> None:
    """Add a server: one that Lectern runs (--engine, --model), or any OpenAI-compatible one by its address (--url).

    Further flags are the engine's own, such as --max-model-len 8192 or --gpus 0,1.
    """
    known = ENGINES.get(engine)
    if engine == REMOTE and (not url or context.args):
        raise typer.BadParameter(speaker.say(N_("a remote server takes --url, --model and --api-key")))
    if engine != REMOTE and (known is None or url):
        raise typer.BadParameter(speaker.say(N_("without --url, --engine is one of: {keys}"), keys=", ".join(ENGINES)))
    with failing_well():
        services = speaker.services()
        if known is None:
            record = services.servers.add_remote(name, url, api_key=api_key, model=model)
        else:
            given = {"model": model, **({"api_key": api_key} if api_key else {})}
            record = services.servers.create(name, engine, {**given, **choices_of(known.spec, context.args)})
            for warning in known.spec.of(record.spec).warnings():
                typer.echo(speaker.say(warning), err=True)
        row = services.server_row(record, speaker.language)
        speaker.emit(row, lambda: speaker.line(N_("Added the server “{name}”."), name=name))


@server.command(name="list")
def list_() -> None:
    """List the servers."""
    with failing_well():
        services = speaker.services()
        rows = [services.server_row(record, speaker.language) for record in services.servers.list()]
        columns = [N_("name"), N_("engine"), N_("model"), N_("state"), N_("address")]
        keys = ("name", "engine", "model", "state", "url")
        speaker.emit(rows, lambda: speaker.table(columns, [speaker.values(row, keys) for row in rows]))


@server.command()
def show(name: Name) -> None:
    """Show one server."""
    with failing_well():
        services = speaker.services()
        row = services.server_row(services.servers.show(name), speaker.language)
        speaker.emit(row, lambda: speaker.fields(row))


@server.command()
def plan(
    name: Name,
    gpus: Annotated[str, typer.Option(help="what if it ran on these, such as 0,1; without it: on its own")] = "",
) -> None:
    """Say whether a server would have its memory if it were started now, and what to change."""
    with failing_well():
        services = speaker.services()
        record = services.servers.show(name)
        found = services.what_if(record, numbers(gpus) if gpus else None).plan
        speaker.emit({"name": record.name, **as_row(found, speaker.say)}, lambda: print_plan(found))


@server.command()
def estimates(
    name: Annotated[str, typer.Argument(help="name or id of a server; without it: all", show_default=False)] = "",
) -> None:
    """Compare what launches were planned to hold with what the engine reported and what was measured, newest first."""
    with failing_well():
        services = speaker.services()
        found = services.estimates(services.servers.show(name).id if name else "")
        rows = [one.row() for one in found]
        columns = [N_("server"), "GPU", N_("planned"), N_("reported"), N_("measured, at most"), N_("error")]
        words = [
            [one.server, one.gpu, *map(bytes_text, (one.planned_bytes, one.reported_bytes, one.measured_bytes)),
             percent_text(one.error_percent)]
            for one in found
        ]  # fmt: skip
        speaker.emit(rows, lambda: speaker.table(columns, words))


@server.command()
def test(name: Name) -> None:
    """Send a short chat to a server and show what it answers."""
    with failing_well():
        result = speaker.services().servers.smoke_test(name)
        row = {name: getattr(result, name) for name in result.__slots__}
        latency = milliseconds_text(result.latency_ms)
        speaker.emit(row, lambda: speaker.line("{answer} ({latency})", answer=result.answer, latency=latency))


@server.command()
def start(
    name: Name,
    fix: Annotated[bool, typer.Option("--fix", help="first change the flags that its last failure asks for")] = False,
) -> None:
    """Wish a managed server started."""
    _wish(name, lambda servers: servers.start_fixed if fix else servers.start)


@server.command()
def restart(name: Name) -> None:
    """Wish a managed server stopped, and then started."""
    _wish(name, lambda servers: servers.restart)


@server.command()
def stop(name: Name) -> None:
    """Wish a managed server stopped."""
    _wish(name, lambda servers: servers.stop)


@server.command()
def trust(
    name: Name,
    fingerprint: Annotated[str, typer.Option(help="accept the key with this fingerprint, such as SHA256:…")] = "",
) -> None:
    """Show the host keys of the machine behind an SSH tunnel, or accept one: compare it with what its owner tells."""
    with failing_well():
        services = speaker.services()
        row = services.servers.show(name)
        if fingerprint:
            keys = [host_keys.trust(services.settings.layout, row, fingerprint)]
        else:
            keys = host_keys.offered(row)
        known = {key.fingerprint for key in host_keys.accepted(folder_of(services.settings.layout, row))}
        rows = [
            {"kind": key.kind, "fingerprint": key.fingerprint, "accepted": key.fingerprint in known} for key in keys
        ]
        columns = [N_("kind"), N_("fingerprint"), N_("accepted")]
        keys_of = ("kind", "fingerprint", "accepted")
        speaker.emit(rows, lambda: speaker.table(columns, [speaker.values(row, keys_of) for row in rows]))


@server.command()
def logs(name: Name, lines: Annotated[int, typer.Option(help="lines from the end")] = 100) -> None:
    """Print the end of a managed server's log."""
    with failing_well():
        text = speaker.services().servers.logs(name, lines)
        speaker.emit({"name": name, "lines": text}, lambda: typer.echo("\n".join(text)))


@server.command()
def remove(name: Name) -> None:
    """Remove a server from the list."""
    with failing_well():
        speaker.services().servers.remove(name)
        speaker.emit({"removed": name}, lambda: speaker.line(N_("Removed “{name}”."), name=name))


def _wish(name: str, verb: Callable[[ServerService], Callable[[str], ServerRecord]]) -> None:
    with failing_well():
        services = speaker.services()
        if not health.worker_status(services).running:
            raise WorkerNotRunning()
        record = verb(services.servers)(name)
        row = services.server_row(record, speaker.language)
        speaker.emit(row, lambda: speaker.line(N_("“{name}”: {state}"), name=record.name, state=record.state))
