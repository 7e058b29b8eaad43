"""The passages behind an answer: a list, and the opened one in its surroundings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from services.app import Services
from services.chat.ports import Passage
from services.chat.turns import passages_of
from services.core.errors import NotFoundError
from services.knowledge.types import Surroundings
from services.store.conversations import TurnRecord
from ui import errors
from ui.citations import passage_panel
from ui.i18n import _
from ui.text import html_text, markdown_text
from ui.widgets import icon_button, safe_text

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
            opened_passage(services, *shown)
        elif of:
            source_list(of)

    def found(turn: TurnRecord) -> None:
        if not shown:
            with place.container():
                source_list(turn)

    return found


def source_list(turn: TurnRecord) -> None:
    """The passages of a turn; pressing a name opens it at its place."""
    st.subheader(_("Sources"), anchor=False)
    if not turn.passages:
        safe_text(_("Searching the documents…"), muted=True)
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
            f'<div class="text">{html_text(" ".join(passage.text.split())[:EXCERPT])}</div></div>'
        )


def opened_passage(services: Services, turn: TurnRecord, passage: Passage) -> None:
    """One passage, marked in the text around it, with the ways on: previous, next, the original, back."""
    with errors.shown():
        last = len(turn.passages)
        with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", wrap=False):
            icon_button(
                _("Previous passage"),
                ":material/chevron_left:",
                key="passage-before",
                disabled=passage.number <= 1,
                on_click=open_passage,
                args=(turn.id, passage.number - 1),
            )
            icon_button(
                _("Next passage"),
                ":material/chevron_right:",
                key="passage-after",
                disabled=passage.number >= last,
                on_click=open_passage,
                args=(turn.id, passage.number + 1),
            )
            safe_text(_("Passage {number} of {last}", number=passage.number, last=last), muted=True)
            around, original = _surroundings(services, turn, passage), _original(services, turn, passage)
            if original is not None:
                _download(original, passage)
            icon_button(_("Close"), ":material/close:", key="passage-close", on_click=close_passage)
        if around is None:
            safe_text(_("The document was changed or removed since; this is the passage as it was."), muted=True)
        if original is None:
            safe_text(_("The file that was cited is not kept any more."), muted=True)
        shown = around or Surroundings(passage.document, passage.page, passage.heading, "", passage.text, "")
        passage_panel(
            shown.document,
            shown.page,
            passage.heading or shown.heading,
            shown.before,
            shown.text,
            shown.after,
            number=passage.number,
        )


def _surroundings(services: Services, turn: TurnRecord, passage: Passage) -> Surroundings | None:
    try:
        base = services.knowledge.base(passage.base_id or turn.base_ids[0])
        return services.knowledge.surroundings(base, passage.document_id, passage.revision, passage.start, passage.end)
    except NotFoundError:
        return None


def _original(services: Services, turn: TurnRecord, passage: Passage) -> Path | None:
    try:
        base = services.knowledge.base(passage.base_id or turn.base_ids[0])
        return services.knowledge.original(base, passage.document_id, passage.revision)
    except NotFoundError:
        return None


def _download(original: Path, passage: Passage) -> None:
    st.download_button(
        _("Download the original"),
        data=original.read_bytes,
        file_name=passage.document.rpartition("/")[2],
        mime="application/octet-stream",
        icon=":material/download:",
        type="tertiary",
        key="icon-original",
        help=_("Download the original"),
        on_click="ignore",
    )


def _place(passage: Passage) -> str:
    page = _("page {page}", page=passage.page) if passage.page is not None else ""
    return " · ".join(part for part in (page, passage.heading) if part)
