"""`lectern kb export | import | import-langchain | sync`: whole bases and folders, in and out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from services import health
from services.app import Services
from services.cli.kb import Name, kb
from services.cli.output import failing_well, speaker
from services.core.i18n import N_
from services.core.units import bytes_text
from services.knowledge.transfer.folders import Folders, Synced
from services.store.bases import BaseRecord
from services.store.folders import FolderRecord

Tell = Callable[[int, int], None]


@kb.command(name="export")
def export(
    name: Name, file: Annotated[Path, typer.Argument(help="zip file to write", show_default=False, dir_okay=False)]
) -> None:
    """Write a knowledge base, with its originals, into one file."""
    with failing_well():
        services = speaker.services()
        base = services.knowledge.base(name)
        with _progress(N_("Writing"), bytes_text) as tell:
            written = services.transfer.archives.write(base, file.expanduser().absolute(), tell)
        row = {
            "name": base.name,
            "file": str(written.path),
            "bytes": written.size_bytes,
            "documents": written.documents,
            "chunks": written.chunks,
            "originals": written.originals,
        }
        said = N_("Wrote “{name}” to {file}: {documents} documents, {size}.")
        speaker.emit(row, lambda: speaker.line(said, size=bytes_text(written.size_bytes), **row))


@kb.command(name="import")
def import_(
    file: Annotated[Path, typer.Argument(help="file that kb export has written", show_default=False)],
    name: Annotated[str | None, typer.Option(help="name here; default: the one it had")] = None,
) -> None:
    """Make a knowledge base of a file that kb export has written."""
    with failing_well():
        services = speaker.services()
        with _progress(N_("Reading"), bytes_text) as tell:
            base = services.transfer.archives.read(file.expanduser(), name, tell)
        _made(services, base, {})


@kb.command(name="import-langchain")
def import_langchain(
    folder: Annotated[Path, typer.Argument(help="folder that FAISS.save_local has written", show_default=False)],
    name: Name,
) -> None:
    """Make a knowledge base of a folder of LangChain's FAISS store. Nothing in it is run."""
    with failing_well():
        services = speaker.services()
        with _progress(N_("Embedding"), str) as tell:
            made = services.transfer.langchain.run(folder.expanduser(), name, tell)
        _made(services, made.base, {"vectors_kept": made.vectors_kept, "metadata_not_kept": list(made.dropped)})


@kb.command()
def sync(
    name: Name,
    path: Annotated[Path | None, typer.Argument(help="folder to follow from now on", show_default=False)] = None,
    forget: Annotated[bool, typer.Option("--forget", help="stop following the folder; its documents stay")] = False,
) -> None:
    """Take in what is new, changed or gone in the folders that a base follows; without a PATH, in all of them."""
    with failing_well():
        services = speaker.services()
        base, folders = services.knowledge.base(name), services.transfer.folders
        if path is not None and forget:
            folders.unfollow(folders.follow(base, str(path)))
            speaker.emit({"forgotten": str(path)}, lambda: speaker.line(N_("Stopped following {path}."), path=path))
            return
        wanted = [folders.follow(base, str(path.absolute()))] if path is not None else folders.rows.of(base.id)
        rows = [_synced(folders, folder) for folder in wanted]
        columns = [N_("folder"), N_("new"), N_("changed"), N_("gone"), N_("unchanged"), N_("refused")]
        keys = ("folder", "new", "changed", "gone", "unchanged", "refused")
        speaker.emit(rows, lambda: speaker.table(columns, [_line(row, keys) for row in rows]))


def _synced(folders: Folders, folder: FolderRecord) -> dict[str, Any]:
    with _progress(N_("Looking at files"), str) as tell:

        def progress(done: int, total: int) -> bool:
            tell(done, total)
            return True

        found = folders.sync(folder, progress) or Synced()
    folders.looked(folder, found)
    refused = [{"document": label, **(speaker.error_row(code, params) or {})} for label, code, params in found.refusals]
    return {
        "folder": folder.path,
        "new": found.new,
        "changed": found.changed,
        "gone": found.gone,
        "unchanged": found.same,
        "refused": refused,
    }


def _line(row: dict[str, Any], keys: tuple[str, ...]) -> list[Any]:
    shown = {**row, "refused": "; ".join(f"{one['document']}: {one['message']}" for one in row["refused"])}
    return [shown[key] for key in keys]


def _made(services: Services, base: BaseRecord, more: dict[str, Any]) -> None:
    row = {**health.base_row(services.knowledge.summary(base)), **more}
    speaker.emit(row, lambda: speaker.fields(row))


@contextmanager
def _progress(words: str, shown: Callable[[int], str]) -> Iterator[Tell]:
    """A bar on a terminal; nothing where the output is read by a program."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[amount]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=speaker.json or not console.is_terminal) as bar:
        task = bar.add_task(speaker.say(words), total=None, amount="")
        yield lambda done, total: bar.update(
            task, completed=done, total=total, amount=f"{shown(done)} / {shown(total)}"
        )
