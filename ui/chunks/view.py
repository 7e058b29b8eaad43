"""See the chunks: a document as it is cut now, and beside it what other parameters would make of it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import streamlit as st

from services.app import Services
from services.core.errors import AppError, DocumentNotFound
from services.knowledge.chunking.protocol import ChunkerSpec
from services.knowledge.chunking.registry import STRATEGIES, spec_of
from services.knowledge.chunking.view import ChunkView
from services.knowledge.notices import render as render_notice
from services.knowledge.samples import plain_samples
from services.knowledge.service import BaseSummary
from services.store.bases import BaseRecord
from ui import errors, i18n
from ui.chunks.choice import OPTION_LABELS, choose
from ui.chunks.sizes import figures, histogram, scale_of
from ui.chunks.text import chunks_html, text_pages
from ui.i18n import _
from ui.text import html_text
from ui.widgets import safe_text

STYLE = Path(__file__).with_name("style.css")
PARAMETER = "chunks"
"""Of the address: the document whose chunks are shown; `FIRST`: any."""
FIRST = "1"
SAMPLE = "sample:"
SEEN = "chunks.seen"
ASKED = "chunks.asked"
MOST_DOCUMENTS = 500
"""As many as the field offers; any other one is opened from the list."""


def opened() -> bool:
    """Whether the page shows chunks instead of documents."""
    return PARAMETER in st.query_params


def open_chunks(document: str = FIRST) -> None:
    """Show the chunks of a document from the next run on."""
    st.query_params[PARAMETER] = document


def close_chunks() -> None:
    """Go back to the documents."""
    st.query_params.pop(PARAMETER, None)


def chunk_view(services: Services, summary: BaseSummary) -> None:
    """The whole view; changed parameters draw only it again."""
    st.fragment(_view)(services, summary)


def _view(services: Services, summary: BaseSummary) -> None:
    with errors.shown():
        st.html(STYLE)
        base = services.knowledge.base(summary.base.id)
        with st.container(horizontal=True, vertical_alignment="center", key="lectern-chunks-head"):
            if st.button(_("Back to the documents"), icon=":material/arrow_back:", type="tertiary"):
                close_chunks()
                st.rerun()
            document = _document(services, base)
        left, right = st.columns(2, gap="medium")
        with left.container(border=True, height="stretch"):
            st.subheader(_("As it is now"), anchor=False)
            safe_text(_said(spec_of(base)), muted=True)
            now = _remembered("now", base, document, None, services)
            figures_now = st.container()
        with right.container(border=True, height="stretch"):
            st.subheader(_("Try"), anchor=False)
            tried = _tried(services, base, document)
            figures_tried = st.container()
        views = [view for view in (now, tried) if view]
        for place, view in zip((figures_now, figures_tried), views, strict=False):
            with place:
                _figures(view, scale_of(views))
        if tried:
            with figures_tried, errors.shown():
                _apply(services, base, tried.spec)
        _texts(views)


def _tried(services: Services, base: BaseRecord, document: str) -> ChunkView | None:
    """The choice of parameters, and what they make of the document; None where that is the same, or cannot be."""
    try:
        spec = choose(services.product, spec_of(base), f"chunks.{base.id}", columns=2)
        if spec == spec_of(base):
            safe_text(
                _("Change something: what comes of it is shown here, before anything is embedded."),
                muted=True,
                small=True,
            )
            return None
        if spec.key == "propositions" and not _asked(spec, document):
            return None
        with st.spinner(_("Cutting…")):
            view = _remembered("tried", base, document, spec, services)
    except AppError as error:
        errors.show(error)
        return None
    return view


def _asked(spec: ChunkerSpec, document: str) -> bool:
    """Whether the reader wants a server to be asked about this document."""
    wanted = f"{document} {spec}"
    if st.session_state.get(ASKED) == wanted:
        return True
    safe_text(_("Your chat server would be asked about the beginning of the document."), muted=True)
    if st.button(_("Ask the server"), icon=":material/forum:"):
        st.session_state[ASKED] = wanted
        return True
    return False


def _apply(services: Services, base: BaseRecord, spec: ChunkerSpec) -> None:
    """Wish for a base that is cut like this; it is built beside, and answers as before until that is complete."""
    if base.change is not None:
        safe_text(_("This base is being changed just now; it answers as before until that is complete."), muted=True)
    elif st.button(
        _("Apply to this base"),
        icon=":material/check:",
        type="primary",
        help=_("All documents are cut and embedded anew beside; the base answers as before until that is complete."),
    ):
        services.knowledge.change(base, chunker=spec)
        st.rerun()


def _figures(view: ChunkView, scale: tuple[int, int]) -> None:
    figures(view)
    histogram(view, scale)
    if view.partial:
        n = f"{view.cut_until:,}"
        safe_text(_("Only the first {n} characters were tried: this strategy takes long.", n=n), muted=True, small=True)
    for notice in view.notices:
        safe_text(render_notice(notice, i18n.language()), muted=True, small=True)


def _texts(views: list[ChunkView]) -> None:
    """The same stretch of the text with the chunks of each side."""
    text = views[0].extracted.text
    pages = text_pages(text)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.html(f'<div class="lectern-legend">{_legend()}</div>', width="content")
        number = st.pagination(len(pages), key="chunks.page") if len(pages) > 1 else 1
    begin, finish = pages[min(number, len(pages)) - 1]
    names = [_("As it is now"), _("Tried")]
    for place, view, name in zip(st.columns(len(views), gap="medium"), views, names, strict=False):
        with place:
            st.html(f'<div class="lectern-facts">{html_text(name)}</div>') if len(views) > 1 else None
            st.html(chunks_html(text, view.chunks, begin, min(finish, view.cut_until), name))


def _legend() -> str:
    begins, shared = html_text(_("a chunk begins")), html_text(_("in two chunks"))
    return f'<span><span class="number">1</span> {begins}</span><span class="shared">{shared}</span>'


def _said(spec: ChunkerSpec) -> str:
    """A spec in a few words."""
    sizes = f"{spec.size}/{spec.overlap}"
    options = [f"{_(OPTION_LABELS[name])}: {value}" for name, value in spec.options.items()]
    return " · ".join([_(STRATEGIES[spec.key].title), sizes, *options])


def _document(services: Services, base: BaseRecord) -> str:
    """The chosen document's id, or a sample's name after `SAMPLE`."""
    rows = list(services.knowledge.listed(base, MOST_DOCUMENTS, answering=True).documents)
    wanted = st.query_params.get(PARAMETER, FIRST)
    with suppress(DocumentNotFound):
        rows.append(services.knowledge.document(base, wanted))
        wanted = rows[-1].document_id
    names = {row.document_id: row.name for row in rows if row.chunks}
    names |= {SAMPLE + name: _("Sample: {name}", name=name) for name in plain_samples()}
    ids = list(names)
    chosen = st.selectbox(
        _("Document"),
        ids,
        index=ids.index(wanted) if wanted in ids else 0,
        format_func=names.__getitem__,
        label_visibility="collapsed",
        icon=":material/description:",
    )
    st.query_params[PARAMETER] = chosen
    return chosen


def _remembered(side: str, base: BaseRecord, document: str, spec: ChunkerSpec | None, services: Services) -> ChunkView:
    """What was made last for a side of the view: turning pages does not make it again."""
    seen: dict[str, tuple[str, ChunkView]] = st.session_state.setdefault(SEEN, {})
    name = f"{base.id} {base.updated_at_ms} {document} {spec}"
    if side not in seen or seen[side][0] != name:
        seen.pop(side, None)
        if document.startswith(SAMPLE):
            sample = document.removeprefix(SAMPLE)
            view = services.knowledge.sample_view(sample, spec or spec_of(base), services.knowledge.embedder_spec(base))
        else:
            view = services.knowledge.chunk_view(base, document, spec)
        seen[side] = (name, view)
    return seen[side][1]
