"""Settings on the page: the product's, which can be changed, and the process's, with where each came from."""

from __future__ import annotations

from typing import Any

import streamlit as st

from services.app import Services
from services.core.i18n import N_
from services.core.units import bytes_text
from services.store.product import ProductSettings
from ui import errors, rerankers
from ui.chat.servers import chat_servers
from ui.i18n import _
from ui.text import html_text
from ui.widgets import safe_text

LABELS = {
    "top_k": N_("Passages to search for"),
    "passage_tokens": N_("Most passage tokens (0: by the server)"),
    "answer_tokens": N_("Most answer tokens"),
    "temperature": N_("Temperature"),
    "chunk_size": N_("Chunk size, characters"),
    "chunk_overlap": N_("Chunk overlap, characters"),
}
ORIGINS = {
    "argument": N_("argument"),
    "environment": N_("environment"),
    "file": N_("file settings.toml"),
    "default": N_("default"),
}
BOUNDS: dict[str, tuple[float, float, float]] = {
    "top_k": (1, 100, 1),
    "passage_tokens": (0, 100_000, 100),
    "answer_tokens": (16, 8192, 16),
    "temperature": (0.0, 2.0, 0.1),
    "chunk_size": (50, 20_000, 50),
    "chunk_overlap": (0, 10_000, 10),
}


def product_form(services: Services) -> None:
    """What can be changed about search, answers and new knowledge bases while Lectern runs."""
    now = services.product
    with errors.shown(), st.form("product-settings"):
        chosen: dict[str, Any] = {}
        for number, (name, (low, high, step)) in enumerate(BOUNDS.items()):
            kind = type(getattr(now, name))
            if number % 2 == 0:
                columns = st.columns(2, gap="medium", vertical_alignment="bottom")
            with columns[number % 2]:
                chosen[name] = st.number_input(
                    _(LABELS[name]),
                    kind(low),
                    kind(high),
                    getattr(now, name),
                    step=kind(step),
                    help=_(str(ProductSettings.model_fields[name].description)),
                )
        left, right = st.columns(2, gap="medium")
        with left:
            chosen["reranker"] = rerankers.choose(services)
        with right:
            chosen["judge"] = _judge_field(services)
        with st.container(horizontal=True):
            saved = st.form_submit_button(_("Save"), type="primary")
            reset = st.form_submit_button(_("Back to the defaults"))
        if saved:
            services.choose(**chosen)
            st.toast(_("Saved."), icon=":material/check:")
        if reset:
            services.choose(**dict.fromkeys((*BOUNDS, "reranker", "judge")))
            st.rerun()


def _judge_field(services: Services) -> str:
    """Which chat server judges citations; empty: none."""
    names = {record.id: record.name for record in chat_servers(services)}
    now = services.product.judge
    if now and now not in names:
        safe_text(_("The server that was chosen as judge is gone. Choose another one, or none."))
    return st.selectbox(
        _("Judge of citations"),
        ["", *names],
        index=["", *names].index(now) if now in names else 0,
        format_func=lambda server_id: names.get(server_id) or _("none: rules only"),
        help=_(str(ProductSettings.model_fields["judge"].description)),
    )


def process_table(services: Services) -> None:
    """What was decided before the start, and where; each setting is a block of its own where it is narrow."""
    settings = services.settings
    head = "".join(f"<th>{html_text(word)}</th>" for word in (_("Setting"), _("Value"), _("Set by"), _("Meaning")))
    rows = "".join(
        _row(name, getattr(settings, name), settings.origins.get(name, "default"), str(field.description))
        for name, field in type(settings).model_fields.items()
    )
    st.html(f'<table class="lectern-settings"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>')
    path = settings.home / "settings.toml"
    safe_text(_("Change them in {path} or as LECTERN_… in the environment, then start again.", path=path), muted=True)


def _row(name: str, value: object, origin: str, meaning: str) -> str:
    return (
        f'<tr><th class="lectern-mono">{html_text(name)}</th>'
        f"<td>{html_text(_value(name, value))}</td>"
        f'<td class="origin">{html_text(_(ORIGINS[origin]))}</td>'
        f'<td class="meaning">{html_text(_(meaning))}</td></tr>'
    )


def _value(name: str, value: object) -> str:
    """A value as it is written in the file, with what it means for people."""
    if isinstance(value, bool):
        return str(value).lower()
    if name.endswith("_bytes") and isinstance(value, int):
        return f"{value} ({bytes_text(value)})"
    return f"{value} s" if name.endswith("_s") else str(value) or _("empty")
