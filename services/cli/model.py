"""`lectern model …`: models on this machine, and bringing more of them here."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Annotated

import typer

from services import health
from services.cli.output import failing_well, speaker
from services.core.errors import InvalidValue, WorkerNotRunning
from services.core.i18n import N_
from services.core.units import bytes_text, milliseconds_text
from services.hub.catalogue import catalogue as read_catalogue
from services.hub.downloads import Download, DownloadWish
from services.hub.local_models import LocalModel
from services.hub.local_models_fit import Fit, of_entry
from services.hub.sources.registry import HUBS

model = typer.Typer(help="Models: on disk, downloads, removal.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="id of a download, or name of its model", show_default=False)]
FITS = {"fits": True, "changed": True, "no": False, "unknown": None}
LOOK_EVERY_S = 0.5
WORDS_EVERY_S = 10.0
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


@model.command()
def download(
    repository: Annotated[str, typer.Argument(help="such as Qwen/Qwen3-8B; for Ollama qwen3:8b", show_default=False)],
    hub: Annotated[str, typer.Option("--from", help=f"one of: {', '.join(HUBS)}")] = "hf",
    file: Annotated[list[str] | None, typer.Option(help='file or pattern, such as "*Q5_K_M*"; may be repeated')] = None,
    revision: Annotated[str | None, typer.Option(help="branch, tag or commit")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="show the progress until it is here")] = False,
) -> None:
    """Bring a model here; the worker does it, and goes on after any interruption. Of GGUF models one quantisation."""
    with failing_well():
        services = speaker.services()
        if wait and not health.worker_status(services).running:
            raise WorkerNotRunning()
        wished = services.downloads.wish(DownloadWish(hub, repository, revision, tuple(file or ())))
        if wait:
            wished = _await(wished)
            if wished.error:
                raise wished.error
        _emit(wished)


@model.command()
def downloads() -> None:
    """List the downloads with their progress."""
    with failing_well():
        found = speaker.services().downloads.list()
        speaker.emit([one.row(speaker.language) for one in found], lambda: _print_downloads(found))


@model.command()
def pause(name: Name) -> None:
    """Let a download rest; what was loaded is kept."""
    _move(lambda: speaker.services().downloads.pause(name))


@model.command()
def resume(name: Name) -> None:
    """Go on with a download that rests, has failed or was cancelled."""
    _move(lambda: speaker.services().downloads.resume(name))


@model.command()
def cancel(name: Name) -> None:
    """End a download; what was loaded is kept until it is forgotten."""
    _move(lambda: speaker.services().downloads.cancel(name))


@model.command()
def forget(name: Name) -> None:
    """Take a download off the list, and delete what it has left unfinished; a model that is whole stays."""
    with failing_well():
        freed = speaker.services().downloads.forget(name)
        size = bytes_text(freed)
        speaker.emit({"forgotten": name, "bytes": freed}, lambda: speaker.line(N_("{size} came free."), size=size))


@model.command()
def token(hub: Annotated[str, typer.Argument(help="hf, hf-mirror or modelscope", show_default=False)]) -> None:
    """Store an access token for a hub; it is read from the terminal or standard input, an empty one forgets it."""
    with failing_well():
        if hub not in HUBS[:-1]:
            raise InvalidValue(field=N_("source"), value=hub, reason=N_("there is no such source"))
        # Never as an argument: those can be read by every user of the machine.
        given = typer.prompt("Token", hide_input=True, default="") if sys.stdin.isatty() else sys.stdin.readline()
        speaker.services().downloads.tokens.keep(hub, given)
        row = {"hub": hub, "stored": bool(given.strip())}
        speaker.emit(row, lambda: speaker.line(N_("Stored.") if given.strip() else N_("Forgotten.")))


@model.command()
def catalogue(
    part: Annotated[str, typer.Argument(help="part of a name, or chat, embedder, reranker", show_default=False)] = "",
) -> None:
    """List models to start from, and whether they would run here now (parameters × bits ÷ 8 against free memory)."""
    with failing_well():
        services = speaker.services()
        wanted, room = part.casefold(), services.room()
        found = [
            (one, of_entry(one, *room))
            for one in read_catalogue(services.settings.home).models
            if wanted in one.repository.casefold() or wanted == one.use
        ]
        rows = [{**one.model_dump(mode="json"), "bytes": one.bytes, "fits": FITS[fit.verdict]} for one, fit in found]
        columns = [
            N_("name"),
            N_("use"),
            N_("format"),
            N_("size, about"),
            N_("context"),
            N_("licence"),
            N_("fits here"),
        ]
        words = [
            (one.repository, one.use, one.format, bytes_text(one.bytes), one.context, one.licence, _verdict(fit))
            for one, fit in found
        ]
        speaker.emit(rows, lambda: speaker.table(columns, words))


@model.command()
def serve(
    name: Annotated[str, typer.Argument(help="name or path of a model on this machine", show_default=False)],
    preset: Annotated[str, typer.Option(help="such as two_gpus; without it: by the model and the free memory")] = "",
    server: Annotated[str, typer.Option(help="name of the new server; without it: the model's")] = "",
) -> None:
    """Add a stopped server for a model, with what is sensible for it on this machine."""
    with failing_well():
        services = speaker.services()
        record = services.serve(name, preset=preset, name=server)
        row = services.server_row(record, speaker.language)
        speaker.emit(row, lambda: speaker.line(N_("Added the server “{name}”."), name=record.name))


def _verdict(fit: Fit) -> str | None:
    fits = FITS[fit.verdict]
    return None if fits is None else speaker.say(N_("yes")) if fits else speaker.say(N_("no"))


def _move(action: Callable[[], Download]) -> None:
    with failing_well():
        _emit(action())


def _await(wished: Download) -> Download:
    """Show how far it is until it has come to rest; interrupting this does not interrupt the download."""
    said, shows = 0.0, not speaker.json
    while wished.state in ("queued", "downloading"):
        time.sleep(LOOK_EVERY_S)
        wished = speaker.services().downloads.find(wished.id)
        if shows and sys.stderr.isatty():
            typer.echo(f"\r\033[K{_words(wished)}", nl=False, err=True)
        elif shows and time.monotonic() - said > WORDS_EVERY_S:
            said = time.monotonic()
            typer.echo(_words(wished), err=True)
    if shows and sys.stderr.isatty():
        typer.echo(err=True)
    return wished


def _words(download: Download) -> str:
    amount = f"{bytes_text(download.done)} / {bytes_text(download.total)}"
    moves = download.state == "downloading" and download.step.rate
    rate = f"{bytes_text(download.step.rate)}/s" if moves else ""
    left = download.remaining_ms
    rest = speaker.say(N_("{time} left"), time=milliseconds_text(left)) if left is not None else ""
    return " · ".join(part for part in (download.step.file, amount, rate, rest) if part)


def _emit(download: Download) -> None:
    words = {"name": download.wish.repository, "state": download.state, "kept": bytes_text(download.kept_bytes)}
    kept = download.kept_bytes and download.state in ("paused", "cancelled")
    text = N_("“{name}”: {state}, {kept} are kept") if kept else N_("“{name}”: {state}")
    speaker.emit(download.row(speaker.language), lambda: speaker.line(text, **words))


def _print_downloads(found: list[Download]) -> None:
    rows = [
        (one.id, one.wish.repository, one.wish.hub, *speaker.values({"state": one.state}, ["state"]), _words(one))
        for one in found
    ]
    speaker.table([N_("id"), N_("name"), N_("source"), N_("state"), N_("progress")], rows)
    for one in found:
        if one.error:
            typer.echo(one.error.render(speaker.language).message)


def _print(models: list[LocalModel]) -> None:
    rows = [
        (
            one.name,
            one.source,
            one.facts.format,
            one.facts.parameters and f"{one.facts.parameters / 1e9:.3g}B",
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
