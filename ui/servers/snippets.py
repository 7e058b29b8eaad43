"""How a program asks a server: through Lectern's API, or straight at the server's own address."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from services.api.served import SERVER, embeds
from services.serving.purposes import makes_text
from services.store.servers import ServerRecord
from ui import api_snippets, errors
from ui.api_snippets import KEY
from ui.i18n import _
from ui.widgets import safe_text

QUESTION = "Good morning"
LECTERN, DIRECT = "lectern", "direct"


def through_lectern(record: ServerRecord, url: str) -> Mapping[str, str]:
    """What asks the server by its name, by the client's; empty where Lectern's API does not offer what it does."""
    if embeds(record):
        return api_snippets.vector_snippets(url, SERVER + record.name, QUESTION)
    if not makes_text(record):
        return {}
    return api_snippets.chat_snippets(url, SERVER + record.name, QUESTION)


def direct(record: ServerRecord) -> Mapping[str, str]:
    """What asks the server at its own address, by the name of the client."""
    url, keyed = str(record.url), bool(record.spec.get("api_key"))
    if embeds(record):
        return api_snippets.vector_snippets(url, record.model, QUESTION, keyed=keyed)
    if not makes_text(record):
        body = {"model": record.model, "query": QUESTION, "documents": [QUESTION, "Good night"]}
        return {"curl": api_snippets.curl(f"{url}/rerank", body, keyed=keyed)}
    ollama = record.engine == "ollama"
    return api_snippets.direct_snippets(url, record.model, QUESTION, keyed=keyed, ollama=ollama)


def dialog(record: ServerRecord) -> None:
    """Show them, each to be copied: through Lectern first, as that address is good for others and stays."""

    @st.dialog(_("Ask it from a program"), width="large")
    def show() -> None:
        with errors.shown():
            ours = through_lectern(record, api_snippets.address())
            if ours and _way(record) == LECTERN:
                api_snippets.draw(ours)
                safe_text(_("The address stays the same when the server is moved or started again."), muted=True)
                api_snippets.key_of_lectern()
                return
            api_snippets.draw(direct(record))
            keyed = bool(record.spec.get("api_key"))
            told = _("Put the server's API key in the place of {key}.", key=KEY)
            safe_text(told if keyed else _("It wants no API key: any word will do."), muted=True)

    show()


def _way(record: ServerRecord) -> str:
    words = {LECTERN: _("Through Lectern"), DIRECT: _("Straight at the server")}
    return st.segmented_control(
        _("Address"),
        [LECTERN, DIRECT],
        default=LECTERN,
        required=True,
        format_func=words.__getitem__,
        key=f"snippets-way-{record.id}",
        label_visibility="collapsed",
    )
