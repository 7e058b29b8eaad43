"""The catalogue on the page: models to start from, what each would take, and bringing one here."""

from __future__ import annotations

import streamlit as st

from services.app import Services
from services.core.units import bytes_text
from services.hub.catalogue import Entry, catalogue
from services.hub.local_models_fit import of_entry
from ui.i18n import _
from ui.models import wish
from ui.models.rows import BADGES, USES, Room, size_text
from ui.widgets import row, safe_text

PAGE_SIZE = 8
ORDER = ("fits", "changed", "unknown", "no")


def catalogue_list(services: Services, free: Room) -> None:
    """The catalogue with its filter."""
    st.subheader(_("To start from"), anchor=False)
    explained = _("What would run with the memory that is free now, by the rule of thumb: parameters × bits ÷ 8.")
    lacking = "" if free[0] else _("Those without a mark want a GPU, and there is none here.")
    safe_text(f"{explained} {lacking}", muted=True)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        wanted = st.text_input(
            _("Find in the catalogue"),
            key="catalogue.filter",
            placeholder=_("part of a name"),
            label_visibility="collapsed",
        )
        uses = {"": _("All"), **{use: _(word) for use, word in USES.items()}}
        use = st.segmented_control(
            _("Use"),
            list(uses),
            format_func=uses.__getitem__,
            default="",
            key="catalogue.use",
            label_visibility="collapsed",
            required=True,
        )
    found = [
        entry
        for entry in catalogue(services.settings.home).models
        if wanted.casefold() in entry.repository.casefold() and use in ("", entry.use)
    ]
    found.sort(key=lambda entry: ORDER.index(of_entry(entry, *free).verdict))
    pages = max(1, -(-len(found) // PAGE_SIZE))
    page = st.pagination(pages, key=f"catalogue.page.{wanted}.{use}") if pages > 1 else 1
    with st.container(gap="xsmall", key="lectern-catalogue"):
        for entry in found[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]:
            _entry(services, entry, free)
    if not found:
        safe_text(_("Nothing in the catalogue has this in its name."), muted=True)


def _entry(services: Services, entry: Entry, free: Room) -> None:
    facts = [
        _(USES[entry.use]),
        size_text(entry.billions * 1e9),
        _("{bits} bits", bits=f"{entry.bits:g}"),
        entry.format,
        _("{tokens} tokens of context", tokens=f"{entry.context:,}"),
        _("about {size}", size=bytes_text(entry.bytes)),
        entry.licence,
    ]
    with row(entry.repository, facts, BADGES[of_entry(entry, *free).verdict], code=True):
        if st.button(_("Download"), key=f"word-get-{entry.repository}", icon=":material/download:"):
            wish.wish_dialog(services, entry.repository, entry.hub, entry.files)
