"""`lectern ollama …`: the models of an Ollama server, on its disk and in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from typing import Annotated, Any

import typer

from services.cli.output import failing_well, speaker
from services.core.i18n import N_
from services.core.units import bytes_text
from services.llm.ollama import LoadedModel, Ollama, OllamaModel

ollama = typer.Typer(help="Models of an Ollama server: list, show, load, unload, delete.", no_args_is_help=True)

Server = Annotated[str, typer.Argument(help="name or id of the server", show_default=False)]
Model = Annotated[str, typer.Argument(help="such as qwen3:8b", show_default=False)]
COLUMNS = (N_("name"), N_("parameters"), N_("quantisation"), N_("size"), N_("in memory"), N_("on GPUs"), N_("until"))


@ollama.command(name="list")
def list_(server: Server) -> None:
    """List the models on the server's disk, and what those in memory hold."""
    with failing_well(), _asking(server) as asked:
        loaded = {each.name: each for each in asked.loaded()}
        models = asked.models()
        rows = [{**asdict(model), "loaded": _loaded_row(loaded.get(model.name))} for model in models]
        speaker.emit(rows, lambda: speaker.table(COLUMNS, [_cells(each, loaded.get(each.name)) for each in models]))


@ollama.command()
def show(server: Server, model: Model) -> None:
    """Show what the server tells about a model."""
    with failing_well(), _asking(server) as asked:
        row = asdict(asked.show(model))
        speaker.emit(row, lambda: speaker.fields(row))


@ollama.command()
def load(
    server: Server,
    model: Model,
    keep_alive: Annotated[str, typer.Option(help="how long it stays without a question; -1: for ever")] = "5m",
) -> None:
    """Bring a model into memory."""
    with failing_well(), _asking(server) as asked:
        asked.load(model, int(keep_alive) if keep_alive.lstrip("-").isdecimal() else keep_alive)
        speaker.emit({"loaded": model}, lambda: speaker.line(N_("“{name}” is in memory."), name=model))


@ollama.command()
def unload(server: Server, model: Model) -> None:
    """Take a model out of memory."""
    with failing_well(), _asking(server) as asked:
        asked.unload(model)
        speaker.emit({"unloaded": model}, lambda: speaker.line(N_("“{name}” is no longer in memory."), name=model))


@ollama.command()
def delete(server: Server, model: Model) -> None:
    """Delete a model from the server's disk."""
    with failing_well(), _asking(server) as asked:
        asked.delete(model)
        speaker.emit({"removed": model}, lambda: speaker.line(N_("Removed “{name}”."), name=model))


@contextmanager
def _asking(server: str) -> Iterator[Ollama]:
    with closing(Ollama(speaker.services().servers.endpoint(server))) as asked:
        yield asked


def _loaded_row(loaded: LoadedModel | None) -> dict[str, Any] | None:
    if loaded is None:
        return None
    return {**asdict(loaded), "expires_at": loaded.expires_at.isoformat() if loaded.expires_at else None}


def _cells(model: OllamaModel, loaded: LoadedModel | None) -> list[Any]:
    held, on_gpus = (loaded.size_bytes, loaded.gpu_bytes) if loaded else (None, None)
    sizes = [size if size is None else bytes_text(size) for size in (model.size_bytes, held, on_gpus)]
    return [model.name, model.parameters, model.quantization, *sizes, loaded.expires_at if loaded else None]
