"""Another chunker or embedder for a base: asking for it, and how far it is."""

from __future__ import annotations

import streamlit as st

from services.app import Services
from services.core.clock import now_ms
from services.knowledge.chunking.registry import chunker_spec
from services.knowledge.embedders.registry import embedder_spec_of
from services.knowledge.service import BaseSummary
from services.store.bases import BaseRecord
from ui import embedders, errors
from ui.i18n import _, ngettext
from ui.widgets import progress_row, safe_text

POLL_S = 2.0


def change_dialog(services: Services, summary: BaseSummary) -> None:
    """Ask for the embedder and the sizes, and say what the change costs."""
    base = summary.base

    @st.dialog(_("Change this knowledge base"))
    def ask() -> None:
        with errors.shown():
            now = embedder_spec_of(base)
            chosen = embedders.choose(services, f"change-{base.id}", now)
            size = st.number_input(_("Characters of a chunk"), 50, 20_000, base.chunk_size, step=50)
            overlap = st.number_input(
                _("Characters that neighbouring chunks share"), 0, 10_000, base.chunk_overlap, step=10
            )
            documents = ngettext("{n} document", "{n} documents", summary.counts.documents)
            chunks = ngettext("{n} chunk", "{n} chunks", summary.counts.chunks)
            cost = _(
                "Its {documents} ({chunks} now) are cut and embedded again in the background. Until that is done, it "
                "answers as before.",
                documents=documents,
                chunks=chunks,
            )
            safe_text(cost, muted=True, small=True)
            if st.button(_("Build anew"), type="primary"):
                options = base.chunker_options
                spec = chunker_spec(base.chunker, size=int(size), overlap=int(overlap), **options)
                changed = services.knowledge.change(base, spec, embedders.chosen_spec(services, chosen, now))
                if changed.change is not None:
                    st.rerun()
                safe_text(_("Nothing of it is new: the base is built so already."))

    ask()


def under_way(services: Services, base: BaseRecord) -> None:
    """How far the change of a base is, with a way out; nothing where there is none."""
    if base.change is not None:
        st.fragment(run_every=POLL_S)(_progress)(services, base.id)


def _progress(services: Services, base_id: str) -> None:
    with errors.shown():
        base = services.knowledge.base(base_id)
        progress = services.knowledge.builds.progress(base)
        if progress is None:
            st.rerun()
        spent_s = max(1.0, (now_ms() - progress.begun_at_ms) / 1000)
        rate = progress.ready / spent_s
        left_ms = (progress.documents - progress.ready) / rate * 1000 if rate else None
        progress_row(_("Building anew"), progress.ready, progress.documents, _("files"), remaining_ms=left_ms)
        if progress.target.embedder != base.embedder or progress.target.embedder_options != base.embedder_options:
            found = services.embedder_trouble(progress.target)
            if found is not None:
                embedders.say(services, progress.target, found)
        if progress.failed:
            failed = ngettext("{n} document", "{n} documents", progress.failed)
            safe_text(_("{documents} could not be built anew: try again, or remove them.", documents=failed))
        with st.container(horizontal=True):
            if progress.failed:
                st.button(
                    _("Try again"),
                    key="change-retry",
                    on_click=errors.attempt,
                    args=(services.knowledge.builds.retry, base),
                )
            st.button(
                _("Give up the change"),
                key="change-give-up",
                on_click=errors.attempt,
                args=(services.knowledge.builds.give_up, base),
            )
