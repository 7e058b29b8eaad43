"""`lectern kb verify` and `kb rebuild`: counting a knowledge base, and making anew what is derived from it."""

from __future__ import annotations

import sys
from typing import Any

import typer

from services.cli.kb import Name
from services.cli.output import failing_well, speaker
from services.knowledge.types import VerifyReport


def verify(name: Name) -> None:
    """Count everything in a knowledge base and check that it fits together."""
    with failing_well():
        _emit(speaker.services().knowledge.verify(name))


def rebuild(name: Name) -> None:
    """Make the search indexes anew from what is stored, without asking a model, and check them."""
    with failing_well():
        _emit(speaker.services().knowledge.rebuild(name, _tell))


def _tell(step: str, done: int, total: int) -> None:
    if sys.stderr.isatty():
        typer.echo(f"\r{step} {done:,}/{total:,}\x1b[K", err=True, nl=False)


def _emit(report: VerifyReport) -> None:
    row = report_row(report)
    speaker.emit(row, lambda: speaker.fields(row))
    if report.problems:
        raise typer.Exit(1)


def report_row(report: VerifyReport) -> dict[str, Any]:
    """A report as JSON values."""
    return {
        "documents": report.documents,
        "chunks": report.chunks,
        "vectors": report.vectors,
        "originals": report.originals,
        "problems": list(report.problems),
        "mended": list(report.mended),
    }
