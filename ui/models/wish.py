"""Asking for a model: where from, which one, which of its files; and where models are looked for and loaded from."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from services.app import Services
from services.core.units import bytes_text
from services.hub.downloads import DownloadWish, Offer
from services.hub.sources.registry import HUBS, PLACES
from services.store.product import ProductSettings
from ui import errors
from ui.i18n import _, ngettext
from ui.widgets import safe_text

LOOKED = "models.looked"
ADDRESSES = {hub: f"{hub.replace('-', '_')}_endpoint" for hub in HUBS}
"""The product setting that holds the address of each hub."""
EXAMPLE, OLLAMA_EXAMPLE = "Qwen/Qwen3-8B", "qwen3:8b"


def wish_dialog(services: Services, repository: str = "", hub: str = "hf", files: Sequence[str] = ()) -> None:
    """Ask which model is to be brought here."""

    @st.dialog(_("Download a model"))
    def ask() -> None:
        with errors.shown():
            places = {key: _(PLACES[key]) for key in HUBS}
            chosen = st.selectbox(_("From"), HUBS, index=HUBS.index(hub), format_func=places.__getitem__)
            example = OLLAMA_EXAMPLE if chosen == "ollama" else EXAMPLE
            name = st.text_input(_("Model"), repository, placeholder=example)
            pattern = revision = ""
            if chosen != "ollama":
                pattern = st.text_input(
                    _("Files"),
                    ", ".join(files),
                    placeholder="*Q5_K_M*",
                    help=_("Names or patterns, separated by commas. Empty: one quantisation, and weights only once."),
                )
                revision = st.text_input(_("Revision"), help=_("A branch, tag or commit; empty: the newest."))
            with st.container(horizontal=True):
                get = st.button(_("Download"), type="primary", key="wish-confirmed")
                look = chosen != "ollama" and st.button(_("Show files and sizes"), key="wish-look")
            if get or look:
                patterns = tuple(part.strip() for part in pattern.split(",") if part.strip())
                wish = DownloadWish(chosen, name.strip(), revision.strip() or None, patterns)
                if get:
                    services.downloads.wish(wish)
                    st.rerun()
                with st.spinner(_("Asking {place}…", place=places[chosen])):
                    _offer(services.downloads.offer(wish))

    ask()


def sources_dialog(services: Services) -> None:
    """Ask for folders, addresses and access tokens."""

    @st.dialog(_("Sources of models"), width="large")
    def ask() -> None:
        with errors.shown(), st.form("model-sources", border=False):
            now, tokens = services.product, services.downloads.tokens
            folders = st.text_area(
                _("Folders"),
                "\n".join(now.model_folders),
                help=_("Whole paths, one a line. What other tools keep in their usual places is found anyway."),
            )
            chosen, given = {}, {}
            for hub in HUBS:
                left, right = st.columns(2, gap="medium")
                setting, place = ADDRESSES[hub], _(PLACES[hub])
                chosen[setting] = left.text_input(_("Address: {place}", place=place), getattr(now, setting))
                if hub != "ollama":
                    given[hub] = right.text_input(
                        _("Access token: {place}", place=place),
                        type="password",
                        placeholder=_("stored") if tokens.get(hub) else _("none"),
                        help=_("For gated and private models. It is kept where only its owner may read it."),
                    )
            forget = st.checkbox(_("Forget the stored tokens")) if any(map(tokens.get, given)) else False
            if st.form_submit_button(_("Save"), type="primary"):
                defaults = {key: ProductSettings.model_fields[key].default for key in chosen}
                addresses = {key: value.strip() or defaults[key] for key, value in chosen.items()}
                services.choose(model_folders=folders.splitlines(), **addresses)
                for hub, token in given.items():
                    if token or forget:
                        tokens.keep(hub, token)
                st.rerun()

    ask()


def _offer(offer: Offer | None) -> None:
    if offer is None:
        return
    count = ngettext("{n} file", "{n} files", len(offer.chosen))
    size, free = bytes_text(offer.bytes), bytes_text(offer.free_bytes)
    safe_text(_("{files}, {size} together; {free} of the disk are free.", files=count, size=size, free=free))
    lines = [f"{bytes_text(file.bytes):>10}  {file.path}" for file in offer.chosen]
    st.code("\n".join(lines), language=None, height=200 if len(lines) > 8 else "content")
    if len(offer.quantisations) > 1:
        others = ", ".join(f"{name} ({bytes_text(size)})" for name, size in sorted(offer.quantisations.items()))
        safe_text(_("It comes in several quantisations; choose another one under Files: {names}.", names=others))
