"""Servers: those that Lectern runs and every OpenAI-compatible address, each with its state; and the form of one."""

import streamlit as st

from services.core.i18n import N_
from ui import embedded, frame
from ui.i18n import _
from ui.servers import engines, form, rows
from ui.widgets import beside_title

with frame.page(N_("Servers")) as services:
    if form.is_open():
        form.form(services)
    else:
        coming = embedded.underway(services)
        if coming:
            with st.container(border=True):
                embedded.progress(services)
        if services.servers.list() or coming:
            with beside_title():
                if st.button(_("Add a server"), icon=":material/add:", type="primary"):
                    rows.add_dialog(services)
                if st.button(_("Engines"), icon=":material/deployed_code:"):
                    engines.dialog(services)
            rows.server_list(services)
        else:
            rows.no_server(services)
