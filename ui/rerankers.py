"""Which server puts passages in order: chosen on the Settings page."""

from __future__ import annotations

import streamlit as st

from services.app import Services
from services.core.phrases import state_word
from services.store.servers import ServerRecord
from ui.i18n import _, language
from ui.widgets import safe_text


def choose(services: Services) -> str:
    """Let the reader choose; the name of the server, empty for none."""
    now = services.product.reranker
    rows = {row.name: row for row in services.rerankers.offered()}
    gone = bool(now) and services.rerankers.named(now) is None
    names = list(dict.fromkeys(["", *rows, now]))
    chosen = st.selectbox(
        _("Reranker"),
        names,
        names.index(now),
        format_func=lambda name: _title(name, rows.get(name), gone and name == now),
        help=_(
            "It reads the question together with each of the best passages and puts them in a better order. It takes "
            "time for each question. A server that you choose is asked once before it is saved."
        ),
    )
    if gone:
        text = _(
            "There is no server named “{name}” any more: nothing is reranked. Choose another one, or none.", name=now
        )
        safe_text(text, small=True)
    elif not rows:
        text = _(
            "No server here can rerank yet. Start one with a reranker such as {model} (engine “embeddings”, or "
            "“llama.cpp” with a GGUF file and reranking switched on), or add one by its address.",
            model="BAAI/bge-reranker-v2-m3",
        )
        safe_text(text, muted=True, small=True)
    return chosen


def _title(name: str, row: ServerRecord | None, gone: bool) -> str:
    if not name:
        return _("none")
    if gone:
        return _("{name} (there is no such server any more)", name=name)
    facts = (row.model, state_word(row.state, language())) if row else ()
    return " · ".join(part for part in (name, *facts) if part)
