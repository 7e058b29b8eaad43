"""The passages behind an answer: a list, and the opened one in its surroundings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from services.app import Services
from services.chat.ports import Passage
from services.chat.turns import passages_of
from services.store.conversations import TurnRecord
from ui.flowing import one_line
from ui.i18n import _
from ui.opened import opened_passage
from ui.readable import plain_lines
from ui.text import html_text, markdown_text
from ui.widgets import safe_text

OPENED = "chat.opened"
EXCERPT = 300


def open_passage(turn_id: str, number: int) -> None:
    """Open a passage beside the answer."""
    st.session_state[OPENED] = (turn_id, number)


def close_passage() -> None:
    """Go back to the list."""
    st.session_state.pop(OPENED, None)


def opened(turns: list[TurnRecord]) -> tuple[TurnRecord, Passage] | None:
    """The opened passage, if it still belongs to this conversation."""
    turn_id, number = st.session_state.get(OPENED, ("", 0))
    for turn in turns:
        if turn.id == turn_id:
            return next(((turn, passage) for passage in passages_of(turn) if passage.number == number), None)
    return None


def cited(turns: list[TurnRecord]) -> TurnRecord | None:
    """The turn whose sources are shown: the last one that has some, or will have."""
    return next((turn for turn in reversed(turns) if turn.passages or (turn.live and turn.bases)), None)


def panel(services: Services, aside: Any, turns: list[TurnRecord]) -> Callable[[TurnRecord], None]:
    """Draw the opened passage, else the sources of the last answer; what is returned draws those found later."""
    shown, of = opened(turns), cited(turns)
    place = aside.empty()
    with place.container():
        if shown:
            opened_passage(services, *shown, open_passage, close_passage)
        elif of:
            source_list(of, earlier=of.id != turns[-1].id)

    def found(turn: TurnRecord) -> None:
        if not shown:
            with place.container():
                source_list(turn)

    return found


def source_list(turn: TurnRecord, *, earlier: bool = False) -> None:
    """The passages of a turn, `earlier` than the last one; pressing a name opens it at its place."""
    st.subheader(_("Sources"), anchor=False)
    if earlier:
        safe_text(_("Of the answer to “{question}”", question=turn.question), muted=True, small=True)
    if not turn.passages:
        safe_text(_("The passages that are found will stand here."), muted=True)
    for passage in passages_of(turn):
        _source(turn, passage)


def _source(turn: TurnRecord, passage: Passage) -> None:
    with st.container(border=True, gap="xxsmall"):
        st.button(
            markdown_text(f"[{passage.number}] {passage.document}"),
            key=f"open-{turn.id}-{passage.number}",
            help=_("Show in the document"),
            type="tertiary",
            on_click=open_passage,
            args=(turn.id, passage.number),
        )
        st.html(
            f'<div class="lectern-passage lectern-source"><div class="lectern-facts">{html_text(_place(passage))}</div>'
            f'<div class="text">{html_text(_excerpt(passage))}</div></div>'
        )


def _excerpt(passage: Passage) -> str:
    return one_line(plain_lines(passage.text, passage.document))[:EXCERPT]


def _place(passage: Passage) -> str:
    page = _("page {page}", page=passage.page) if passage.page is not None else ""
    return " · ".join(part for part in (page, passage.heading) if part)
