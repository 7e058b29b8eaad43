"""Chat: ask a knowledge base, or just a model, and check the answer against its sources."""

import streamlit as st

from services.core.i18n import N_
from ui import citations, conversation, embedded, errors, frame, history, sources, welcome
from ui.owner import owner_id

with frame.page(N_("Chat")) as services:
    owner = owner_id()
    pressed = citations.clicked()
    if pressed:
        sources.open_passage(pressed.answer, pressed.number)
    chosen = history.current(services, owner)
    turns = services.chat.turns(owner, chosen.id) if chosen else []
    wanted_base = st.query_params.get("base") or conversation.last_base(turns)
    question, base_id, server_id = conversation.composer(services, wanted_base, chosen.server_id if chosen else None)

    def ask(words: str) -> None:
        """Ask what the composer is set to, and go to the conversation."""
        conversation_id = chosen.id if chosen else None
        base_ids = [base_id] if base_id else []
        asked = services.chat.ask(owner, words, conversation_id=conversation_id, base_ids=base_ids, server=server_id)
        welcome.asked()
        sources.close_passage()
        history.open_conversation(asked.conversation_id)
        st.rerun()

    history.bar(services, owner, chosen)
    if question:
        with errors.shown():
            ask(question)
    if embedded.underway(services) and not services.servers.default():
        embedded.progress(services)
    if not turns:
        welcome.welcome(services, base_id, ask)
        st.stop()
    wanted, opened = sources.cited(turns) is not None, sources.opened(turns) is not None
    with citations.beside(sources=wanted, opened=opened) as (main, aside):
        found = sources.panel(services, aside, turns)
        with main:
            for turn in turns:
                if turn.live:
                    conversation.live_turn(services, turn, found)
                conversation.past_turn(services, owner, turn)
