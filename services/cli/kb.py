"""`lectern kb …`: knowledge bases and their documents."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from services import health
from services.app import Services
from services.cli.kb_chunks import Breakpoint, HeadingLevel, Overlap, ParentSize, Rows, Size, Strategy, chunks
from services.cli.kb_embedders import (
    EmbedderKey,
    EmbedderModel,
    EmbedderWindow,
    PassagePrefix,
    QueryPrefix,
    embedders,
    wished_embedder,
)
from services.cli.output import failing_well, speaker
from services.core.errors import AppError, PathNotFound, WorkerNotRunning, from_row
from services.core.i18n import N_
from services.knowledge.chunking.registry import wished_spec
from services.knowledge.embedders.probing import ServedWish
from services.knowledge.rows import document_row
from services.knowledge.transfer.zips import is_zip
from services.knowledge.types import DocumentRow, DocumentState
from services.store.bases import BaseRecord

kb = typer.Typer(help="Knowledge bases: create, fill, search, check.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="name or id of the knowledge base", show_default=False)]
POLL_S = 0.5
ASKED = "-"
Password = Annotated[
    str, typer.Option(help="opens protected PDFs; forgotten once they were read; - asks for it", show_default=False)
]

kb.command()(chunks)
kb.command()(embedders)


@kb.command()
def create(
    name: Annotated[str, typer.Argument(help="name of the new knowledge base", show_default=False)],
    embedder: EmbedderKey = None,
    embedder_model: EmbedderModel = None,
    query_prefix: QueryPrefix = None,
    passage_prefix: PassagePrefix = None,
    embedder_window: EmbedderWindow = None,
    chunker: Strategy = None,
    chunk_size: Size = None,
    chunk_overlap: Overlap = None,
    parent_size: ParentSize = None,
    heading_level: HeadingLevel = None,
    rows: Rows = None,
    breakpoint_percentile: Breakpoint = None,
) -> None:
    """Create an empty knowledge base."""
    with failing_well():
        services = speaker.services()
        spec = wished_spec(
            services.product,
            chunker,
            size=chunk_size,
            overlap=chunk_overlap,
            parent_size=parent_size,
            heading_level=heading_level,
            rows=rows,
            breakpoint_percentile=breakpoint_percentile,
        )
        wish = ServedWish(embedder_model, query_prefix, passage_prefix, embedder_window)
        base = services.knowledge.create(name, spec, wished_embedder(services, embedder, wish))
        row = health.base_row(services.knowledge.summary(base))
        speaker.emit(row, lambda: speaker.line(N_("Created the knowledge base “{name}”."), name=base.name))


@kb.command(name="list")
def list_() -> None:
    """List the knowledge bases."""
    with failing_well():
        rows = [health.base_row(summary) for summary in speaker.services().knowledge.bases()]
        columns = [N_("name"), N_("state"), N_("documents"), N_("chunks"), N_("failed")]
        keys = ("name", "state", "documents", "chunks", "failed")
        speaker.emit(rows, lambda: speaker.table(columns, [speaker.values(row, keys) for row in rows]))


@kb.command()
def show(name: Name) -> None:
    """Show one knowledge base."""
    with failing_well():
        services = speaker.services()
        base = services.knowledge.base(name)
        trouble = services.embedder_trouble(base)
        row = {
            **health.base_row(services.knowledge.summary(base)),
            "index": asdict(services.knowledge.index_state(base)),
            "embedder_error": speaker.error_row(trouble.code, trouble.params) if trouble else None,
        }

        def text() -> None:
            speaker.fields({key: value for key, value in row.items() if key not in ("index", "embedder_error")})
            speaker.fields(row["index"])
            if trouble:
                speaker.fields({"error": row["embedder_error"]})

        speaker.emit(row, text)


@kb.command()
def delete(name: Name) -> None:
    """Delete a knowledge base with all its documents."""
    with failing_well():
        speaker.services().knowledge.delete(name)
        speaker.emit({"deleted": name}, lambda: speaker.line(N_("Deleted “{name}”."), name=name))


@kb.command()
def add(
    name: Name,
    paths: Annotated[list[Path], typer.Argument(help="files or folders", show_default=False)],
    wait: Annotated[bool, typer.Option(help="wait until every file is ready or has failed")] = False,
    password: Password = "",
) -> None:
    """Add files, folders with all the files in them, or zip files with all that they hold."""
    with failing_well():
        services = speaker.services()
        base = services.knowledge.base(name)
        missing = next((path for path in paths if not path.exists()), None)
        if missing:
            raise PathNotFound(path=str(missing))
        if wait and not health.worker_status(services).running:
            raise WorkerNotRunning()
        files = [labelled for path in paths for labelled in _files(path)]
        given = _password(password)
        outcomes = [outcome for label, file in files for outcome in _add(services, base, label, file, given)]
        if wait:
            _wait(services, base, {row.document_id for _, row in outcomes if isinstance(row, DocumentRow)})
        _emit_documents([_outcome(services, base, label, outcome) for label, outcome in outcomes])


@kb.command()
def documents(name: Name) -> None:
    """List the documents of a knowledge base."""
    with failing_well():
        services = speaker.services()
        rows = services.knowledge.documents(services.knowledge.base(name))
        _emit_documents([document_row(row, speaker.language) for row in rows])


@kb.command()
def remove(name: Name, document: Annotated[str, typer.Argument(help="name or id", show_default=False)]) -> None:
    """Remove a document."""
    with failing_well():
        services = speaker.services()
        gone = services.knowledge.remove(services.knowledge.base(name), document)
        row = {"removed": gone.name, "document_id": gone.document_id}
        speaker.emit(row, lambda: speaker.line(N_("Removed “{name}”."), name=gone.name))


@kb.command()
def retry(
    name: Name,
    document: Annotated[str, typer.Argument(help="name or id", show_default=False)],
    password: Password = "",
) -> None:
    """Try a failed document again."""
    with failing_well():
        services = speaker.services()
        base = services.knowledge.base(name)
        services.knowledge.retry(base, document, _password(password))
        _emit_documents([document_row(services.knowledge.document(base, document), speaker.language)])


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file() and not any(part.startswith(".") for part in file.relative_to(path).parts):
                yield file.relative_to(path).as_posix(), file
    else:
        yield path.name, path


def _password(given: str) -> str:
    """What was given, or what is typed where it was to be asked for."""
    return str(typer.prompt(speaker.say(N_("Password")), hide_input=True, err=True)) if given == ASKED else given


def _add(
    services: Services, base: BaseRecord, label: str, file: Path, password: str
) -> list[tuple[str, DocumentRow | AppError]]:
    """What became of a file, or of each file in a zip."""
    try:
        with file.open("rb") as stream:
            if is_zip(label):
                return services.transfer.add_zip(base, label, stream)
            return [(label, services.knowledge.add(base, label, stream, password))]
    except AppError as error:
        return [(label, error)]


def _wait(services: Services, base: BaseRecord, ids: set[str]) -> None:
    told: set[str] = set()
    while True:
        rows = [row for row in services.knowledge.documents(base) if row.document_id in ids]
        told |= _tell_waiting(rows, told)
        if all(row.state.settled for row in rows):
            return
        if not health.worker_status(services).running:
            time.sleep(POLL_S * 20)  # it may just be starting again
            if not health.worker_status(services).running:
                raise WorkerNotRunning()
        time.sleep(POLL_S)


def _tell_waiting(rows: list[DocumentRow], told: set[str]) -> set[str]:
    """Say once what documents wait for, for that may take long; what has been said."""
    waiting = [row.error for row in rows if row.error and row.state is DocumentState.WAITING]
    said = {from_row(reason.code, reason.params).render(speaker.language).message for reason in waiting}
    for message in sorted(said - told):
        typer.echo(message, err=True)
    return said


def _outcome(services: Services, base: BaseRecord, label: str, outcome: DocumentRow | AppError) -> dict[str, Any]:
    if isinstance(outcome, AppError):
        error = speaker.error_row(outcome.code, outcome.params)
        return {"document": label, "document_id": None, "state": DocumentState.FAILED, "error": error}
    row = services.knowledge.document(base, outcome.document_id)
    return {**document_row(row, speaker.language), "document": label}


def _emit_documents(rows: list[dict[str, Any]]) -> None:
    columns = [N_("document"), N_("state"), N_("pages"), N_("chunks"), N_("remark")]

    def text() -> None:
        keys = ("document", "state", "pages", "chunks")
        speaker.table(columns, [[*speaker.values(row, keys), _remark(row)] for row in rows])

    speaker.emit(rows, text)


def _remark(row: dict[str, Any]) -> str:
    error = row["error"] or row.get("waiting")
    said = [f"{error['message']} {error['remedy']}"] if error else []
    return " ".join([*said, *(warning["message"] for warning in row.get("warnings", []))])
