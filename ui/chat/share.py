"""Sharing a conversation by a link, and taking the link back."""

from __future__ import annotations

import streamlit as st

from services.app import Services
from services.store.conversations import ConversationRecord
from ui import errors
from ui.i18n import _
from ui.widgets import safe_text

PARAMETER = "shared"


def wanted() -> str | None:
    """What the link of a shared conversation ends in, where the page was opened by one."""
    return st.query_params.get(PARAMETER)


def share_dialog(services: Services, talk: ConversationRecord) -> None:
    """Give the link, or take it back."""

    @st.dialog(_("Share this conversation"))
    def show() -> None:
        with errors.shown():
            now = services.chat.conversation(talk.owner_id, talk.id)
            if now.share_token:
                safe_text(_("Everybody who can open Lectern and has this link can read it, and what is added to it."))
                st.code(f"{_address()}?{PARAMETER}={now.share_token}", language=None, wrap_lines=True)
                if st.button(_("Take the link back")):
                    services.conversations.unshare(talk.owner_id, talk.id)
                    st.rerun()
            else:
                safe_text(_("A link lets others read this conversation with its sources. You can take it back."))
                if st.button(_("Make a link"), type="primary"):
                    services.conversations.share(talk.owner_id, talk.id)
                    st.rerun(scope="fragment")

    show()


def _address() -> str:
    return str(st.context.url or "").partition("?")[0]
