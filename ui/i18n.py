"""The language of the page: what the reader chose, else what the browser speaks, else English."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

from services.core.i18n import LANGUAGES, N_, language_of, translate, translate_plural
from services.store.preferences import Preferences
from ui.owner import owner_id

__all__ = ["N_", "_", "choose", "clock_time", "language", "ngettext", "settle", "speaking"]

_KEY = "lectern.language"
PREFERENCE = "language"
_spoken: ContextVar[str] = ContextVar("spoken", default="")


def language() -> str:
    """The language that this session is shown in, or the one that `speaking` has settled."""
    return _spoken.get() or str(st.session_state.get(_KEY) or language_of(st.context.locale))


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Settle the language of all messages within.

    For what is shared by readers, and for many messages at a time: to ask the session for each costs more than to
    translate it.
    """
    before = _spoken.set(language)
    try:
        yield
    finally:
        _spoken.reset(before)


def settle(preferences: Preferences) -> None:
    """Look up once per session what the reader chose."""
    if _KEY not in st.session_state:
        chosen = preferences.get(owner_id(), PREFERENCE)
        st.session_state[_KEY] = chosen if chosen in LANGUAGES else language_of(st.context.locale)


def choose(preferences: Preferences, chosen: str) -> None:
    """Show this and every later session of the reader in a language."""
    st.session_state[_KEY] = chosen
    preferences.set(owner_id(), PREFERENCE, chosen)


def _(message: str, /, **params: object) -> str:
    """A message in the reader's language, its `{placeholders}` filled in."""
    return translate(message, language(), **params)


def ngettext(singular: str, plural: str, n: int, **params: object) -> str:
    """The form of a message that goes with the number `n`, in the reader's language."""
    return translate_plural(singular, plural, n, language(), **params)


def clock_time(at_ms: int) -> str:
    """A moment as the reader's clock shows it: 14:32, with the date where it was another day."""
    at, now = _on_the_readers_clock(at_ms)
    return f"{at:%H:%M}" if at.date() == now.date() else f"{at:%Y-%m-%d %H:%M}"


def day_words(at_ms: int) -> str:
    """How long ago a day was, as lists of what one did have it: today, yesterday, this week, or its month."""
    at, now = _on_the_readers_clock(at_ms)
    days = (now.date() - at.date()).days
    if days < 2:
        return _("Yesterday") if days == 1 else _("Today")
    return _("The last 7 days") if days < 7 else f"{at:%Y-%m}"


def _on_the_readers_clock(at_ms: int) -> tuple[datetime, datetime]:
    """A moment, and now."""
    try:
        zone = ZoneInfo(st.context.timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        zone = ZoneInfo("UTC")
    return datetime.fromtimestamp(at_ms / 1000, zone), datetime.now(zone)
