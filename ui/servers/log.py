"""The log of a server in a dialog: searched, filtered, followed, downloaded."""

from __future__ import annotations

import streamlit as st

from services.app import Services
from services.serving import logs
from services.store.servers import ServerRecord
from ui import errors
from ui.i18n import _
from ui.widgets import safe_text

POLL_S = 2.0
LENGTHS = (200, 1000, 3000)
HEIGHT = 480


def dialog(services: Services, record: ServerRecord) -> None:
    """Open the log of a managed server, newest lines at its end."""

    @st.dialog(_("Log"), width="large", on_dismiss="rerun")  # the rerun ends the following
    def show() -> None:
        with errors.shown():
            safe_text(record.name, muted=True)
            with st.container(horizontal=True, vertical_alignment="bottom"):
                search = st.text_input(_("Search"), key=f"log-search-{record.id}", placeholder=_("any part of a line"))
                length = st.selectbox(
                    _("Last lines"), LENGTHS, format_func=lambda count: f"{count:,}", width=120, key=f"log-{record.id}"
                )
            with st.container(horizontal=True, vertical_alignment="center"):
                serious = st.toggle(_("Warnings and errors only"), key=f"log-serious-{record.id}")
                follow = st.toggle(_("Follow"), key=f"log-follow-{record.id}", help=_("Shows new lines as they come."))
                st.download_button(
                    _("Download"),
                    data=lambda: services.servers.log_file(record.id),
                    file_name=f"server-{record.id}.log",
                    mime="text/plain",
                    icon=":material/download:",
                    on_click="ignore",
                    key=f"log-download-{record.id}",
                )
            shown = st.fragment(run_every=POLL_S)(_lines) if follow else _lines
            shown(services, record.id, length, search, serious)

    show()


def _lines(services: Services, server_id: str, length: int, search: str, serious: bool) -> None:
    with errors.shown():
        lines = services.servers.logs(server_id, length)
        found = logs.matching(lines, search, serious_only=serious)
        with st.container(height=HEIGHT, autoscroll=True):  # begins at its end, where the newest lines are
            empty = _("No line matches.") if lines else _("The log is empty.")
            st.code("\n".join(found) or empty, language=None, wrap_lines=True)
        safe_text(
            _("{shown} of {count} lines", shown=f"{len(found):,}", count=f"{len(lines):,}"), muted=True, small=True
        )
