"""GPUs: who holds which bytes, how the cards work, and how it was before."""

import streamlit as st

from services.core.i18n import N_
from ui import frame
from ui.gpus import live, servers

with frame.page(N_("GPUs")) as services:
    st.html(live.STYLE)
    now, beneath, history, processes = st.container(), st.container(), st.container(), st.empty()
    with_gpus, managed = bool(services.gpus.now().gpus), servers.managed(services)
    with beneath:
        ledgers = servers.server_rows(services, managed) if with_gpus and managed else {}
    with now:
        live.live(services, managed, processes, with_gpus=with_gpus)
    with history:
        live.steady(services, ledgers)
