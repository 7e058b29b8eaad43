"""`lectern status` and `lectern doctor`: what runs, and what is missing."""

from __future__ import annotations

import typer

from services import health
from services.cli.output import failing_well, speaker
from services.core.i18n import N_

MARKS = {"ok": "✓", "note": "·", "problem": "✗"}


def status() -> None:
    """Say what runs."""
    with failing_well():
        row = health.status(speaker.services(), speaker.language)

        def text() -> None:
            stopped = N_("not running")
            web, worker = row["web"], row["worker"]
            typer.echo(f"Lectern {row['version']}, {row['home']}")
            speaker.line(N_("pages: {state}"), state=web["url"] if web["running"] else stopped)
            speaker.line(N_("worker: {state}"), state="running" if worker["running"] else stopped)
            for server in row["servers"]:
                speaker.line(N_("server {name}: {state}"), name=server["name"], state=server["state"])
            for base in row["knowledge_bases"]:
                message = N_("knowledge base {name}: {state}, documents: {documents}, chunks: {chunks}")
                speaker.line(message, **{key: base[key] for key in ("name", "state", "documents", "chunks")})
            for alert in row["alerts"]:
                speaker.line(N_("alert ({state}): {message}"), state=alert["level"], message=alert["message"])

        speaker.emit(row, text)


def doctor() -> None:
    """Check everything that a start needs; exit code 1 when something is wrong."""
    with failing_well():
        findings = health.doctor(speaker.services())
        rows = [
            {
                "subject": finding.subject,
                "level": finding.level,
                "message": speaker.say(finding.message, **finding.params),
                "remedy": speaker.say(finding.remedy, **finding.params),
            }
            for finding in findings
        ]

        def text() -> None:
            for row in rows:
                subject, mark = speaker.say(row["subject"]), MARKS[row["level"]]
                speaker.line(N_("{mark} {subject}: {message}"), mark=mark, subject=subject, message=row["message"])
                if row["remedy"]:
                    typer.echo(f"    {row['remedy']}")

        speaker.emit(rows, text)
        if any(finding.level == "problem" for finding in findings):
            raise typer.Exit(1)
