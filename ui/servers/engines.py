"""The engines that have environments of their own: whether they are installed, installing one, and how far that is."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from services.app import Services
from services.core.i18n import N_
from services.serving.engines.registry import ENGINES
from services.serving.installs import Install
from ui import errors, i18n
from ui.i18n import _, ngettext
from ui.widgets import progress_row, remark, row, safe_text

POLL_S = 1.0
NAMES = {
    **{engine.environment: engine.name for engine in ENGINES.values() if engine.environment},
    "ocr": N_("text recognition (OCR)"),
}
SMALL = ("ocr",)
USES = {
    "embeddings": N_("finds passages with an embedder of your choice, and puts them in order with a reranker"),
    "ocr": N_("reads scanned pages and pictures, English and Chinese"),
    "transformers": N_("chat models of any kind, as they come from a hub; slower than vLLM"),
    "vllm": N_("chat models for many people at once, on NVIDIA GPUs"),
}


def dialog(services: Services) -> None:
    """Open the list of engines; it refreshes while it stands open."""

    @st.dialog(_("Engines"), width="large", on_dismiss="rerun")  # the rerun ends the refreshing
    def show() -> None:
        safe_text(_("What is not listed here needs no installing by Lectern."), muted=True)
        st.fragment(run_every=POLL_S)(_list)(services)

    show()


def offer(services: Services, environment: str) -> None:
    """An engine that a server lacks: the button that installs it, its progress; then the page is drawn anew."""
    state = services.installs.show(environment).state
    st.fragment(run_every=POLL_S if state in ("queued", "installing") else None)(_offer)(services, environment, state)


def row_of(services: Services, environment: str, place: str) -> None:
    """The same where the caller refreshes.

    Args:
        place: tells its buttons from those of other rows.
    """
    _engine(services, services.installs.show(environment), place)


def _list(services: Services) -> None:
    with errors.shown():
        for found in services.installs.list():
            _engine(services, found)


def _offer(services: Services, environment: str, before: str) -> None:
    with errors.shown():
        found = services.installs.show(environment)
        if found.state != before:
            st.rerun()
        _engine(services, found)


def _engine(services: Services, found: Install, place: str = "") -> None:
    name = found.environment.name
    count = ngettext("{n} package", "{n} packages", found.environment.packages)
    size = None if found.state == "ready" or name in SMALL else _("several gigabytes")
    use = _(USES[name]) if name in USES else None
    with row(_(NAMES.get(name, name)), [use, count, size], found.state) as beneath:
        if found.active:
            _button(_("Cancel"), "cancel", services.installs.cancel, name, place)
        elif found.state != "ready":
            _button(_("Install"), "download", services.installs.wish, name, place)
    with beneath:
        if found.state == "installing":
            whole = found.total is not None and found.done >= found.total
            label = _("Installing the packages; this takes minutes") if whole else found.package or _("Beginning")
            progress_row(label, found.done, found.total, _("packages"))
        if found.error:
            remark(found.error.render(i18n.language()))


def _button(label: str, icon: str, action: Callable[[str], Install], name: str, place: str) -> None:
    key = f"word-{icon}-{name}-{place}"
    st.button(label, key=key, icon=f":material/{icon}:", on_click=errors.attempt, args=(action, name))
