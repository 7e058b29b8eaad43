"""`lectern conversation …`: list, read, export and delete conversations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.app import Services
from services.chat.exporting import FORMATS, as_json, as_markdown, conversation_row, head_row
from services.chat.rows import shared_link
from services.cli.output import failing_well, speaker, write_file
from services.core.errors import ConversationNotFound, InvalidValue, PathNotFound
from services.core.i18n import N_
from services.store.conversations import ConversationRecord, TurnRecord

OWNER = "cli"

conversation = typer.Typer(help="Conversations: list, show, export, delete.", no_args_is_help=True)
Id = Annotated[str, typer.Argument(help="id of the conversation", show_default=False)]


@conversation.command("list")
def list_(
    search: Annotated[str, typer.Option(help="only those with these words in title, questions or answers")] = "",
    everybody: Annotated[bool, typer.Option("--all", help="also those of people who use the pages")] = False,
) -> None:
    """List conversations, the last used first."""
    with failing_well():
        services = speaker.services()
        owners = services.store.conversations.owners() if everybody else [OWNER]
        found = [talk for owner in owners for talk in services.chat.conversations(owner, search)]
        rows = [{**head_row(talk), "owner": talk.owner_id} for talk in found]
        rows.sort(key=lambda row: str(row["updated_at"]), reverse=True)
        lines = [[row["id"], row["updated_at"], row["title"]] for row in rows]
        speaker.emit(rows, lambda: speaker.table([N_("id"), N_("last used"), N_("title")], lines))


@conversation.command()
def show(id: Id) -> None:
    """Print a conversation."""
    with failing_well():
        talk, turns = _found(speaker.services(), id)
        row = conversation_row(talk, turns)
        speaker.emit(row, lambda: typer.echo(as_markdown(talk, turns, speaker.language), nl=False))


@conversation.command()
def export(
    id: Id,
    file: Annotated[Path, typer.Argument(help="the file to write, ending in .md or .json", show_default=False)],
) -> None:
    """Write a conversation to a file: Markdown to be read, or JSON with everything."""
    with failing_well():
        ending = file.suffix.lstrip(".").lower()
        if ending not in FORMATS:
            raise InvalidValue(field=N_("file"), value=file.name, reason=N_("its name must end in .md or .json"))
        path = file.expanduser().absolute()
        if not path.parent.is_dir():
            raise PathNotFound(path=str(path.parent))
        talk, turns = _found(speaker.services(), id)
        text = as_json(talk, turns) if ending == "json" else as_markdown(talk, turns, speaker.language)
        write_file(path, text)
        row = {"id": talk.id, "file": str(path), "turns": len(turns)}
        speaker.emit(row, lambda: speaker.line(N_("Wrote “{name}”."), name=path.name))


@conversation.command()
def rename(id: Id, title: Annotated[str, typer.Argument(help="the new title", show_default=False)]) -> None:
    """Give a conversation another title."""
    with failing_well():
        services = speaker.services()
        talk, _ = _found(services, id)
        renamed = services.conversations.rename(talk.owner_id, talk.id, title)
        speaker.emit(head_row(renamed), lambda: typer.echo(renamed.title))


@conversation.command()
def share(
    id: Id, back: Annotated[bool, typer.Option("--take-back", help="let the link lead nowhere any more")] = False
) -> None:
    """Make a link by which others can read a conversation, or take it back."""
    with failing_well():
        services = speaker.services()
        talk, _ = _found(services, id)
        if back:
            services.conversations.unshare(talk.owner_id, talk.id)
        link = None if back else shared_link(services.conversations.share(talk.owner_id, talk.id))
        speaker.emit({"id": talk.id, "link": link}, lambda: typer.echo(link or ""))


@conversation.command()
def delete(id: Id) -> None:
    """Delete a conversation with its turns."""
    with failing_well():
        services = speaker.services()
        talk, _ = _found(services, id)
        services.chat.delete(talk.owner_id, talk.id)
        speaker.emit({"deleted": talk.id}, lambda: speaker.line(N_("Removed “{name}”."), name=talk.title))


def _found(services: Services, id: str) -> tuple[ConversationRecord, list[TurnRecord]]:
    talk = services.store.conversations.get(id)
    if talk is None:
        raise ConversationNotFound()
    return talk, services.chat.turns(talk.owner_id, talk.id)
