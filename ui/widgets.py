"""Small pieces that pages are made of. Each takes plain text and shows it as text, whatever stands in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import streamlit as st

from services.core.errors import Rendered
from services.core.phrases import STATE_WORDS
from services.core.units import UNKNOWN, milliseconds_text
from ui.i18n import _
from ui.text import html_text, markdown_text

READY, WORKING, FAILED, STOPPED = "ready", "working", "failed", "stopped"
ICONS = {READY: "check_circle", WORKING: "pending", FAILED: "error", STOPPED: "stop_circle"}
OWN_ICONS = {"warning": "warning", "fits_changed": "tune", "does_not_fit": "block"}
"""Icons of states that have another one than their look."""

LOOKS = {
    READY: ("ready", "running", "fits", "valid"),
    WORKING: (
        *("indexing", "queued", "reading", "splitting", "embedding"),
        *("waiting", "starting", "stopping", "downloading", "installing", "deleting", "warning", "fits_changed"),
    ),
    FAILED: ("failed", "unreachable", "interrupted", "critical", "broken"),
    STOPPED: (
        *("empty", "stopped", "cancelled", "paused", "does_not_fit"),
        *("not_installed", "unfinished", "outdated", "revoked"),
    ),
}
STATES = {state: (look, STATE_WORDS[state]) for look, states in LOOKS.items() for state in states}
"""What each state looks like and is called; the words are the same on every page."""


@dataclass(frozen=True, slots=True)
class Card:
    """One figure with its name; `value` None reads "n/a". A state makes a badge of the value."""

    label: str
    value: str | int | None
    note: str = ""
    state: str = ""


class Code(str):
    """A model id, a path or an address among facts: it stands in the code font."""


def safe_text(text: object, *, muted: bool = False, small: bool = False) -> None:
    """Show text as it stands, keeping its line breaks: document text, model output, names."""
    classes = "lectern-text" + (" lectern-muted" if muted else "") + (" lectern-small" if small else "")
    st.html(f'<div class="{classes}">{html_text(text)}</div>')


def mono(text: object) -> None:
    """Show a model id, a path or a command in the code font."""
    st.html(f'<span class="lectern-mono">{html_text(text)}</span>')


def state_html(state: str) -> str:
    """A state as icon, word and colour, for HTML: ready green, working amber, failed red, stopped grey.

    An unknown state is shown grey under its own name.
    """
    look, word = STATES.get(state, (STOPPED, state))
    icon = f'<span class="lectern-icon" aria-hidden="true">{OWN_ICONS.get(state, ICONS[look])}</span>'
    return f'<span class="lectern-badge {look}">{icon}{html_text(_(word))}</span>'


def cards(figures: Iterable[Card]) -> None:
    """Show figures as cards in a grid that fills the width."""
    st.html(f'<div class="lectern-cards">{"".join(map(_card_html, figures))}</div>')


def facts_line(*facts: object) -> None:
    """Show one grey line of facts; None and empty ones are left out."""
    st.html(_facts_html(facts))


def remark(rendered: Rendered) -> None:
    """Say beneath a thing what is not well with it, and what to do."""
    st.html(
        '<div class="lectern-remark"><span class="lectern-icon" aria-hidden="true">error</span>'
        f'<div><span class="message">{html_text(rendered.message)}</span> '
        f'<span class="remedy">{html_text(rendered.remedy)}</span></div></div>'
    )


@contextmanager
def row(name: str, facts: Sequence[object] = (), state: str = "", *, code: bool = False) -> Iterator[Any]:
    """A bordered row for a thing with actions: name, facts, state; what is drawn inside stands at its right end.

    Args:
        code: whether the name is a model id or a path, and stands in the code font.

    Yields the place beneath them, for what else is to say about the thing.
    """
    box, named = st.container(border=True, gap="xsmall"), "name lectern-mono" if code else "name"
    with box, st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.html(
            f'<div class="lectern-row"><span class="{named}">{html_text(name)}</span>{_facts_html(facts)}</div>',
            width="stretch",
        )
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="right", width="content"):
            if state:
                st.html(state_html(state), width="content")
            yield box


def icon_button(label: str, icon: str, *, key: str, **options: Any) -> bool:
    """A button that shows only its icon; the label is its name and its hover text."""
    words = markdown_text(label)
    return st.button(words, icon=icon, key=f"icon-{key}", help=words, type="tertiary", **options)


def beside_title() -> Any:
    """A place for buttons that concern the whole page: beside its title, or beneath it on narrow screens."""
    return st.container(key="lectern-head", horizontal=True, vertical_alignment="center")


def empty_state(title: str, text: str, button: str = "", *, key: str) -> bool:
    """Teach the next step where there is nothing yet; True when its one button was pressed."""
    with st.container(border=True, key=f"lectern-empty-{key}", horizontal_alignment="center"):
        st.html(
            f'<div class="lectern-empty"><div class="title">{html_text(title)}</div>'
            f'<div class="text">{html_text(text)}</div></div>'
        )
        return bool(button) and st.button(button, type="primary", key=f"{key}-button")


def progress_row(
    label: str,
    done: int | None,
    total: int | None,
    unit: str,
    rate: float | None = None,
    remaining_ms: float | None = None,
) -> None:
    """Show long work: a bar, a count, a rate per second and the time that remains.

    Args:
        unit: what is counted, in the reader's language ("files", "chunks", "MiB").
        rate: counted units per second.
    """
    figures = [f"{_number(done)} / {_number(total)} {unit}"]
    if rate is not None:
        figures.append(_("{rate} {unit}/s", rate=f"{rate:.1f}", unit=unit))
    if remaining_ms is not None:
        figures.append(_("{time} left", time=milliseconds_text(remaining_ms)))
    value = f' value="{min(done, total)}" max="{total}"' if done is not None and total else ""
    st.html(
        f'<div class="lectern-progress"><div class="line"><span>{html_text(label)}</span>'
        f'<span class="lectern-muted">{html_text(" · ".join(figures))}</span></div>'
        f'<progress aria-label="{html_text(label)}"{value}></progress></div>'
    )


def _number(count: int | None) -> str:
    return UNKNOWN if count is None else f"{count:,}"


def _facts_html(facts: Sequence[object]) -> str:
    present = " · ".join(_fact_html(fact) for fact in facts if fact not in (None, ""))
    return f'<div class="lectern-facts">{present}</div>' if present else ""


def _fact_html(fact: object) -> str:
    told = html_text(fact)
    return f'<span class="lectern-mono">{told}</span>' if isinstance(fact, Code) else told


def _card_html(card: Card) -> str:
    text = card.value if isinstance(card.value, str) else _number(card.value)
    value = state_html(card.state) if card.state else html_text(text)
    word = " word" if card.state or not text[:1].isdigit() else ""
    note = f'<span class="lectern-facts">{html_text(card.note)}</span>' if card.note else ""
    return (
        f'<div class="lectern-card"><span class="label">{html_text(card.label)}</span>'
        f'<span class="value{word}">{value}</span>{note}</div>'
    )
