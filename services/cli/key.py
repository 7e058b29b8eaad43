"""`lectern key …`: keys of the HTTP API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from services.cli.output import failing_well, speaker
from services.core.i18n import N_
from services.store.api_keys import SCOPES, KeyRecord, Use

key = typer.Typer(help="Keys of the HTTP API: create, list, revoke.", no_args_is_help=True)


@key.command()
def create(
    name: Annotated[str, typer.Argument(help="what it is for, such as the program that uses it", show_default=False)],
    scope: Annotated[
        list[str] | None, typer.Option(help=f"what it may do: {', '.join(SCOPES)}; may be repeated; without it: all")
    ] = None,
) -> None:
    """Create a key and print it, once; from the first key on, requests need a valid one."""
    with failing_well():
        record, secret = speaker.services().store.keys.create(name, scope or SCOPES)
        row = {**key_row(record, Use()), "key": secret}

        def text() -> None:
            typer.echo(secret)
            typer.echo(speaker.say(N_("This is the only time that it is shown: keep it in a safe place.")), err=True)

        speaker.emit(row, text)


@key.command(name="list")
def list_() -> None:
    """List the keys with what they were used for."""
    with failing_well():
        keys = speaker.services().store.keys
        used = keys.used()
        rows = [key_row(record, used.get(record.id, Use())) for record in keys.all()]
        names = ("name", "beginning", "scopes", "state", "last_used", "requests", "prompt_tokens", "completion_tokens")
        columns = [N_("name"), N_("begins with"), N_("may"), N_("state"), N_("last used"), N_("requests")]
        columns += [N_("prompt tokens"), N_("answer tokens")]
        lines = [speaker.values({**row, "scopes": ", ".join(row["scopes"])}, names) for row in rows]
        speaker.emit(rows, lambda: speaker.table(columns, lines))


@key.command()
def revoke(name: Annotated[str, typer.Argument(help="name or id of the key", show_default=False)]) -> None:
    """End a key at once and for ever."""
    with failing_well():
        keys = speaker.services().store.keys
        record = keys.revoke(name)
        row = key_row(record, keys.used().get(record.id, Use()))
        speaker.emit(row, lambda: speaker.line(N_("The key “{name}” is not valid any more."), name=record.name))


def key_row(record: KeyRecord, use: Use) -> dict[str, Any]:
    """A key and its use as JSON values."""
    return {
        "id": record.id,
        "name": record.name,
        "beginning": record.beginning,
        "scopes": record.scopes,
        "owner": record.owner_id,
        "state": "revoked" if record.revoked_at_ms else "valid",
        "created": _time(record.created_at_ms),
        "last_used": _time(record.last_used_at_ms),
        "requests": use.requests,
        "prompt_tokens": use.known(use.prompt_tokens),
        "completion_tokens": use.known(use.completion_tokens),
    }


def _time(time_ms: int | None) -> str | None:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="seconds") if time_ms else None
