"""The chat before its first question: what can be asked, and the question that waits for its documents."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from services.app import Services
from ui import bases, conversation, embedded
from ui.i18n import _
from ui.servers.rows import no_server
from ui.text import markdown_text
from ui.widgets import empty_state, safe_text

Ask = Callable[[str], None]


def welcome(services: Services, base_id: str | None, ask: Ask) -> None:
    """Teach the next step."""
    waiting = st.session_state.get(bases.PENDING_QUESTION)
    if not services.servers.list() and not embedded.underway(services):
        no_server(services)
    elif not services.knowledge.bases():
        tried = empty_state(
            _("Ask your own documents"),
            _("Make a knowledge base of your files, or begin with sample documents in two languages."),
            _("Try it with sample documents"),
            key="no-base",
        )
        if tried:
            bases.try_samples(services)
    elif base_id and waiting:
        conversation.ask_when_ready(services, base_id, waiting, ask)
    elif base_id and bases.is_sample(services, base_id):
        _suggestions(ask)
    else:
        safe_text(_("Every answer shows the passages that it comes from; press a mark to check it."), muted=True)


def asked() -> None:
    """No question waits any more."""
    st.session_state.pop(bases.PENDING_QUESTION, None)


def _suggestions(ask: Ask) -> None:
    safe_text(_("Questions to begin with"), muted=True)
    for number, question in enumerate(bases.sample_questions()):
        if st.button(markdown_text(question), key=f"suggestion-{number}", icon=":material/arrow_forward:"):
            ask(question)
