"""Which conversation is open: in the address, so that a reload or a link finds it again."""

from __future__ import annotations

from functools import partial
from itertools import groupby

import streamlit as st

from services.app import Services
from services.chat.conversations import TITLE_LIMIT
from services.chat.exporting import as_json, as_markdown, file_name
from services.core.errors import ConversationNotFound
from services.store.conversations import ConversationRecord
from ui import errors, i18n
from ui.chat import popovers
from ui.chat.inspect import memory_dialog
from ui.chat.share import share_dialog
from ui.i18n import _
from ui.text import markdown_text
from ui.widgets import beside_title, safe_text

PARAMETER = "conversation"
SHOWN = 30
EARLIER, MENU = "narrow-earlier", "conversation-menu"


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
    """Begin anew, go back to an earlier conversation, or do something with the open one."""
    with beside_title():
        if chosen:
            st.button(_("New conversation"), icon=":material/add_comment:", key="narrow-new", on_click=new_conversation)
        with st.popover(_("Earlier conversations"), icon=":material/history:", key=popovers.key(EARLIER)):
            _earlier(services, owner)
        if chosen:
            with st.popover("", icon=":material/more_vert:", help=_("This conversation"), key=popovers.key(MENU)):
                _menu(services, chosen)


def _earlier(services: Services, owner: str) -> None:
    words = st.text_input(
        _("Search in titles, questions and answers"),
        key="history.words",
        placeholder=_("Search in titles, questions and answers"),
        icon=":material/search:",
        label_visibility="collapsed",
    )
    found = services.chat.conversations(owner, words)
    if not found:
        safe_text(_("No conversation has these words.") if words.strip() else _("There is none yet."), muted=True)
    for day, records in groupby(found[:SHOWN], lambda record: i18n.day_words(record.updated_at_ms)):
        safe_text(day, muted=True, small=True)
        for record in records:
            st.button(
                markdown_text(record.title),
                key=f"conversation-{record.id}",
                type="tertiary",
                on_click=_chosen,
                args=(record.id,),
            )
    if len(found) > SHOWN:
        safe_text(_("{n} more: search for them.", n=len(found) - SHOWN), muted=True, small=True)


def _chosen(conversation_id: str) -> None:
    popovers.close(EARLIER)
    open_conversation(conversation_id)


def _menu(services: Services, chosen: ConversationRecord) -> None:
    with st.form("rename", border=False):
        title = st.text_input(_("Title"), chosen.title, max_chars=TITLE_LIMIT, key=f"title-{chosen.id}-{chosen.title}")
        if st.form_submit_button(_("Rename")):
            errors.attempt(services.conversations.rename, chosen.owner_id, chosen.id, title)
            popovers.close(MENU)
            st.rerun()
    for ending, words in (("md", _("Export as Markdown")), ("json", _("Export as JSON"))):
        st.download_button(
            words,
            data=partial(_exported, services, chosen, ending, i18n.language()),
            file_name=file_name(chosen, ending),
            mime="application/octet-stream",
            icon=":material/download:",
            type="tertiary",
            key=f"export-{ending}",
            on_click="ignore",
        )
    if _leads_on(_("Share by a link"), "link", "share-conversation"):
        share_dialog(services, chosen)
    if _leads_on(_("What the chat remembers"), "psychology", "show-memory"):
        memory_dialog(services, chosen)
    if _leads_on(_("Delete"), "delete", "delete-conversation"):
        _confirm(services, chosen.owner_id, chosen)


def _leads_on(label: str, icon: str, key: str) -> bool:
    """A button of the menu that opens a dialog, which the menu would lie over."""
    icon = f":material/{icon}:"
    return st.button(label, icon=icon, type="tertiary", key=key, on_click=popovers.close, args=(MENU,))


def _exported(services: Services, chosen: ConversationRecord, ending: str, language: str) -> bytes:
    turns = services.chat.turns(chosen.owner_id, chosen.id)
    text = as_json(chosen, turns) if ending == "json" else as_markdown(chosen, turns, language)
    return text.encode()


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
