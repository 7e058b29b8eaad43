"""What can be done with a turn: copy, ask again or otherwise, branch, go from version to version, see what was sent."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import streamlit as st

from services.app import Services
from services.chat.conversations import Versions
from services.chat.turns import CHAT, KNOWLEDGE
from services.store.conversations import TurnRecord
from ui import errors, history, i18n
from ui.chat.copying import copy_button
from ui.chat.inspect import sent_dialog
from ui.chat.servers import another_server
from ui.feedback import thumbs, who_reads_it
from ui.i18n import _
from ui.waterfall import timing
from ui.widgets import icon_button, safe_text

EDITED = "chat.edited"
"""In the session: the turn whose question is being changed."""


def actions(services: Services, owner: str, turn: TurnRecord, versions: Versions | None) -> None:
    """The row of buttons beneath an answer."""
    with st.container(horizontal=True, gap="xxsmall", vertical_alignment="center", key=f"lectern-actions-{turn.id}"):
        if versions:
            _versions(services, owner, turn, versions)
        if turn.answer.strip():
            copy_button(turn.answer, turn.id)
        _button(_("Answer again"), "refresh", turn, "again", services.chat.again, owner, turn.id)
        another_server(services, owner, turn)
        _button(_("Change the question"), "edit", turn, "edit", _edit, turn.id)
        other, words, icon = _other_mode(turn)
        if other == CHAT or services.store.bases.all():
            _button(words, icon, turn, "mode", partial(services.chat.again, mode=other), owner, turn.id)
        _button(
            _("Go on from here in a new conversation"), "fork_right", turn, "branch", _branch, services, owner, turn.id
        )
        if icon_button(_("What the model was sent"), ":material/data_object:", key=f"sent-{turn.id}"):
            sent_dialog(services, owner, turn)
        rated = thumbs(services, owner, turn)
        timing(turn)
    if rated:
        who_reads_it()


def question_editor(services: Services, owner: str, turn: TurnRecord) -> bool:
    """The question as a field where it is being changed; False where it is not."""
    if st.session_state.get(EDITED) != turn.id:
        return False
    with st.form(f"edit-{turn.id}", border=False):
        words = st.text_area(_("Question"), turn.question, label_visibility="collapsed", key=f"edited-{turn.id}")
        with st.container(horizontal=True):
            if st.form_submit_button(_("Send"), type="primary"):
                errors.attempt(_resend, services, owner, turn.id, words)
                st.rerun()
            if st.form_submit_button(_("Cancel")):
                st.session_state.pop(EDITED, None)
                st.rerun()
    return True


def _button(label: str, icon: str, turn: TurnRecord, what: str, action: Callable[..., object], *args: object) -> None:
    icon_button(label, f":material/{icon}:", key=f"{what}-{turn.id}", on_click=errors.attempt, args=(action, *args))


def _versions(services: Services, owner: str, turn: TurnRecord, versions: Versions) -> None:
    show = services.conversations.show_version
    icon_button(
        _("Earlier version"),
        ":material/chevron_left:",
        key=f"older-{turn.id}",
        disabled=versions.before is None,
        on_click=errors.attempt,
        args=(show, owner, versions.before),
    )
    safe_text(f"{versions.number} / {versions.count}", muted=True, small=True)
    icon_button(
        _("Later version"),
        ":material/chevron_right:",
        key=f"newer-{turn.id}",
        disabled=versions.after is None,
        on_click=errors.attempt,
        args=(show, owner, versions.after),
    )


def _other_mode(turn: TurnRecord) -> tuple[str, str, str]:
    if turn.mode == KNOWLEDGE:
        return CHAT, _("Answer without the documents"), "forum"
    return KNOWLEDGE, _("Answer from the documents"), "library_books"


def _edit(turn_id: str) -> None:
    st.session_state[EDITED] = turn_id


def _resend(services: Services, owner: str, turn_id: str, words: str) -> None:
    services.chat.again(owner, turn_id, question=words)
    st.session_state.pop(EDITED, None)


def _branch(services: Services, owner: str, turn_id: str) -> None:
    history.open_conversation(services.conversations.branch(owner, turn_id, i18n.language()).id)
