"""GPUs: who holds which bytes, how the cards work, and how it was before."""

import streamlit as st

from services.core.i18n import N_
from ui import frame, gpus, gpus_charts, gpus_servers

with frame.page(N_("GPUs")) as services:
    st.html(gpus.STYLE)
    now, servers, history, processes = st.container(), st.container(), st.container(), st.empty()
    found = services.gpus.now().gpus
    managed = [record.id for record in gpus_servers.managed(services)]
    with now:
        gpus.live(services, managed, processes)
    if found and managed:
        with servers:
            gpus_servers.server_rows(services, managed)
    with history:
        gpus_charts.history(services)
