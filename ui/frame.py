"""The frame around every page: title, menu, language, the worker's state, and errors shown as message and remedy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from services import __version__
from services.app import Services
from services.core.errors import AppError
from services.core.i18n import LANGUAGES, N_
from services.health import WorkerStatus, worker_status
from ui import errors, i18n, wiring
from ui.i18n import _
from ui.text import html_text

ROOT = Path(__file__).resolve().parent.parent
ICON = ROOT / "static" / "icon.svg"
STYLE = Path(__file__).with_name("style.css")
WORKER_POLL_S = 5.0


@dataclass(frozen=True, slots=True)
class Entry:
    """A page in the menu; it is shown when its file exists."""

    path: str
    title: str
    icon: str


MENU: tuple[tuple[str, tuple[Entry, ...]], ...] = (
    (
        N_("Use"),
        (
            Entry("Home.py", N_("Home"), ":material/home:"),
            Entry("pages/1_Chat.py", N_("Chat"), ":material/forum:"),
            Entry("pages/2_Knowledge.py", N_("Knowledge"), ":material/library_books:"),
            Entry("pages/3_Retrieval_lab.py", N_("Retrieval lab"), ":material/science:"),
        ),
    ),
    (
        N_("Operate"),
        (
            Entry("pages/4_Servers.py", N_("Servers"), ":material/dns:"),
            Entry("pages/5_Models.py", N_("Models"), ":material/deployed_code:"),
            Entry("pages/6_GPUs.py", N_("GPUs"), ":material/memory:"),
            Entry("pages/7_Settings.py", N_("Settings"), ":material/settings:"),
        ),
    ),
)


@contextmanager
def page(title: str) -> Iterator[Services]:
    """Draw the frame of a page and hand it the services; each page begins `with page(N_("Servers")) as services:`."""
    try:
        services = wiring.services()
    except AppError as error:
        st.html(STYLE)
        errors.show(error)
        st.stop()
    i18n.settle(services.preferences)
    with i18n.speaking(i18n.language()):
        st.set_page_config(
            page_title=f"{_(title)} · Lectern",
            page_icon=str(ICON),
            layout="wide",
            menu_items={"About": f"**Lectern** {__version__}"},
        )
        st.html(STYLE)
        # Streamlit tells its theme only to the page itself, and dialogs lie outside of it.
        st.html(f"<style>:root {{ color-scheme: {st.context.theme.type or 'light dark'}; }}</style>")
        _sidebar(services)
        st.title(_(title), anchor=False)
        errors.show_remembered()
        with errors.shown():
            _worker_notice(services)
            yield services


def _sidebar(services: Services) -> None:
    with st.sidebar:
        st.html('<div class="lectern-brand"><img src="./app/static/icon.svg" alt=""><span>Lectern</span></div>')
        for group, entries in MENU:
            present = [entry for entry in entries if (ROOT / entry.path).exists()]
            if present:
                st.html(f'<div class="lectern-group">{html_text(_(group))}</div>')
            for entry in present:
                st.page_link(entry.path, label=_(entry.title), icon=entry.icon, width="stretch")
        with st.container(key="lectern-foot"):
            _language_picker(services)


def _language_picker(services: Services) -> None:
    key, languages = "lectern.picked_language", list(LANGUAGES)

    def picked() -> None:
        errors.attempt(i18n.choose, services.preferences, st.session_state[key])

    st.selectbox(
        _("Language"),
        languages,
        index=languages.index(i18n.language()),
        format_func=LANGUAGES.__getitem__,
        key=key,
        on_change=picked,
        label_visibility="collapsed",
    )


def _worker_notice(services: Services) -> None:
    worker = worker_status(services)
    if not worker.running:
        _worker_missing(services, worker)


@st.fragment(run_every=WORKER_POLL_S)
def _worker_missing(services: Services, at_first: WorkerStatus) -> None:
    with errors.shown():
        if worker_status(services).running:
            st.rerun()
        if at_first.since_ms is None:
            text = _("The background worker is not running: what you add waits until it is started.")
        else:
            since = i18n.clock_time(at_first.since_ms)
            text = _("Worker not running since {since}: what you add waits until it is started.", since=since)
        st.html(
            '<div class="lectern-notice" role="status">'
            f'<span class="lectern-icon" aria-hidden="true">pause_circle</span><span>{html_text(text)}</span></div>'
        )
