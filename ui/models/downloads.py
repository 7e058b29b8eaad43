"""Downloads on the page: a bar, an amount, a rate, a remaining time; pause, go on, cancel."""

from __future__ import annotations

from typing import Any

import streamlit as st

from services.app import Services
from services.core.units import MIB, bytes_text
from services.hub.downloads import Download, active
from services.hub.sources.registry import PLACES
from ui import errors, i18n
from ui.i18n import _
from ui.widgets import icon_button, progress_row, remark, row, safe_text

POLL_S = 1.0


def download_list(services: Services) -> None:
    """What is on its way, rests or has failed; it refreshes by itself while something is on its way."""
    now = _shown(services)
    if now:
        st.subheader(_("Downloads"), anchor=False)
        st.fragment(run_every=POLL_S if active(now) else None)(_list)(services, _states(now))


def _shown(services: Services) -> list[Download]:
    return [one for one in services.downloads.list() if one.state != "ready"]


def _states(downloads: list[Download]) -> list[tuple[str, str]]:
    return [(one.id, one.state) for one in downloads]


def _list(services: Services, before: list[tuple[str, str]]) -> None:
    with errors.shown():
        downloads = _shown(services)
        if _states(downloads) != before:
            st.rerun()
        with st.container(gap="xsmall", key="lectern-downloads"):
            for download in downloads:
                _download(services, download)


def _download(services: Services, download: Download) -> None:
    wish, step = download.wish, download.step
    number = _("file {number} of {total}", number=step.number, total=step.of) if step.number else None
    facts = [_(PLACES[wish.hub]), wish.revision, ", ".join(wish.files), number]
    with row(wish.repository, facts, download.state, code=True) as beneath:
        if download.state in ("queued", "downloading"):
            _button(_("Pause"), "pause_circle", services.downloads.pause, download)
        else:
            _button(_("Go on"), "play_circle", services.downloads.resume, download)
        if download.state in ("queued", "downloading", "paused"):
            _button(_("Cancel"), "cancel", services.downloads.cancel, download)
        elif icon_button(_("Remove {name}", name=wish.repository), ":material/delete:", key=f"forget-{download.id}"):
            _confirm(services, download)
    with beneath:
        if download.state == "downloading":
            _progress(download)
        elif download.kept_bytes:
            safe_text(_("{size} of it are kept.", size=bytes_text(download.kept_bytes)), muted=True, small=True)
        if download.error:
            remark(download.error.render(i18n.language()))


def _button(label: str, icon: str, action: Any, download: Download) -> None:
    key = f"word-{icon}-{download.id}"
    st.button(label, key=key, icon=f":material/{icon}:", on_click=errors.attempt, args=(action, download.id))


def _progress(download: Download) -> None:
    step = download.step
    total = download.total // MIB if download.total is not None else None
    rate = step.rate / MIB if step.rate else None
    label = step.file or _("Asking what there is")
    if step.file_total and step.file_done is not None and step.of > 1:
        label = _("{file} · {percent} %", file=step.file, percent=100 * step.file_done // step.file_total)
    progress_row(label, download.done // MIB, total, "MiB", rate, download.remaining_ms)


def _confirm(services: Services, download: Download) -> None:
    @st.dialog(_("Remove this download?"))
    def ask() -> None:
        with errors.shown():
            safe_text(download.wish.repository)
            kept = bytes_text(download.kept_bytes)
            safe_text(_("What was loaded of it ({size}) is deleted.", size=kept), muted=True)
            if st.button(_("Remove"), type="primary", key="forget-confirmed"):
                services.downloads.forget(download.id)
                st.rerun()

    ask()
