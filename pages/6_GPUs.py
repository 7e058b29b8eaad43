"""GPUs: who holds which bytes, how the cards work, and how it was before."""

import streamlit as st

from services.core.i18n import N_
from ui import frame, gpus, gpus_servers

with frame.page(N_("GPUs")) as services:
    st.html(gpus.STYLE)
    now, servers, history, processes = st.container(), st.container(), st.container(), st.empty()
    with_gpus, managed = bool(services.gpus.now().gpus), gpus_servers.managed(services)
    with servers:
        ledgers = gpus_servers.server_rows(services, managed) if with_gpus and managed else {}
    with now:
        gpus.live(services, managed, processes, with_gpus=with_gpus)
    with history:
        gpus.steady(services, ledgers)
