"""`lectern diagnose`: why a server's log ended in a failure, and what to change."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli.output import failing_well, speaker
from services.core.i18n import N_
from services.core.units import bytes_text
from services.serving.diagnosis import Diagnosis, files
from services.serving.diagnosis import diagnose as causes_in


def diagnose(
    file: Annotated[str, typer.Argument(help="a log file; - reads it from standard input", show_default=False)],
    engine: Annotated[
        str | None, typer.Option(help="vllm, ollama, llama.cpp, transformers, embeddings; left out: seen from the log")
    ] = None,
) -> None:
    """Say why an engine's log ended in a failure: the cause, the line that shows it, what to change."""
    with failing_well():
        if file == "-":
            found = causes_in(files.decoded(sys.stdin.buffer), engine)
        else:
            path = Path(file)
            part = files.part_of(path)
            if part.skipped_bytes:
                read = bytes_text(part.size_bytes - part.skipped_bytes)
                note = N_("The log is large ({size}); its last {read} were read.")
                typer.echo(speaker.say(note, size=bytes_text(part.size_bytes), read=read), err=True)
            found = causes_in(files.lines_of(path, part), engine, first=part.first_line)
        rows = [_row(diagnosis) for diagnosis in found]
        speaker.emit(rows, lambda: _print(rows))


def _row(diagnosis: Diagnosis) -> dict[str, Any]:
    rendered = diagnosis.render(speaker.language)
    return {
        "code": diagnosis.code,
        "cause": rendered.message,
        "evidence": diagnosis.evidence.line,
        "line": diagnosis.evidence.number or None,
        "remedy": rendered.remedy,
        "flags": diagnosis.flags,
        "confidence": diagnosis.confidence,
    }


def _print(rows: list[dict[str, Any]]) -> None:
    if not rows:
        speaker.line(N_("Nothing in this log says that its newest run has failed."))
    for place, row in enumerate(rows):
        if place:
            typer.echo()
        typer.secho(row["cause"], bold=True)
        typer.echo(row["remedy"])
        for flag, value in row["flags"].items():
            joined = flag if value is None else f"{flag} {value}" if flag.startswith("-") else f"{flag}={value}"
            typer.echo(f"    {joined}")
        for line in row["evidence"].splitlines():
            typer.echo(f"  > {line}")
