"""What the check of an answer found, shown quietly: at each sentence, and in a line beneath the answer."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from services.chat.checking.answers import SentenceCheck
from services.chat.checking.verdicts import (
    CONTRADICTS,
    JUDGE,
    NAMES,
    NEGATION,
    NO_SOURCE,
    NOT_FOUND,
    NUMBERS,
    PLACE,
    SUPPORTED,
    SWAPPED,
    UNSURE,
)
from ui.i18n import _, ngettext
from ui.text import html_text

SHOWN = (CONTRADICTS, NOT_FOUND, NO_SOURCE)
"""What is shown at a sentence; a supported one stays as it is, and so does one that cannot be told."""
SENTENCE_LIMIT = 140
_ICONS = {SUPPORTED: "check_circle", CONTRADICTS: "error", NOT_FOUND: "help", NO_SOURCE: "link_off", UNSURE: "pending"}


def words_of(check: SentenceCheck) -> str:
    """What was found for a sentence, as its hover text says it."""
    said = _found(check)
    if check.better is not None:
        said += " " + _("Passage {number} says it.", number=check.better)
    return said


def summary(checks: Sequence[SentenceCheck], answer: str) -> None:
    """One line of what was found; unfolded, each sentence that a reader should look at. Nothing without checks."""
    if html := summary_html(checks, answer):
        st.html(html)


def summary_html(checks: Sequence[SentenceCheck], answer: str) -> str:
    """An icon, a number and a word for each finding, and the sentences behind them; empty without checks."""
    counts = {verdict: sum(check.verdict == verdict for check in checks) for verdict in _ICONS}
    line = [_marked(verdict, _counted(verdict, count)) for verdict, count in counts.items() if count]
    items = "".join(
        f"<li>{_marked(check.verdict, words_of(check))} <q>{html_text(_sentence(answer, check))}</q></li>"
        for check in checks
        if check.verdict in SHOWN
    )
    if not items:
        return f'<div class="lectern-checks"><div class="line">{"".join(line)}</div></div>' if line else ""
    unfold = '<span class="lectern-icon unfold" aria-hidden="true">expand_more</span>'
    told = "".join(line[:-1]) + f"<span>{line[-1]}{unfold}</span>"  # the sign never stands in a line of its own
    return f'<details class="lectern-checks"><summary class="line">{told}</summary><ul>{items}</ul></details>'


def _marked(verdict: str, words: str) -> str:
    icon = f'<span class="lectern-icon" aria-hidden="true">{_ICONS[verdict]}</span>'
    return f'<span class="{verdict}">{icon} {html_text(words)}</span>'


def _sentence(answer: str, check: SentenceCheck) -> str:
    text = " ".join(answer[check.start : check.end].split())
    return text if len(text) <= SENTENCE_LIMIT else text[:SENTENCE_LIMIT] + "…"


def _found(check: SentenceCheck) -> str:
    details = check.details
    if check.verdict == NO_SOURCE:
        return _("No source is named for this sentence.")
    if check.reason == JUDGE:
        return _judged(check.verdict, details["server"])
    if check.reason == NUMBERS:
        listed = ", ".join(details["numbers"])
        if check.verdict == CONTRADICTS:
            return _("The source has other numbers than {numbers}.", numbers=listed)
        return _("Not found in the source: {what}.", what=listed)
    if check.reason == NAMES:
        return _("Not found in the source: {what}.", what=", ".join(details["names"]))
    if check.reason == SWAPPED:
        return _("The source says “{source}” where this says “{said}”.", **details)
    if check.reason == PLACE:
        return _("The source says something else of this than {said}: “{source}”.", **details)
    if check.reason == NEGATION:
        return _("The source says the opposite: “{source}”.", source=details["source"])
    return _("Not found in the source.")


def _judged(verdict: str, server: str) -> str:
    if verdict == CONTRADICTS:
        return _("{server} reads otherwise in the source.", server=server)
    return _("{server} does not find it in the source.", server=server)


def _counted(verdict: str, count: int) -> str:
    if verdict == SUPPORTED:
        return ngettext("{n} sentence supported", "{n} sentences supported", count)
    if verdict == CONTRADICTS:
        return ngettext("{n} contradicts its source", "{n} contradict their source", count)
    if verdict == NOT_FOUND:
        return ngettext("{n} not found in its source", "{n} not found in their source", count)
    if verdict == NO_SOURCE:
        return ngettext("{n} without a source", "{n} without a source", count)
    return ngettext("{n} could not be told", "{n} could not be told", count)
