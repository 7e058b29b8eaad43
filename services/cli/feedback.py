"""`lectern feedback …`: what people think of answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from services.app import Services
from services.chat.feedback import VERDICT_WORDS, rated_row
from services.cli.output import failing_well, speaker, write_file
from services.core.errors import InvalidValue
from services.core.i18n import N_
from services.store.feedback import BAD, GOOD, UNSAID, RatedAnswer

VERDICTS = {GOOD: GOOD, BAD: BAD, "none": UNSAID}

feedback = typer.Typer(help="What people think of answers: thumbs and comments.", no_args_is_help=True)

Base = Annotated[str | None, typer.Option("--base", help="only answers from this knowledge base, by name or id")]
Verdict = Annotated[str | None, typer.Option(help="only these: good, bad, or none for a comment without a thumb")]


@feedback.command(name="list")
def list_(base: Base = None, verdict: Verdict = None) -> None:
    """List the answers that people rated or commented on, the newest first."""
    with failing_well():
        found = _found(speaker.services(), base, verdict)
        speaker.emit([rated_row(one) for one in found], lambda: _print(found))


@feedback.command()
def export(
    file: Annotated[Path, typer.Argument(help="JSON lines file to write", show_default=False, dir_okay=False)],
    base: Base = None,
    verdict: Verdict = None,
) -> None:
    """Write them with question and answer, one JSON object a line."""
    with failing_well():
        found, path = _found(speaker.services(), base, verdict), file.expanduser().absolute()
        lines = [json.dumps(rated_row(one), ensure_ascii=False) + "\n" for one in found]
        write_file(path, "".join(lines))
        row: dict[str, Any] = {"file": str(path), "answers": len(lines)}
        speaker.emit(row, lambda: speaker.line(N_("Wrote {answers} rated answers to {file}."), **row))


def _found(services: Services, base: str | None, verdict: str | None) -> Sequence[RatedAnswer]:
    if verdict is not None and verdict not in VERDICTS:
        raise InvalidValue(field="verdict", value=verdict, reason=N_("it must be good, bad or none"))
    base_id = services.knowledge.base(base).id if base else None
    return services.feedback.rated(base_id, None if verdict is None else VERDICTS[verdict])


def _print(found: Sequence[RatedAnswer]) -> None:
    for one in found:
        typer.echo(f"{one.turn_id}  {speaker.say(VERDICT_WORDS[one.verdict])}  {' '.join(one.question.split())}")
        if one.comment:
            typer.echo(f"    {' '.join(one.comment.split())}")
