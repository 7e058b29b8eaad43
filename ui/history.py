"""Which conversation is open: in the address, so that a reload or a link finds it again."""

from __future__ import annotations

import streamlit as st

from services.app import Services
from services.core.errors import ConversationNotFound
from services.store.conversations import ConversationRecord
from ui import errors
from ui.i18n import _
from ui.text import markdown_text
from ui.widgets import beside_title, icon_button, safe_text

PARAMETER = "conversation"
SHOWN = 30


def current(services: Services, owner: str) -> ConversationRecord | None:
    """The open conversation; None for a new one."""
    wanted = st.query_params.get(PARAMETER)
    if not wanted:
        return None
    try:
        return services.chat.conversation(owner, wanted)
    except ConversationNotFound as error:
        errors.show(error)
        new_conversation()
        return None


def open_conversation(conversation_id: str) -> None:
    """Open a conversation; the base and server go with it."""
    st.query_params.pop("base", None)
    st.query_params[PARAMETER] = conversation_id


def new_conversation() -> None:
    """Begin anew."""
    st.query_params.pop(PARAMETER, None)


def bar(services: Services, owner: str, chosen: ConversationRecord | None) -> None:
    """Begin anew, go back to an earlier conversation, or delete the open one."""
    conversations = services.chat.conversations(owner)
    with beside_title():
        if chosen:
            st.button(_("New conversation"), icon=":material/add_comment:", key="narrow-new", on_click=new_conversation)
        if conversations:
            with st.popover(_("Earlier conversations"), icon=":material/history:"):
                for record in conversations[:SHOWN]:
                    st.button(
                        markdown_text(record.title),
                        key=f"conversation-{record.id}",
                        type="tertiary",
                        on_click=open_conversation,
                        args=(record.id,),
                    )
        if chosen and icon_button(_("Delete"), ":material/delete:", key="delete-conversation"):
            _confirm(services, owner, chosen)


def _confirm(services: Services, owner: str, chosen: ConversationRecord) -> None:
    @st.dialog(_("Delete this conversation?"))
    def ask() -> None:
        with errors.shown():
            safe_text(chosen.title)
            if st.button(_("Delete"), type="primary"):
                services.chat.delete(owner, chosen.id)
                new_conversation()
                st.rerun()

    ask()
