"""`lectern ask …`: one question to a knowledge base, one cited answer."""

from __future__ import annotations

from typing import Annotated

import typer

from services.chat.choices import Choices
from services.chat.citations import Citation, cite
from services.chat.notes import told, words_only_text
from services.chat.rows import answer_row
from services.chat.turns import KNOWLEDGE, passages_of
from services.cli.conversation import OWNER
from services.cli.output import failing_well, speaker
from services.core.errors import from_row
from services.core.i18n import N_
from services.store.conversations import TurnRecord

NEW = "new"


def ask(
    name: Annotated[str, typer.Argument(help="name or id of the knowledge base", show_default=False)],
    question: Annotated[str, typer.Argument(help="the question", show_default=False)],
    server: Annotated[
        str | None,
        typer.Option(help="name or id of the server; without it: the conversation's, or a ready one"),
    ] = None,
    top_k: Annotated[int | None, typer.Option(help="passages that are searched for")] = None,
    conversation: Annotated[
        str | None, typer.Option(help="id of a conversation to go on with; new: begin one that is kept")
    ] = None,
    mode: Annotated[str, typer.Option(help="knowledge: from the documents; chat: from what was said")] = KNOWLEDGE,
) -> None:
    """Ask a knowledge base and print the answer with its sources."""
    with failing_well():
        services = speaker.services()
        base = services.knowledge.base(name)
        begun = services.chat.ask(
            OWNER,
            question,
            conversation_id=None if conversation == NEW else conversation,
            base_ids=[base.id],
            server=server,
            choices=Choices.of({"top_k": top_k, "mode": mode}),
            heed_words=False,
        )
        turn = services.chat.wait(begun.id)
        if conversation is None:
            services.chat.delete(OWNER, turn.conversation_id)
        if turn.error_code:
            raise from_row(turn.error_code, turn.error_params)
        kept = {"conversation_id": turn.conversation_id} if conversation else {}
        speaker.emit({**answer_row(turn), **kept}, lambda: _print(turn, cite(turn.answer, passages_of(turn))))
        if conversation == NEW and not speaker.json:
            speaker.line(N_("Go on with --conversation {id}"), id=turn.conversation_id)


def _print(turn: TurnRecord, citations: list[Citation]) -> None:
    for base in turn.bases:
        if base.get("words_only"):
            typer.echo(words_only_text(base, speaker.language), err=True)
    for note in turn.notes:
        typer.echo(told(note, speaker.language), err=True)
    typer.echo(turn.answer.strip())
    if citations:
        typer.echo()
    for citation in citations:
        page = "" if citation.page is None else speaker.say(N_(", page {page}"), page=citation.page)
        typer.echo(f"[{citation.marker}] {citation.document}{page}")
