"""The time that an answer took, step by step, as bars on one scale."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from services.core.i18n import N_
from services.core.units import milliseconds_text
from services.store.conversations import TurnRecord
from ui.i18n import _
from ui.text import html_text

STEPS = {
    "queue": N_("waiting for a turn"),
    "rewrite": N_("rewriting the question"),
    "embed": N_("embedding the question"),
    "dense": N_("dense search"),
    "lexical": N_("lexical search"),
    "fuse": N_("fusing"),
    "rerank": N_("reranking"),
    "fit": N_("making the prompt"),
    "first_token": N_("reading the prompt"),
    "generate": N_("writing the answer"),
    "check": N_("checking the sources"),
    "doubt": N_("asking the model for doubts"),
    "judge": N_("asking the judge"),
}
"""In the order in which they happen, one after the other."""
LEAST_MS = 0.5
"""What takes less is written as 0 ms, and is left out."""


def waterfall_html(timings_ms: Mapping[str, float], completion_tokens: int | None) -> str:
    """Bars from 0 to the whole time; steps that took no time are left out. Empty where nothing was measured."""
    taken = {step: timings_ms[step] for step in STEPS if timings_ms.get(step, 0.0) >= LEAST_MS}
    whole = max(timings_ms.get("total", 0.0), sum(taken.values()))
    if not taken or not whole:
        return ""
    rows, begin = [], 0.0
    for step, length in taken.items():
        figure = milliseconds_text(length)
        if step == "generate" and completion_tokens:
            figure += " · " + _("{rate} tokens/s", rate=f"{completion_tokens / length * 1000:.1f}")
        left, width = 100 * begin / whole, max(100 * length / whole, 0.5)
        rows.append(
            f'<tr><th scope="row">{html_text(_(STEPS[step]))}</th><td><span class="track">'
            f'<span class="bar {step}" style="left:{min(left, 99.5):.2f}%;width:{width:.2f}%"></span></span></td>'
            f'<td class="figure">{html_text(figure)}</td></tr>'
        )
        begin += length
    total = f'<tr><th scope="row">{html_text(_("together"))}</th><td></td><td class="figure">'
    total += f"{html_text(milliseconds_text(whole))}</td></tr>"
    return f'<table class="lectern-waterfall"><tbody>{"".join(rows)}{total}</tbody></table>'


def timing(turn: TurnRecord) -> None:
    """A button that opens the bars of a turn; nothing where nothing was measured."""
    bars = waterfall_html(turn.timings_ms, turn.completion_tokens)
    if bars:
        with st.popover(_("Timing"), icon=":material/timer:", type="tertiary", key=f"narrow-timing-{turn.id}"):
            st.html(bars)
