"""The servers that one can chat with, and the choice of another one for a question that was answered."""

from __future__ import annotations

from functools import partial

import streamlit as st

from services.app import Services
from services.core.phrases import state_word
from services.serving.purposes import makes_text
from services.serving.service import on_its_way
from services.serving.states import READY
from services.store.conversations import TurnRecord
from services.store.servers import ServerRecord
from ui import errors, i18n
from ui.i18n import _
from ui.text import markdown_text
from ui.widgets import safe_text


def chat_servers(services: Services) -> list[ServerRecord]:
    """Those that can be asked a question, oldest first."""
    return [record for record in services.servers.list() if makes_text(record)]


def with_state(record: ServerRecord) -> str:
    """A server's name and how it is."""
    return f"{record.name} · {state_word(record.state, i18n.language())}"


def another_server(services: Services, owner: str, turn: TurnRecord) -> None:
    """Servers to answer a turn again, the one that has answered it marked; nothing where there is no choice."""
    servers = chat_servers(services)
    if len(servers) < 2:
        return
    words = _("Answer again with another server")
    opener = st.popover("", help=words, type="tertiary", key=f"servers-{turn.id}")
    with opener, st.container(gap="xxsmall"):
        safe_text(words, muted=True, small=True)
        for record in servers:
            answered = record.name == turn.server_name
            st.button(
                markdown_text(with_state(record)),
                icon=":material/check:" if answered else ":material/refresh:",
                type="tertiary",
                key=f"again-{turn.id}-{record.id}",
                disabled=record.state != READY and not on_its_way(record),
                on_click=errors.attempt,
                args=(partial(services.chat.again, server=record.id), owner, turn.id),
            )
