"""Whom and what to ask, in one line above the question; the rest behind one small popover."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from services.app import Services
from services.chat.choices import Choices
from services.chat.turns import CHAT, KNOWLEDGE
from services.store.conversations import ConversationRecord
from ui.chat import settings
from ui.chat.servers import chat_servers, with_state
from ui.i18n import _

BASE_PARAMETER = "base"
ICONS = {CHAT: ":material/forum:", KNOWLEDGE: ":material/library_books:"}


@dataclass(frozen=True, slots=True)
class Composed:
    """What the composer is set to; the question is None until one is sent."""

    question: str | None
    mode: str
    base_ids: tuple[str, ...]
    server_id: str | None
    choices: Choices

    def wanted(self) -> Choices:
        """The choices for the next turn: a new conversation takes them all as its own."""
        return self.choices.model_copy(update={"mode": self.mode, "base_ids": self.base_ids})

    def only_base(self, services: Services) -> str | None:
        """The one base that is asked; None where it is none or several."""
        if self.mode != KNOWLEDGE:
            return None
        ids = self.base_ids or tuple(base.id for base in services.store.bases.all())
        return ids[0] if len(ids) == 1 else None


def composer(services: Services, talk: ConversationRecord | None) -> Composed:
    """Draw it at the bottom of the page."""
    names = {base.id: base.name for base in services.store.bases.all()}
    begun = _begun(talk, names)
    key = talk.id if talk else f"new-{st.query_params.get(BASE_PARAMETER, '')}"
    with st.bottom:
        with st.container(horizontal=True, key="lectern-composer", vertical_alignment="center"):
            mode = _mode(begun, key, names)
            chosen = _bases(begun, key, names) if mode == KNOWLEDGE else begun.base_ids or ()
            server_id = _server(services, talk, key)
            choices = settings.popover(services, talk, key, mode, chosen or tuple(names))
        question = st.chat_input(_placeholder(mode, [names[id] for id in chosen]), key="chat.input")
    return Composed(question, mode, tuple(chosen), server_id, choices)


def _begun(talk: ConversationRecord | None, names: Mapping[str, str]) -> Choices:
    """What was chosen for a conversation; a new one asks the base that its address names, or all of them."""
    if talk is None:
        wanted = st.query_params.get(BASE_PARAMETER)
        return Choices(mode=KNOWLEDGE if names else CHAT, base_ids=(wanted,) if wanted in names else ())
    stored = Choices.stored(talk.settings)
    return stored.model_copy(update={"base_ids": tuple(id for id in stored.base_ids or () if id in names)})


def _mode(begun: Choices, key: str, names: Mapping[str, str]) -> str:
    words = {CHAT: _("Chat"), KNOWLEDGE: _("Documents")}
    picked = st.segmented_control(
        _("Mode"),
        [CHAT, KNOWLEDGE],
        default=begun.mode or CHAT,
        required=True,
        format_func=lambda mode: f"{ICONS[mode]} {words[mode]}",
        disabled=not names,
        key=f"mode-{key}",
        label_visibility="collapsed",
    )
    return str(picked or CHAT) if names else CHAT


def _bases(begun: Choices, key: str, names: Mapping[str, str]) -> tuple[str, ...]:
    picked = st.multiselect(
        _("Ask about"),
        list(names),
        default=list(begun.base_ids or ()),
        format_func=names.__getitem__,
        placeholder=_("all knowledge bases"),
        key=f"bases-{key}",
        label_visibility="collapsed",
    )
    return tuple(picked)


def _server(services: Services, talk: ConversationRecord | None, key: str) -> str | None:
    servers = {record.id: record for record in chat_servers(services)}
    first = None if talk else services.servers.default()
    wanted = talk.server_id if talk else first and first.id
    picked: str | None = st.selectbox(
        _("Server"),
        list(servers),
        index=list(servers).index(wanted) if wanted in servers else 0,
        format_func=lambda id: with_state(servers[id]),
        placeholder=_("no server yet"),
        disabled=not servers,
        key=f"server-{key}",
        label_visibility="collapsed",
        icon=":material/dns:",
    )
    return picked


def _placeholder(mode: str, names: list[str]) -> str:
    if mode != KNOWLEDGE:
        return _("Write a message")
    return _("Ask “{base}” a question", base=", ".join(names)) if names else _("Ask your documents a question")
