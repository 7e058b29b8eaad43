"""Chat: ask knowledge bases, or just a model, and check the answer against its sources."""

from collections.abc import Callable

import streamlit as st

from services.core.i18n import N_
from services.store.conversations import TurnRecord
from ui import citations, conversation, embedded, errors, frame, history, sources, welcome
from ui.chat import composer as composing
from ui.chat import scrolling, settings, share
from ui.i18n import _
from ui.owner import owner_id
from ui.text import markdown_text
from ui.widgets import safe_text

SHOWN = 20
"""Turns of a long conversation that are drawn at first."""

with frame.page(N_("Chat")) as services:
    owner = owner_id()
    pressed = citations.clicked()
    if pressed:
        sources.open_passage(pressed.answer, pressed.number)

    def draw(turns: list[TurnRecord], one: Callable[[TurnRecord], None], asker: str | None) -> None:
        """The turns, with their sources beside them; `asker` may stop the one that grows."""
        wanted, opened = sources.cited(turns) is not None, sources.opened(turns) is not None
        with citations.beside(sources=wanted, opened=opened) as (main, aside):
            found = sources.panel(services, aside, turns)
            with main:
                begin = max(0, len(turns) - SHOWN)
                if begin and not st.button(_("Show the {n} turns before", n=begin), key="earlier-turns"):
                    turns = turns[begin:]
                for turn in turns[:-1]:
                    one(turn)
                with st.container(key="lectern-newest" if len(turns) > 1 else None):
                    if turns[-1].live:
                        conversation.live_turn(services, asker, turns[-1], found)
                    one(turns[-1])

    if token := share.wanted():
        shared, read = services.conversations.shared(token)
        st.subheader(markdown_text(shared.title), anchor=False)
        safe_text(_("Shared with you to read."), muted=True)
        draw(list(read), conversation.read_turn, None)
        st.stop()

    chosen = history.current(services, owner)
    turns = services.chat.turns(owner, chosen.id) if chosen else []
    composed = composing.composer(services, chosen)

    def ask(words: str) -> None:
        """Ask what the composer is set to, and go to the conversation."""
        asked = services.chat.ask(
            owner,
            words,
            conversation_id=chosen.id if chosen else None,
            base_ids=composed.base_ids,
            server=composed.server_id,
            choices=composed.wanted(),
        )
        welcome.asked()
        settings.begun()
        sources.close_passage()
        history.open_conversation(asked.conversation_id)
        st.rerun()

    history.bar(services, owner, chosen)
    if composed.question:
        with errors.shown():
            ask(composed.question)
    if embedded.underway(services) and not services.servers.default():
        embedded.progress(services)
    if not turns:
        welcome.welcome(services, composed.only_base(services), ask)
        st.stop()
    versions = services.conversations.versions(chosen.id) if chosen else {}

    def past(turn: TurnRecord) -> None:
        """A turn that has ended."""
        conversation.past_turn(services, owner, turn, versions.get(turn.id))

    scrolling.reveal(turns[-1].id)
    draw(turns, past, owner)
