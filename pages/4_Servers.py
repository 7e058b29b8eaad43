"""Servers: the embedded one and every OpenAI-compatible address, each with its state and a test."""

import streamlit as st

from services.core.i18n import N_
from ui import embedded, frame, servers
from ui.i18n import _
from ui.widgets import beside_title

with frame.page(N_("Servers")) as services:
    coming = embedded.underway(services)
    if coming:
        with st.container(border=True):
            embedded.progress(services)
    if services.servers.list() or coming:
        with beside_title():
            if st.button(_("Add a server"), icon=":material/add:", type="primary"):
                servers.add_dialog(services)
        servers.server_list(services)
    else:
        servers.no_server(services)
