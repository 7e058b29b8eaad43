"""What people think of answers from a base, for whoever looks after it: beside its golden questions."""

from __future__ import annotations

import streamlit as st

from services.app import Services
from services.chat.feedback import VERDICT_WORDS
from services.store.feedback import RatedAnswer
from ui import errors, history
from ui.chat import scrolling, share
from ui.i18n import _, clock_time, ngettext
from ui.owner import owner_id
from ui.widgets import icon_button, row, safe_text

CHAT_PAGE = "pages/1_Chat.py"
SHOWN = 20


def rated_list(services: Services, base_id: str) -> None:
    """The answers from a base that people rated, folded away; nothing where there are none."""
    count, owner = services.feedback.rated_count(base_id), owner_id()
    if not count:
        return
    with st.expander(ngettext("{n} rated answer", "{n} rated answers", count), icon=":material/thumbs_up_down:"):
        safe_text(_("What people think of answers from these documents."), muted=True, small=True)
        for one in services.feedback.rated(base_id, most=SHOWN):
            _rated(services, owner, one)
        if count > SHOWN:
            more = _("{n} older ones: “lectern feedback list” has them all.", n=count - SHOWN)
            safe_text(more, muted=True, small=True)


def _rated(services: Services, owner: str, one: RatedAnswer) -> None:
    facts = [_(VERDICT_WORDS[one.verdict]), clock_time(one.updated_at_ms), one.server_name]
    with row(one.question, facts) as beneath:
        if icon_button(_("Read the answer"), ":material/article:", key=f"rated-{one.turn_id}-{one.owner_id}"):
            _answer_dialog(one)
        if one.owner_id == owner:
            if icon_button(_("Open the conversation"), ":material/forum:", key=f"rated-open-{one.turn_id}"):
                errors.attempt(services.conversations.show_version, owner, one.turn_id)
                place = {history.PARAMETER: one.conversation_id, scrolling.PARAMETER: one.turn_id}
                st.switch_page(CHAT_PAGE, query_params=place)
        elif one.share_token:
            shared = {share.PARAMETER: one.share_token}
            st.page_link(CHAT_PAGE, label=_("Shared"), icon=":material/forum:", query_params=shared)
    if one.comment:
        with beneath:
            safe_text(one.comment)


def _answer_dialog(one: RatedAnswer) -> None:
    @st.dialog(_("The answer"), width="large")
    def show() -> None:
        safe_text(one.question, muted=True)
        safe_text(one.answer)

    show()
