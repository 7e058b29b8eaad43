"""GPUs: who holds which bytes, how the cards work, and how it was before."""

import streamlit as st

from services.core.i18n import N_
from ui import frame
from ui.gpus import live, servers, what_if

with frame.page(N_("GPUs")) as services:
    st.html(live.STYLE)
    planning, now, beneath, plans, history = st.container(), st.container(), st.container(), st.empty(), st.container()
    processes = st.empty()
    with_gpus, managed = bool(services.gpus.now().gpus), servers.managed(services)
    with beneath:
        ledgers = servers.server_rows(services, managed) if with_gpus and managed else {}
    with planning:
        if with_gpus:
            what_if.what_if(services, managed)
    with now:
        live.live(services, managed, processes, with_gpus=with_gpus)
    with history:
        live.steady(services, ledgers, plans)
