"""Chat: ask a knowledge base, or just a model, and check the answer against its sources."""

import time

import streamlit as st

from services.core.i18n import N_
from ui import bases, citations, conversation, embedded, errors, frame, history, sources
from ui.i18n import _
from ui.owner import owner_id
from ui.widgets import empty_state, safe_text

with frame.page(N_("Chat")) as services:
    owner = owner_id()
    pressed = citations.clicked()
    if pressed:
        sources.open_passage(pressed.answer, pressed.number)
    chosen = history.current(services, owner)
    turns = services.chat.turns(owner, chosen.id) if chosen else []
    base_id = st.query_params.get("base") or (chosen.base_id if chosen else None)
    question, base_id, server_id = conversation.composer(services, base_id, chosen.server_id if chosen else None)
    shown = sources.opened(turns)

    history.bar(services, owner, chosen)
    with citations.beside(opened=shown is not None) as (main, aside):
        with aside:
            if shown:
                sources.opened_passage(services, *shown)
            elif turns:
                sources.source_list(turns[-1])
        with main:
            if embedded.underway(services) and not services.servers.default():
                embedded.progress(services)
            if not turns:
                summaries = services.knowledge.bases()
                if not summaries:
                    tried = empty_state(
                        _("Ask your own documents"),
                        _("Make a knowledge base of your files, or begin with sample documents in two languages."),
                        _("Try it with sample documents"),
                        key="no-base",
                    )
                    if tried:
                        bases.try_samples(services)
                elif base_id and bases.is_sample(services, base_id):
                    question = question or conversation.suggestions(bases.sample_questions())
                else:
                    safe_text(
                        _("Every answer shows the passages that it comes from; press a mark to check it."), muted=True
                    )
            for turn in turns:
                if turn.live:
                    conversation.live_turn(services, turn)
                conversation.past_turn(services, owner, turn)
            if question is None and bases.PENDING_QUESTION in st.session_state and base_id:
                with st.container(border=True):
                    safe_text(_("Next question: {question}", question=st.session_state[bases.PENDING_QUESTION]))
                    if conversation.waiting_for_samples(services, base_id) or not services.servers.default():
                        time.sleep(1)
                        st.rerun()
                question = st.session_state.pop(bases.PENDING_QUESTION)
            if question:
                with errors.shown():
                    asked = services.chat.ask(
                        owner,
                        question,
                        conversation_id=chosen.id if chosen else None,
                        base_id=base_id,
                        server=server_id,
                    )
                    sources.close_passage()
                    history.open_conversation(asked.conversation_id)
                    st.rerun()
