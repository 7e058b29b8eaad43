"""Knowledge bases: create, fill, watch, delete."""

import streamlit as st

from services.core.i18n import N_
from ui import api_snippets, bases, documents, embedders, errors, feedback, frame, rated, rebuilding, transfer
from ui.chunks import view
from ui.i18n import _
from ui.presets import preset_box
from ui.search_box import try_search
from ui.upkeep import upkeep
from ui.widgets import beside_title, empty_state, facts_line

with frame.page(N_("Knowledge")) as services:
    summaries = services.knowledge.bases()
    if not summaries:
        made = empty_state(
            _("No knowledge base yet"),
            _("A knowledge base holds the documents that you want to ask about. Create one and drop your files in."),
            _("Create a knowledge base"),
            key="no-base",
        )
        if made:
            bases.create_dialog(services)
        with st.container(horizontal_alignment="center"):
            st.button(
                _("Try it with sample documents"),
                icon=":material/auto_stories:",
                on_click=errors.attempt,
                args=(bases.add_samples, services),
            )
            if st.button(_("Import"), icon=":material/upload:", type="tertiary"):
                transfer.import_dialog(services)
        st.stop()

    with beside_title():
        if st.button(_("New"), icon=":material/add:", help=_("Create a knowledge base")):
            bases.create_dialog(services)
    with st.container(horizontal=True, vertical_alignment="center", key="lectern-base"):
        summary = bases.choose(services, summaries)
        st.page_link("pages/1_Chat.py", label=_("Ask"), icon=":material/forum:", query_params={"base": summary.base.id})
        if st.button(_("Use it"), icon=":material/code:", help=_("Ask it from a program")):
            api_snippets.dialog(summary.base)
        if st.button(_("Delete"), icon=":material/delete:", help=_("Delete this knowledge base")):
            bases.delete_dialog(services, summary)
        transfer.menu(services, summary)
    facts_line(*bases.facts(summary))
    about_embedder = st.container()
    rebuilding.under_way(services, summary.base)
    if view.opened():
        view.chunk_view(services, summary)
        st.stop()
    documents.upload(services, summary.base)
    documents.refused_files()
    if summary.counts.documents:
        try_search(services, summary.base)
        documents.document_list(services, summary)
        rated.rated_list(services, summary.base.id)
        feedback.golden_list(services, summary.base.id)
        preset_box(services, summary.base)
        upkeep(services, summary.base)
    else:
        empty_state(
            _("This knowledge base is empty"),
            _("Drop files in the area above. Each one is read, cut into chunks and embedded; then you can ask."),
            key="no-documents",
        )
        with st.container(horizontal_alignment="center"):
            st.button(_("See how a sample is cut"), icon=":material/content_cut:", on_click=view.open_chunks)
    with about_embedder:  # last, for a server that hangs is waited for
        embedders.trouble(services, summary.base)
