"""Models: what is on this machine, what is on its way, and what to start from."""

import streamlit as st

from services.core.i18n import N_
from ui import frame
from ui.i18n import _
from ui.models import catalogue, downloads, rows, wish
from ui.widgets import beside_title, empty_state

with frame.page(N_("Models")) as services:
    here, coming = services.models.list(), services.downloads.list()
    free = rows.room(services)
    with beside_title():
        if st.button(_("Sources"), icon=":material/tune:"):
            wish.sources_dialog(services)
        if (here or coming) and st.button(_("Download a model"), icon=":material/download:", type="primary"):
            wish.wish_dialog(services)
    downloads.download_list(services)
    if here:
        rows.model_list(services, here, free)
    elif not coming and empty_state(
        _("No model on this machine yet"),
        _("Bring one here from a hub, or choose a folder under Sources. The list below is a good place to start."),
        _("Download a model"),
        key="no-model",
    ):
        wish.wish_dialog(services)
    catalogue.catalogue_list(services, free)
