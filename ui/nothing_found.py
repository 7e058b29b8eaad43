"""What was searched where nothing was found, and the nearest misses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import streamlit as st

from services.chat.turns import OUTSIDE, passages_of
from services.knowledge.loaders.registry import format_name
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
            safe_text(_searched(base), small=True)
        filters = _filters(turn.settings.get("filters") or {})
        if filters:
            safe_text(_("Only: {filters}", filters=" · ".join(filters)), small=True)
        nearest = passages_of(turn)[:NEAREST]
        if nearest:
            safe_text(_("The nearest passages, which the model found no answer in:"), muted=True, small=True)
        for passage in nearest:
            st.button(
                markdown_text(f"[{passage.number}] {_place(passage.document, passage.page, passage.text)}"),
                key=f"near-{turn.id}-{passage.number}",
                type="tertiary",
                on_click=open_passage,
                args=(turn.id, passage.number),
            )
        outside = turn.settings.get(OUTSIDE, [])
        if outside:
            safe_text(_("Nothing within these filters. The nearest outside of them:"), muted=True, small=True)
        for near in outside:
            safe_text(_place(near["document"], near["page"], near["text"]), muted=True, small=True)
        if not nearest and not outside:
            safe_text(_("No passage came near the question."), muted=True, small=True)


def _place(document: str, page: int | None, text: str) -> str:
    """Where a passage stands, and how it begins."""
    begins = one_line(plain_lines(text, document))
    begins = begins if len(begins) <= SHOWN else begins[:SHOWN] + "…"
    return document + ("" if page is None else _(", page {page}", page=page)) + ": " + begins


def _searched(base: Mapping[str, Any]) -> str:
    name, documents, pending = base.get("name") or "", base.get("documents"), base.get("pending")
    if base.get("left_out"):
        return _("Not searched: {base} has none of the chosen documents", base=name)
    said = (
        _("Searched: {base}", base=name)
        if documents is None
        else ngettext("Searched: {base}, {n} document", "Searched: {base}, {n} documents", documents, base=name)
    )
    if pending:
        said += "; " + ngettext("{n} more is still being read", "{n} more are still being read", pending)
    return said


def _filters(filters: Mapping[str, Any]) -> list[str]:
    documents, types = filters.get("documents") or (), filters.get("types") or ()
    said = [*documents, *map(format_name, types)]
    for field, words in (("since_ms", _("added since {date}")), ("until_ms", _("added before {date}"))):
        moment = filters.get(field)
        if isinstance(moment, int | float):
            said.append(words.format(date=datetime.fromtimestamp(moment / 1000, UTC).date().isoformat()))
    return said
