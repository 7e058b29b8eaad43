"""Settings: what can be chosen here, and what was set before the start."""

import streamlit as st

from services.core.i18n import N_
from ui import alerts, frame, keys, settings
from ui.i18n import _

with frame.page(N_("Settings")) as services:
    st.subheader(_("Application settings"), anchor=False)
    settings.product_form(services)
    st.subheader(_("API keys"), anchor=False)
    keys.section(services)
    st.subheader(_("Alerts"), anchor=False)
    alerts.form(services)
    alerts.webhook(services)
    st.subheader(_("Startup settings"), anchor=False)
    settings.process_table(services)
