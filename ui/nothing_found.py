"""What was searched where nothing was found, and the nearest misses."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import streamlit as st

from services.chat.ports import Passage
from services.chat.turns import passages_of
from services.store.conversations import TurnRecord
from ui.flowing import one_line
from ui.i18n import _, ngettext
from ui.readable import plain_lines
from ui.text import markdown_text
from ui.widgets import safe_text

NEAREST = 3
SHOWN = 90
"""Characters of each."""


def nothing_found(turn: TurnRecord, open_passage: Callable[[str, int], None]) -> None:
    """Say what was searched, with which filters, and offer the nearest passages."""
    with st.container(border=True, gap="xsmall", key=f"lectern-nothing-{turn.id}"):
        for base in turn.bases:
            safe_text(_searched(base.get("name") or "", base.get("documents"), base.get("pending")), small=True)
        filters = _filters(turn.settings.get("filters") or {})
        if filters:
            safe_text(_("Only: {filters}", filters=" · ".join(filters)), small=True)
        nearest = passages_of(turn)[:NEAREST]
        if nearest:
            safe_text(_("The nearest passages, which the model found no answer in:"), muted=True, small=True)
        for passage in nearest:
            page = "" if passage.page is None else _(", page {page}", page=passage.page)
            st.button(
                markdown_text(f"[{passage.number}] {passage.document}{page}: {_beginning(passage)}"),
                key=f"near-{turn.id}-{passage.number}",
                type="tertiary",
                on_click=open_passage,
                args=(turn.id, passage.number),
            )
        if not nearest:
            safe_text(_("No passage came near the question."), muted=True, small=True)


def _beginning(passage: Passage) -> str:
    text = one_line(plain_lines(passage.text, passage.document))
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


def _searched(name: str, documents: int | None, pending: int | None) -> str:
    said = (
        _("Searched: {base}", base=name)
        if documents is None
        else ngettext("Searched: {base}, {n} document", "Searched: {base}, {n} documents", documents, base=name)
    )
    if pending:
        said += "; " + ngettext("{n} more is still being read", "{n} more are still being read", pending)
    return said


def _filters(filters: dict[str, object]) -> list[str]:
    documents, types = filters.get("documents") or (), filters.get("types") or ()
    said = [str(one) for one in (*documents, *types)]  # type: ignore[misc]
    for field, words in (("since_ms", _("added since {date}")), ("until_ms", _("added before {date}"))):
        moment = filters.get(field)
        if isinstance(moment, int | float):
            said.append(words.format(date=datetime.fromtimestamp(moment / 1000, UTC).date().isoformat()))
    return said
