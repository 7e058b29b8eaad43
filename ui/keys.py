"""Keys of the HTTP API on the page: made, shown once, revoked, with what each was used for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import streamlit as st

from services.app import Services
from services.core.i18n import N_
from services.core.units import UNKNOWN
from services.store.api_keys import ANYBODY, CHAT, MANAGE, SCOPES, SEARCH, KeyRecord, Use
from ui import errors
from ui.api_snippets import address
from ui.i18n import _, clock_time, ngettext
from ui.owner import owner_id
from ui.widgets import icon_button, mono, row, safe_text

DAYS = 30
RIGHTS = {
    CHAT: N_("chat: ask models and knowledge bases"),
    SEARCH: N_("search: search knowledge bases"),
    MANAGE: N_("manage: make, fill and delete knowledge bases"),
}


def section(services: Services) -> None:
    """The keys that there are, and what making the first one changes."""
    with errors.shown():
        keys = services.store.keys.all()
        since = (datetime.now(UTC) - timedelta(days=DAYS)).strftime("%Y-%m-%d")
        used = services.store.keys.used(since)
        safe_text(_("Programs reach this installation at {url}.", url=address()), muted=True)
        if not keys:
            safe_text(_("No key yet: on this machine any word will do. From the first key on, only valid ones."))
        for key in keys:
            _key_row(services, key, used.get(key.id, Use()))
        if ANYBODY in used:
            safe_text(_("Without a key: {use}", use=" · ".join(_use(used[ANYBODY]))), muted=True, small=True)
        if st.button(_("New key"), icon=":material/key:"):
            _make(services)


def _key_row(services: Services, key: KeyRecord, use: Use) -> None:
    last = _("last used {time}", time=clock_time(key.last_used_at_ms)) if key.last_used_at_ms else _("never used")
    state = "revoked" if key.revoked_at_ms else "valid"
    reach = _("reaches the conversations of who made it") if key.owner_id else ""
    with row(key.name, [f"{key.beginning}…", ", ".join(key.scopes), reach, last, *_use(use)], state):
        label = _("Revoke {name}", name=key.name)
        if not key.revoked_at_ms and icon_button(label, ":material/block:", key=f"revoke-{key.id}"):
            _confirm(services, key)


def _use(use: Use) -> list[str]:
    """What was done in the last days; tokens that nobody told are unknown, not none."""
    if not use.requests:
        return []
    prompt, completion = use.known(use.prompt_tokens), use.known(use.completion_tokens)
    tokens = _("{read} tokens read, {written} written", read=_count(prompt), written=_count(completion))
    return [ngettext("{n} request in 30 days", "{n} requests in 30 days", use.requests), tokens]


def _count(tokens: int | None) -> str:
    return UNKNOWN if tokens is None else f"{tokens:,}"


def _make(services: Services) -> None:
    @st.dialog(_("New API key"))
    def ask() -> None:
        with errors.shown():
            place = st.empty()
            with place.container(), st.form("new-key", border=False):
                name = st.text_input(_("Name"), max_chars=60, placeholder=_("for example: the program that uses it"))
                chosen = [scope for scope in SCOPES if st.checkbox(_(RIGHTS[scope]), scope == CHAT, key=f"may-{scope}")]
                mine = st.checkbox(
                    _("It reaches my conversations"),
                    help=_("With the right to chat it then reads and goes on with the conversations of this browser."),
                    key="may-reach-mine",
                )
                made = st.form_submit_button(_("Create"), type="primary")
            if made:
                record, key = services.store.keys.create(name, chosen, owner_id() if mine else None)
                with place.container():
                    _shown_once(record.name, key)

    ask()


def _shown_once(name: str, key: str) -> None:
    safe_text(_("The key “{name}”. This is the only time that it is shown: keep it in a safe place.", name=name))
    st.code(key, language=None, wrap_lines=True)
    if st.button(_("I have kept it"), type="primary"):
        st.rerun()


def _confirm(services: Services, key: KeyRecord) -> None:
    @st.dialog(_("Revoke this key?"))
    def ask() -> None:
        with errors.shown():
            mono(f"{key.name} {key.beginning}…")
            safe_text(_("Programs that use it are refused at once. This cannot be undone."), muted=True)
            if st.button(_("Revoke"), type="primary"):
                services.store.keys.revoke(key.id)
                st.rerun()

    ask()
